"""Whether a model is in a rut: it answers without a word though somebody speaks. Pure."""

from typing import Final

from gateway.transcript.token_clock import TOKEN_MS

_LOUD_SHARE: Final = 2  # empty tokens are a rut if one in so many of them was over speech


class SilentModelWatch:
    """Watches one track's tokens.

    Args:
        tokens: so many empty ones in a row may be a rut; GATEWAY_RUT_DELTAS.
    """

    def __init__(self, tokens: int) -> None:
        self._first_tokens = tokens
        self._tokens = tokens
        self._wordless = 0  # tokens since the last word

    @property
    def span_ms(self) -> int:
        """Audio that the next rut takes to show."""
        return self._tokens * TOKEN_MS

    def note(self, text: str) -> None:
        """Count a token; a word resets the count and the threshold."""
        if text:
            self._tokens = self._first_tokens
            self._wordless = 0
        else:
            self._wordless += 1

    def finds(self, loud_ms: int) -> bool:
        """Find that the model says nothing though somebody speaks; the next time half as soon.

        Hours of music on hold would be a session every minute.

        Args:
            loud_ms: audio that may be speech and whose words nobody has said.
        """
        if self._wordless < self._tokens or loud_ms * _LOUD_SHARE < self.span_ms:
            return False
        self._tokens *= 2
        self._wordless = 0
        return True
