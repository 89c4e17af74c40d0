"""Talkdesk: Twilio's messages with the labels the other way round, and a secret in the URL.

Sources: as those of `gateway/carriers/vendors/talkdesk.py`.
"""

from collections.abc import Mapping, Sequence

from cli.callers import twilio
from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.gateway import with_route


class Talkdesk(Caller):
    """Talkdesk; there is no webhook."""

    name = "talkdesk"
    labels = {"inbound": "outbound", "outbound": "inbound"}  # noqa: RUF012 (Caller's is a Mapping)

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_TALKDESK_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Put the secret into the URL; see `Caller`."""
        parameters = {"interaction_id": call.call_id, "account_id": "", "type": "voice"}
        dialogue = twilio.dialogue(call, parameters, self.labels)
        return [Stream(f"{with_route(url)}/{self._secret}", dialogue)]
