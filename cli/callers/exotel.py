"""Exotel's Stream applet: the caller's audio only, linear, 100 ms per message, snake_case names.

Sources: see `gateway/carriers/vendors/exotel.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from cli.callers.call import Call
from cli.callers.caller import Caller, Stream
from cli.callers.credentials import basic
from cli.callers.dialogues import Frame, JsonDialogue, last_sequence
from cli.callers.frames import linear_8k
from cli.callers.messages import CALLED, CALLER

_TRACK: Final = "inbound"
_BATCH: Final = 5


class Exotel(Caller):
    """Exotel, which has no webhook and plays only the `inbound` track of a call."""

    name = "exotel"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._secret = credentials["GATEWAY_EXOTEL_SECRET"]

    def direct(self, call: Call, url: str, now_s: float) -> Sequence[Stream]:
        """Send the secret as the password of the applet's URL; see `Caller`."""
        one_track = replace(call, tracks={_TRACK: call.tracks[_TRACK]})
        return [Stream(url, dialogue(one_track), basic(self._secret))]


def dialogue(call: Call) -> JsonDialogue:
    """Return the dialogue of the media socket of a call with one track."""
    stream_sid = {"stream_sid": call.stream_id}
    ids = {"call_sid": call.call_id, "account_sid": "made-up"}

    def write(frame: Frame) -> str:
        return (
            f'{{"event":"media","sequence_number":"{frame.sequence}","stream_sid":'
            f'"{call.stream_id}","media":{{"chunk":"{frame.chunk}","timestamp":'
            f'"{frame.timestamp_ms}","payload":"{frame.payload}"}}}}'
        )

    start = {
        **stream_sid,
        **ids,
        "from": CALLER,
        "to": CALLED,
        "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"},
    }
    before = (
        {"event": "connected"},
        {"event": "start", "sequence_number": "1", **stream_sid, "start": start},
    )
    last = str(last_sequence(call, _BATCH))
    stop = {"event": "stop", "sequence_number": last, **stream_sid, "stop": ids}
    return JsonDialogue(call, before, write, (stop,), encoder=linear_8k, batch=_BATCH)
