"""Asterisk, chan_websocket: a mu-law socket for each direction, joined by the URL's query.

    Dial(WebSocket/stt/c(ulaw)v(call=<id>,track=inbound,role=customer))

Sources: see `gateway/carriers/vendors/asterisk.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import basic
from cli.callers.dialogues import BinaryDialogue

_ROLES: Final = {"inbound": "customer", "outbound": "agent"}
_SUBPROTOCOL: Final = "media"


class Asterisk(Caller):
    """Asterisk, which has no webhook."""

    name = "asterisk"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_ASTERISK_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as the password of websocket_client.conf; see `Caller`."""
        return [
            Stream(
                f"{url}?{urlencode({'call': call.call_id, 'track': track, 'role': _ROLES[track]})}",
                dialogue(call, number, now_s),
                basic(self._secret),
                (_SUBPROTOCOL,),
            )
            for number, track in enumerate(call.tracks)
        ]


def dialogue(call: Call, number: int, now_s: float) -> BinaryDialogue:
    """Return the dialogue of the socket of one track, by its number in the call."""
    first = (
        f"MEDIA_START connection_id:stt channel:WebSocket/stt/{call.stream_id}-{number} "
        f"channel_id:{int(now_s)}.{number} format:ulaw optimal_frame_size:160 ptime:20"
    )
    return BinaryDialogue(call, first, lambda frames: frames[number])
