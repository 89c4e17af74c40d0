"""Twilio Media Streams. Pure.

`sequenceNumber`, `chunk` and `timestamp` are strings of digits; `chunk` and `timestamp` count per
track, `timestamp` is the presentation time in ms since the stream's start. Nothing is ever sent
back: on a unidirectional stream that is a protocol error (31924). `<Connect><Stream>` speaks the
same, with the inbound track alone. Source: twilio.com/docs/voice/media-streams/websocket-messages.
"""

from typing import Final

from gateway.carriers.dialect import Dialect, Kind

CARRIER: Final = "twilio"
CREDENTIAL: Final = "tok"  # the <Parameter> that carries our own token; never published

DIALECT: Final = Dialect(
    carrier=CARRIER,
    kinds={
        "connected": Kind.NOTE,
        "start": Kind.START,
        "media": Kind.MEDIA,
        "dtmf": Kind.DTMF,
        "mark": Kind.NOTE,
        "stop": Kind.STOP,
    },
    call_id=("start.callSid",),
    stream_id=("start.streamSid", "streamSid"),
    params=("start.customParameters",),
)
