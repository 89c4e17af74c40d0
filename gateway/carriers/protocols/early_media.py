"""Media that overtook the start of their stream. Pure."""

from typing import Final

from gateway.errors import CarrierError

EARLY_MS: Final = 5000
BYTES_PER_MS: Final = 2 * 48  # of two tracks of the dearest format: L16 at 24 kHz
TEXT_BYTES_PER_MS: Final = 2 * BYTES_PER_MS  # in base64, with what is written around it

_MAX_MESSAGES: Final = 2 * EARLY_MS // 10  # of two tracks, in frames of 10 ms


class EarlyMedia:
    """Holds messages until the start has come, as they came and in their order.

    A sender may write its start and its media from different threads. How long audio lasts is
    known from the start on, so what is held is bounded by the bytes of the dearest format.

    Args:
        bytes_per_ms: the most that a millisecond of the stream takes on the wire.

    Attributes:
        size_bytes: of all that is held.
    """

    def __init__(self, bytes_per_ms: int = TEXT_BYTES_PER_MS) -> None:
        self.size_bytes = 0
        self._max_bytes = EARLY_MS * bytes_per_ms
        self._messages: list[bytes] = []

    def hold(self, message: bytes) -> tuple[()]:
        """Hold a message; return that no event comes of it yet.

        Raises:
            CarrierError: media-before-start: it is more than may be held.
        """
        self.size_bytes += len(message)
        if self.size_bytes > self._max_bytes or len(self._messages) >= _MAX_MESSAGES:
            raise CarrierError("media-before-start")
        self._messages.append(message)
        return ()

    def drain(self) -> list[bytes]:
        """Return what is held, and hold it no longer."""
        messages, self._messages = self._messages, []
        self.size_bytes = 0
        return messages
