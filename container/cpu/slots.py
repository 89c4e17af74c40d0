"""Limit how many generations run at once, like vLLM's max_num_seqs. Pure.

If no slot is free, a request waits in the order of arrival; the client is not notified.
"""

from collections.abc import Callable, Hashable


class Slots:
    """A fixed number of slots and the queue of requests for them."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._holders: set[Hashable] = set()
        self._waiting: dict[Hashable, Callable[[], None]] = {}

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a slot."""
        return len(self._waiting)

    def claim(self, holder: Hashable, on_granted: Callable[[], None]) -> None:
        """Request a slot; `on_granted` is called once it is granted, which may be at once.

        A holder keeps its slot if it requests another one.
        """
        if holder in self._holders:
            on_granted()
            return
        self._waiting[holder] = on_granted
        self._grant()

    def release(self, holder: Hashable) -> None:
        """Release a slot, or cancel the request for one. Does nothing if there is neither."""
        self._waiting.pop(holder, None)
        if holder in self._holders:
            self._holders.remove(holder)
            self._free += 1
            self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            holder = next(iter(self._waiting))
            on_granted = self._waiting.pop(holder)
            self._free -= 1
            self._holders.add(holder)
            on_granted()
