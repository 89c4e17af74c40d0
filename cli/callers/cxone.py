"""NICE CXone: a mu-law socket for each perspective, which waits until audio is requested.

Sources: see `gateway/carriers/vendors/cxone.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer
from cli.callers.dialogues import AnsweredDialogue, BinaryDialogue
from cli.callers.messages import text


class Cxone(Caller):
    """CXone's Agent Assist Hub, which has no webhook."""

    name = "cxone"
    labels = {"inbound": "tx", "outbound": "rx"}  # noqa: RUF012 (Caller's is a Mapping)

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_CXONE_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret in the connection's header; see `Caller`."""
        headers = bearer(self._secret)
        return [
            Stream(url, dialogue(call, number, self.label(track)), headers)
            for number, track in enumerate(call.tracks)
        ]


def dialogue(call: Call, number: int, label: str) -> AnsweredDialogue:
    """Return the dialogue of the socket of one track, by its number in the call."""
    first = {
        "minimumVersion": 1,
        "maximumVersion": 1,
        "capabilities": [],
        "requiredCapabilities": [],
        "format": "MONO",
        "executionInfo": {"contactId": call.call_id, "actionType": "AGENTASSIST"},
        "appParams": "{}",
        "streamPerspective": f"{label.upper()}_RELAY",
    }
    media = BinaryDialogue(call, text(first), lambda frames: frames[number])
    return AnsweredDialogue(media, "Message", ("BEGIN AUDIO STREAM",))
