"""RingCentral RingCX's (Engage Voice's) call streaming. Pure.

Tracks are perspectives: `Participant` is the agent, `Conference` everybody else. Each has a `Stop`
of its own. Media have no time; `sequenceId` comes "generally in sequence", hence a short window:
should it count both perspectives, audio is late by no more than that. The stream's id is a number.
Source: developers.ringcentral.com/engage/voice/guide/workforce/call-streaming.
"""

from typing import Any, Final, Self

from msgspec import field

from gateway.carriers.dialect import Dialect, Frame, Kind


class Media[P](Frame[P], tag_field="event", tag="Media", kw_only=True):
    """A media message, which is its frame."""

    payload: P = field(name="media")
    track: str = field(default="", name="perspective")
    chunk: Any = field(default=None, name="sequenceId")

    @property
    def frame(self) -> Self:
        """Its audio."""
        return self


DIALECT: Final = Dialect(
    carrier="ringcx",
    kinds={
        "Connected": Kind.NOTE,
        "Start": Kind.START,
        "Media": Kind.MEDIA,
        "Stop": Kind.STOP,
    },
    call_id=("metadata.callId",),
    stream_id=("metadata.sessionId",),
    params=(),
    called=("metadata.dnis",),
    tracks=(),
    track_names={"Participant": "participant", "Conference": "conference"},
    unlisted_tracks=2,
    roles={"participant": "agent", "conference": "customer"},
    encoding=("metadata.contentType",),
    rate=("metadata.sampleRateHertz",),
    channels=(),
    stop_track=("perspective",),
    media=Media,
    reorder_ms=60,
)
