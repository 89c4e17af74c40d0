"""Talkdesk: Twilio's messages with the track labels swapped, and a secret in the URL.

Sources: see `gateway/carriers/vendors/talkdesk.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers import twilio
from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import with_secret


class Talkdesk(Caller):
    """Talkdesk, which has no webhook."""

    name = "talkdesk"
    labels = {"inbound": "outbound", "outbound": "inbound"}  # noqa: RUF012 (Caller's is a Mapping)

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_TALKDESK_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Add the secret to the URL; see `Caller`."""
        parameters = {"interaction_id": call.call_id, "account_id": "", "type": "voice"}
        dialogue = twilio.dialogue(call, parameters, self.labels)
        return [Stream(with_secret(url, self._secret), dialogue)]
