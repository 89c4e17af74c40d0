"""Detects a silent model: one that returns empty tokens although someone speaks. Pure."""

from typing import Final

from gateway.transcript.token_clock import TOKEN_MS

_LOUD_SHARE: Final = 2  # a model is silent if half of its empty tokens cover speech


class SilentModelWatch:
    """Counts one track's tokens without text.

    Args:
        tokens: how many consecutive empty tokens, at least half of them over loud audio, mean that
            the model is silent; GATEWAY_RUT_DELTAS.
    """

    def __init__(self, tokens: int) -> None:
        self._first_tokens = tokens
        self._tokens = tokens
        self._wordless = 0  # tokens since the last word

    @property
    def span_ms(self) -> int:
        """Audio that must stay without words before the model counts as silent."""
        return self._tokens * TOKEN_MS

    def note(self, text: str) -> None:
        """Count a token; a word resets the count and the threshold."""
        if text:
            self._tokens = self._first_tokens
            self._wordless = 0
        else:
            self._wordless += 1

    def is_silent(self, loud_ms: int) -> bool:
        """Return whether the model returns no words although someone speaks.

        Args:
            loud_ms: audio that may be speech and has no words so far.
        """
        return self._wordless >= self._tokens and loud_ms * _LOUD_SHARE >= self.span_ms

    def back_off(self) -> None:
        """Double the threshold: else hours of hold music would cost a session every minute."""
        self._tokens *= 2
        self._wordless = 0
