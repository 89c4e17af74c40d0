"""The interface of a carrier's adapter, which parses one media stream's messages. Pure."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from gateway.carriers.events import AudioFrame, CallStarted, CarrierEvent, Reply


def _as_announced(start: CallStarted) -> CallStarted:
    return start


class Adapter(Protocol):
    """Parses one media stream's messages. There is one object per WebSocket.

    The default methods are for a protocol in which the adapter holds no frames back, sends the
    carrier no transcripts and no closing message, and awaits no reply to one.

    Attributes:
        farewell_within_s: seconds after the stream's end within which the carrier expects the
            closing message. None: it has no deadline.
        correct: replaces announced encodings by configured ones. An adapter passes each
            `CallStarted` through it before it computes anything from the tracks' formats.
    """

    farewell_within_s: ClassVar[float | None] = None
    correct: Callable[[CallStarted], CallStarted] = staticmethod(_as_announced)

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one text message.

        Raises:
            CarrierError: the message violates the vendor's protocol; the stream has to end.
        """

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Parse one binary message; raises the same errors as `receive_text`."""

    def flush_held(self, track: str) -> Sequence[AudioFrame]:
        """Return a track's held frames without waiting any longer."""
        return ()

    def begin(self) -> Sequence[CarrierEvent]:
        """Start the stream without its optional start message, if media are held for one."""
        return ()

    def transcript(
        self, track: str, segment: int, text: str, *, start_ms: int, end_ms: int
    ) -> Sequence[Reply]:
        """Return the messages that send the carrier a final transcript, if it accepts any.

        Args:
            track: the track that was transcribed.
            segment: the segment's number in the track.
            text: the segment's text.
            start_ms: the segment's start on the stream's media clock.
            end_ms: the segment's end on that clock.
        """
        return ()

    def farewell(self, reason: str) -> Sequence[Reply]:
        """Return the protocol's closing messages. Called once per stream.

        Called when the stream's final transcripts are available, or `farewell_within_s` after the
        stream's end, whichever comes first.

        Args:
            reason: why the stream ended, as in `stream.ended`.
        """
        return ()

    @property
    def awaits_answer(self) -> bool:
        """Whether the socket stays open until the carrier has replied to `farewell`."""
        return False
