"""How many generations may run at once: vLLM's max_num_seqs. Pure.

Who asks for a slot when none is free waits in silence, first come, first served.
"""

from collections.abc import Callable, Hashable


class Slots:
    """A fixed number of slots and the queue for them."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._holders: set[Hashable] = set()
        self._waiting: dict[Hashable, Callable[[], None]] = {}

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    def claim(self, holder: Hashable, on_granted: Callable[[], None]) -> None:
        """Grant a slot now, or later; `on_granted` is called once unless it is released before."""
        self._waiting[holder] = on_granted
        self._grant()

    def release(self, holder: Hashable) -> None:
        """Give up a slot, or the wish for one. Harmless for who has neither."""
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
