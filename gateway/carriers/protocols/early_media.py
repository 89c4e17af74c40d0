"""Hold media messages that arrive before their stream's start message. Pure."""

from typing import Final

from gateway.errors import CarrierError

EARLY_MS: Final = 5000
BYTES_PER_MS: Final = 2 * 48  # two tracks of the largest format: L16 at 24 kHz
TEXT_BYTES_PER_MS: Final = 2 * BYTES_PER_MS  # in base64, with the JSON around it

_MAX_MESSAGES: Final = 2 * EARLY_MS // 10  # two tracks in frames of 10 ms


class EarlyMedia:
    """Holds messages, unparsed and in order, until the start message has arrived.

    A sender may write its start and its media from different threads. The duration of audio is
    unknown before the start, so the limit is the size of `EARLY_MS` in the largest format.

    Args:
        bytes_per_ms: the largest size on the wire of one millisecond of the stream.

    Attributes:
        size_bytes: the total size of the held messages.
    """

    def __init__(self, bytes_per_ms: int = TEXT_BYTES_PER_MS) -> None:
        self.size_bytes = 0
        self._max_bytes = EARLY_MS * bytes_per_ms
        self._messages: list[bytes] = []

    def hold(self, message: bytes) -> tuple[()]:
        """Hold a message; return no events.

        Raises:
            CarrierError: media-before-start: the limit is exceeded.
        """
        self.size_bytes += len(message)
        if self.size_bytes > self._max_bytes or len(self._messages) >= _MAX_MESSAGES:
            raise CarrierError("media-before-start")
        self._messages.append(message)
        return ()

    def drain(self) -> list[bytes]:
        """Return the held messages and clear them."""
        messages, self._messages = self._messages, []
        self.size_bytes = 0
        return messages
