"""Detects a silent model: one that returns no words although someone speaks. Pure."""

from typing import Final

_LOUD_SHARE: Final = 2  # a model is silent if half of the audio without words is speech


class SilentModelWatch:
    """Measures one track's answered audio without words.

    Args:
        span_ms: how much audio in a row without words, at least half of it loud, means that the
            model is silent; GATEWAY_RUT_DELTAS times 80 ms.

    Attributes:
        span_ms: the same, doubled by each `back_off` until the next word.
    """

    def __init__(self, span_ms: int) -> None:
        self.span_ms = span_ms
        self._first_span_ms = span_ms
        self._wordless_ms = 0  # since the last word

    def note(self, text: str, audio_ms: int) -> None:
        """Record the text for a stretch of audio; a word resets the measurement and the span."""
        if text:
            self.span_ms = self._first_span_ms
            self._wordless_ms = 0
        else:
            self._wordless_ms += audio_ms

    def is_silent(self, loud_ms: int) -> bool:
        """Return whether the model returns no words although someone speaks.

        Args:
            loud_ms: audio that may be speech and has no words so far.
        """
        return self._wordless_ms >= self.span_ms and loud_ms * _LOUD_SHARE >= self.span_ms

    def back_off(self) -> None:
        """Double the span: else hours of hold music would cost a session every minute."""
        self.span_ms *= 2
        self._wordless_ms = 0
