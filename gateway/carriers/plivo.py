"""Plivo's audio streams. Pure.

There is no `connected`, and no `stop` is documented: the socket closes. Timestamps are Unix ms;
numbers are numbers. What the customer passes on stands in `extra_headers`, beside the start, as
`a=1;b=2`, in older texts `a=1,b=2`, and from the clone Vobiz as `{}`.
Source: plivo.com/docs, Audio Streaming, protocol reference.
"""

from typing import Final

from gateway.carriers.dialect import KINDS, Dialect, Kind

DIALECT: Final = Dialect(
    carrier="plivo",
    kinds={**KINDS, "playedStream": Kind.NOTE, "clearedAudio": Kind.NOTE},
    call_id=("start.callId",),
    stream_id=("start.streamId", "streamId"),
    params=("extra_headers",),
    has_epoch_times=True,
)
