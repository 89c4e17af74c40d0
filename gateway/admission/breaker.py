"""The circuit breaker of one endpoint: a dead one is asked now and then, not by every call. Pure.

state        attempts                          leaves it
CLOSED       all                               enough failures in a row -> OPEN
OPEN         none until the cool-down is over  cool-down over -> HALF_OPEN
HALF_OPEN    one at a time: the probe          the probe fails -> OPEN, for longer

Enough are THRESHOLD from two calls or more, or LONE_THRESHOLD from one, which may be at fault.
A probe that has told nothing for PROBE_S (its call is silent, say) lets another one try.

A success, of the probe or of an older attempt, leads to CLOSED from any state. A failure of an
attempt that began before the breaker opened says nothing new and is ignored while it is not CLOSED.
"""

from enum import IntEnum
from random import Random
from typing import Final

THRESHOLD: Final = 5
LONE_THRESHOLD: Final = 2 * THRESHOLD
PROBE_S: Final = 20.0
FIRST_COOL_DOWN_S: Final = 1.0
LONGEST_COOL_DOWN_S: Final = 30.0


class BreakerState(IntEnum):
    """What a breaker lets through; the number is the metric's value."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Counts an endpoint's failures to open a session, and says when it may be asked.

    Args:
        random: makes gateways that saw the same failure ask again at different times.
    """

    __slots__ = ("_callers", "_failures", "_probe_until_s", "_random", "_trips", "retry_at_s")

    def __init__(self, random: Random) -> None:
        self.retry_at_s: float | None = None  # when the cool-down is over; None while CLOSED
        self._random = random
        self._failures = 0  # in a row, while CLOSED
        self._callers: set[int] = set()  # whose they were
        self._trips = 0  # cool-downs since the last success
        self._probe_until_s: float | None = None  # None while there is no probe

    def state(self, now_s: float) -> BreakerState:
        """Tell the state at a time of the monotonic clock."""
        if self.retry_at_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.retry_at_s else BreakerState.HALF_OPEN

    def allows(self, now_s: float) -> bool:
        """Whether an attempt may be made now."""
        state = self.state(now_s)
        return state is BreakerState.CLOSED or (
            state is BreakerState.HALF_OPEN
            and (self._probe_until_s is None or now_s >= self._probe_until_s)
        )

    def enter(self, now_s: float) -> bool:
        """Begin an attempt that `allows` allows.

        Returns:
            Whether it is the probe; whoever makes it says how it went, or forgoes it.
        """
        if self.state(now_s) is not BreakerState.HALF_OPEN:
            return False
        self._probe_until_s = now_s + PROBE_S
        return True

    def succeed(self) -> None:
        """Learn that an attempt succeeded."""
        self.retry_at_s = None
        self._trips = 0
        self._forget()

    def fail(self, now_s: float, *, caller: int, probe: bool) -> None:
        """Learn that an attempt failed.

        Args:
            now_s: by the monotonic clock.
            caller: tells the call that made it from others.
            probe: what `enter` said of it.
        """
        if self.retry_at_s is None:
            self._failures += 1
            self._callers.add(caller)
            if self._failures >= (THRESHOLD if len(self._callers) > 1 else LONE_THRESHOLD):
                self._trip(now_s)
        elif probe and self.state(now_s) is BreakerState.HALF_OPEN:
            self._trip(now_s)

    def forgo(self) -> None:
        """Learn that the probe told nothing; another one may."""
        self._probe_until_s = None

    def _trip(self, now_s: float) -> None:
        cool_down_s = min(FIRST_COOL_DOWN_S * 2**self._trips, LONGEST_COOL_DOWN_S)
        self.retry_at_s = now_s + cool_down_s * self._random.uniform(0.5, 1)
        self._trips += 1
        self._forget()

    def _forget(self) -> None:
        self._failures = 0
        self._callers.clear()
        self._probe_until_s = None
