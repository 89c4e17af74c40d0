"""Throttles repeated log lines: passes the first one, then one per interval with a count."""

from collections.abc import Callable, Hashable
from typing import Final

_MAX_KEYS: Final = 256


class Throttle:
    """Decides which repetitions of a log line are written.

    Args:
        monotonic_s: the monotonic clock, in seconds.
        every_s: the interval in which one line per key passes, in seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float], every_s: float = 60.0) -> None:
        self._monotonic_s = monotonic_s
        self._every_s = every_s
        self._passed: dict[Hashable, tuple[float, int]] = {}  # key -> when, and suppressed since

    def admit(self, key: Hashable) -> int | None:
        """Decide whether a line is written.

        At most 256 keys are kept; above that, the oldest is evicted.

        Returns:
            How many lines were suppressed since the last one that passed; None to suppress this
            line as well.
        """
        now_s = self._monotonic_s()
        passed_s, suppressed = self._passed.get(key, (None, 0))
        if passed_s is not None and now_s - passed_s < self._every_s:
            self._passed[key] = passed_s, suppressed + 1
            return None
        self._passed.pop(key, None)
        if len(self._passed) >= _MAX_KEYS:
            del self._passed[next(iter(self._passed))]
        self._passed[key] = now_s, 0
        return suppressed
