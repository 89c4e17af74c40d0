"""What the gateway asks of every carrier's adapter. Pure."""

from collections.abc import Sequence
from typing import Protocol

from gateway.carriers.events import CarrierEvent, Reply


class Adapter(Protocol):
    """Reads one media stream's messages; one object per WebSocket.

    What an adapter does not say otherwise: it holds nothing back, and has no last message.
    """

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one text message.

        Raises:
            CarrierError: the message breaks the vendor's protocol; the stream cannot go on.
        """

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one binary message; raises as `receive_text` does."""

    def close(self) -> Sequence[CarrierEvent]:
        """Learn that no message comes any more; give what was held back, frames in disorder say."""
        return ()

    def farewell(self, reason: str) -> Sequence[Reply]:
        """Say goodbye in the protocol's words, once the stream's last words are there.

        Args:
            reason: why the stream ended, as in `stream.ended`.
        """
        return ()
