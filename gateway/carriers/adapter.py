"""What the gateway asks of every carrier's adapter. Pure."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from gateway.carriers.events import AudioFrame, CallStarted, CarrierEvent, Reply


def _as_announced(start: CallStarted) -> CallStarted:
    return start


class Adapter(Protocol):
    """Reads one media stream's messages; one object per WebSocket.

    What an adapter does not say otherwise: it holds nothing back, tells the carrier no texts, and
    has no last message, nor awaits one.

    Attributes:
        farewell_within_s: the carrier waits no longer for the last message once the stream is
            ending; None: it does not wait for it.
        correct: replaces announced encodings by those that settings name. An adapter passes each
            start through it before it computes anything from the tracks' formats.
    """

    farewell_within_s: ClassVar[float | None] = None
    correct: Callable[[CallStarted], CallStarted] = staticmethod(_as_announced)

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one text message.

        Raises:
            CarrierError: the message breaks the vendor's protocol; the stream cannot go on.
        """

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one binary message; raises as `receive_text` does."""

    def flush_held(self, track: str) -> Sequence[AudioFrame]:
        """Return the frames of a track that wait for others: those will not come."""
        return ()

    def begin(self) -> Sequence[CarrierEvent]:
        """Start with the media that wait for a start which is optional: it will not come."""
        return ()

    def transcript(
        self, track: str, segment: int, text: str, *, start_ms: int, end_ms: int
    ) -> Sequence[Reply]:
        """Tell the carrier a final text, if it wants any.

        Args:
            track: whose words they are.
            segment: their number in the track.
            text: the words.
            start_ms: where they begin on the stream's media clock.
            end_ms: where they end.
        """
        return ()

    def farewell(self, reason: str) -> Sequence[Reply]:
        """Say goodbye in the protocol's words, once.

        Said when the stream's last words are there, or as long after its end as the carrier waits.

        Args:
            reason: why the stream ended, as in `stream.ended`.
        """
        return ()

    @property
    def awaits_answer(self) -> bool:
        """Whether the carrier is to answer the goodbye before its socket is closed."""
        return False
