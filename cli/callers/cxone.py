"""NICE CXone: a socket for each perspective, which waits until its audio is asked for; mu-law.

Sources: as those of `gateway/carriers/vendors/cxone.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers.answered import AnsweredDialogue
from cli.callers.binary_media import BinaryDialogue
from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import bearer
from cli.callers.json_texts import text


class Cxone(Caller):
    """CXone's Agent Assist Hub; there is no webhook."""

    name = "cxone"
    labels = {"inbound": "tx", "outbound": "rx"}  # noqa: RUF012 (Caller's is a Mapping)

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_CXONE_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Show the secret in the connection's header; see `Caller`."""
        shown = bearer(self._secret)
        return [
            Stream(url, dialogue(call, number, self.label(track)), shown)
            for number, track in enumerate(call.tracks)
        ]


def dialogue(call: Call, number: int, label: str) -> AnsweredDialogue:
    """Say what the hub says of a call's track of this number."""
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
