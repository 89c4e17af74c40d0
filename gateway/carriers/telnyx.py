"""Telnyx media streaming. Pure.

The order of events is expressly not guaranteed: frames are put in order by `chunk`, and may even
come before the start. The start does not list the tracks, so both are expected. Without a
`stream_codec` the call's own comes, G.722 or Opus among them: ask for PCMU. The payload is that of
RTP, so L16 is taken to be in network order (RFC 3551), which Telnyx's page does not say.
Source: developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket.
"""

from typing import Final

from gateway.audio.encodings import Encoding
from gateway.carriers.dialect import KINDS, Dialect, Kind

DIALECT: Final = Dialect(
    carrier="telnyx",
    kinds={**KINDS, "error": Kind.NOTE},
    call_id=("start.call_control_id",),
    stream_id=("stream_id",),
    params=("start.custom_parameters",),
    called=("start.to",),
    unlisted_tracks=2,
    encoding=("start.media_format.encoding",),
    rate=("start.media_format.sample_rate",),
    channels=("start.media_format.channels",),
    linear=Encoding.L16BE,
    reorder_ms=200,
)
