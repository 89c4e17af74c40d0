"""Exotel's Stream and Voicebot applets. Pure.

Audio is linear, little-endian, about 100 ms a message, at 8, 16 or 24 kHz, unless the start says
that it is mu-law: the vendor's pages disagree on the default. The rate is a string; `bit_rate` is
16 on one page and `128kbps` on another, and tells nothing more. The start lists no tracks and media
name none: there is the caller's. Source: developer.exotel.com/docs/agentstream/websocket-protocol.
"""

from typing import Final

from gateway.carriers.dialect import KINDS, Dialect, Kind

DIALECT: Final = Dialect(
    carrier="exotel",
    kinds={**KINDS, "clear": Kind.NOTE},
    call_id=("start.call_sid",),
    stream_id=("start.stream_sid", "stream_sid"),
    params=("start.custom_parameters",),
    called=("start.to",),
    encoding=("start.media_format.encoding",),
    rate=("start.media_format.sample_rate",),
    channels=("start.media_format.channels",),
)
