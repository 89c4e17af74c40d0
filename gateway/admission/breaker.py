"""The circuit breaker of one endpoint: limits attempts while the endpoint fails. Pure.

state        attempts allowed         transition
CLOSED       all                      enough failures in a row -> OPEN
OPEN         none                     the cool-down ends -> HALF_OPEN
HALF_OPEN    one at a time, a probe   the probe fails -> OPEN, with a longer cool-down

The breaker opens after THRESHOLD failures in a row from at least two calls, or after LONE_THRESHOLD
failures from a single call, because that call's audio may be the cause. If a probe has no result
for PROBE_S (for example because its call is silent), another probe is allowed.

A success, of the probe or of an older attempt, closes the breaker from any state. While the breaker
is not CLOSED, failures of attempts other than the probe are ignored: they began before it opened.
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
    """The state of a breaker; its number is the value of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Counts an endpoint's failed sessions and decides when a new attempt is allowed.

    Args:
        random: jitter, so that gateways that saw the same failure retry at different times.
    """

    __slots__ = ("_callers", "_failures", "_probe_until_s", "_random", "_trips", "retry_at_s")

    def __init__(self, random: Random) -> None:
        self.retry_at_s: float | None = None  # when the cool-down ends; None while CLOSED
        self._random = random
        self._failures = 0  # in a row, while CLOSED
        self._callers: set[int] = set()  # the calls whose attempts failed
        self._trips = 0  # cool-downs since the last success
        self._probe_until_s: float | None = None  # None if no probe is in flight

    def state(self, now_s: float) -> BreakerState:
        """Return the state at a time of the monotonic clock."""
        if self.retry_at_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.retry_at_s else BreakerState.HALF_OPEN

    def allows(self, now_s: float) -> bool:
        """Return whether an attempt may be made now."""
        state = self.state(now_s)
        return state is BreakerState.CLOSED or (
            state is BreakerState.HALF_OPEN
            and (self._probe_until_s is None or now_s >= self._probe_until_s)
        )

    def enter(self, now_s: float) -> bool:
        """Begin an attempt; call it only if `allows` returned True.

        Returns:
            Whether the attempt is the probe. The caller must then report its result with
            `succeed` or `fail`, or call `abandon_probe`.
        """
        if self.state(now_s) is not BreakerState.HALF_OPEN:
            return False
        self._probe_until_s = now_s + PROBE_S
        return True

    def succeed(self) -> None:
        """Close the breaker after an attempt that succeeded."""
        self.retry_at_s = None
        self._trips = 0
        self._reset_counts()

    def fail(self, now_s: float, *, caller: int, probe: bool) -> None:
        """Count a failed attempt; open the breaker if there were enough.

        Args:
            now_s: the time on the monotonic clock.
            caller: identifies the call that made the attempt.
            probe: what `enter` returned for the attempt.
        """
        if self.retry_at_s is None:
            self._failures += 1
            self._callers.add(caller)
            if self._failures >= (THRESHOLD if len(self._callers) > 1 else LONE_THRESHOLD):
                self._trip(now_s)
        elif probe and self.state(now_s) is BreakerState.HALF_OPEN:
            self._trip(now_s)

    def abandon_probe(self) -> None:
        """End a probe without a result, so that another one is allowed."""
        self._probe_until_s = None

    def _trip(self, now_s: float) -> None:
        cool_down_s = min(FIRST_COOL_DOWN_S * 2**self._trips, LONGEST_COOL_DOWN_S)
        self.retry_at_s = now_s + cool_down_s * self._random.uniform(0.5, 1)
        self._trips += 1
        self._reset_counts()

    def _reset_counts(self) -> None:
        self._failures = 0
        self._callers.clear()
        self._probe_until_s = None
