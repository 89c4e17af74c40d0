"""What was published since a viewer last looked, bounded."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

_MAX_BYTES: Final = 1 << 20  # of one viewer's items


class Published(Protocol):
    """What is published to viewers."""

    @property
    def size(self) -> int:
        """Bytes that it occupies."""


class Subscription[T: Published]:
    """New items for one viewer.

    If the viewer is too slow, all items are dropped. It then reads from Redis what it has missed.
    """

    def __init__(self) -> None:
        self._items: list[T] = []
        self._bytes = 0
        self._filled = asyncio.Event()
        self.has_overflowed = False
        self.is_ended = False

    def end(self) -> None:
        """Publish nothing more: the call was erased."""
        self._items.clear()
        self.is_ended = True
        self._filled.set()

    def push(self, items: Sequence[T]) -> None:
        """Add items; called by the hub."""
        if self.has_overflowed:
            return
        self._items.extend(items)
        self._bytes += sum(each.size for each in items)
        if self._bytes > _MAX_BYTES:
            self._items.clear()
            self.has_overflowed = True
        self._filled.set()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to pop."""
        return not (self._items or self.has_overflowed or self.is_ended)

    async def pop(self) -> list[T]:
        """Wait for items and return them; none after an overflow, which this ends."""
        await self._filled.wait()
        self._filled.clear()
        items, self._items = self._items, []
        self._bytes = 0
        self.has_overflowed = False
        return items
