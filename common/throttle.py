"""Log lines that would repeat: the first passes, then one in a while, with a count of the rest."""

from collections.abc import Callable, Hashable
from typing import Final

_MOST_KEYS: Final = 256


class Throttle:
    """Decides which of many equal log lines are written.

    Args:
        monotonic_s: the clock.
        every_s: one line per key passes in so many seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float], every_s: float = 60.0) -> None:
        self._monotonic_s = monotonic_s
        self._every_s = every_s
        self._passed: dict[Hashable, tuple[float, int]] = {}  # key -> when, and suppressed since

    def admit(self, key: Hashable) -> int | None:
        """Return how many lines were suppressed since the last one; None if this one is, too.

        If more keys come than are remembered, the oldest is forgotten.
        """
        now_s = self._monotonic_s()
        passed_s, suppressed = self._passed.get(key, (None, 0))
        if passed_s is not None and now_s - passed_s < self._every_s:
            self._passed[key] = passed_s, suppressed + 1
            return None
        self._passed.pop(key, None)
        if len(self._passed) >= _MOST_KEYS:
            del self._passed[next(iter(self._passed))]
        self._passed[key] = now_s, 0
        return suppressed
