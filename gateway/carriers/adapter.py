"""What the gateway asks of every carrier's adapter. Pure."""

from collections.abc import Sequence
from typing import Protocol

from gateway.carriers.events import CarrierEvent


class Adapter(Protocol):
    """Reads one media stream's messages; one object per WebSocket."""

    def receive_text(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one text message.

        Raises:
            CarrierError: the message breaks the vendor's protocol; the stream cannot go on.
        """

    def receive_binary(self, message: bytes) -> Sequence[CarrierEvent]:
        """Understand one binary message; raises as `receive_text` does."""
