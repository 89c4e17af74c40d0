"""Bandwidth's `<StartStream>`. Pure.

A media message is flat and has neither number nor time: its audio is counted. Each track is listed
with a format of its own. Source: dev.bandwidth.com/docs/voice/bxml/startStream.
"""

from typing import Final, Self

from gateway.carriers.dialect import Dialect, Frame


class Media[P](Frame[P], tag_field="eventType", tag="media"):
    """A media message, which is its frame."""

    @property
    def frame(self) -> Self:
        """Its audio."""
        return self


DIALECT: Final = Dialect(
    carrier="bandwidth",
    event="eventType",
    call_id=("metadata.callId",),
    stream_id=("metadata.streamId",),
    params=("streamParams",),
    tracks=("metadata.tracks",),
    encoding=("mediaFormat.encoding",),
    rate=("mediaFormat.sampleRate",),
    media=Media,
)
