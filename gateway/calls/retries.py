"""When a track's next session is opened after a failure, and when no more is.

The wait before each attempt grows exponentially, with full jitter, and all waits of a row of
failures have a budget. A failure that a retry can't cure ends the retries at once, unless another
endpoint of the route is left.
"""

import asyncio
from typing import Final

from gateway.calls.services import CallServices, Reservation
from gateway.errors import UpstreamError

_FIRST_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
_CIRCUIT_OPEN: Final = "circuit-open"


class Retries:
    """The failures in a row of one track's sessions.

    Args:
        services: what all calls share.
        reservation: the session slots of the stream.

    Attributes:
        failure: why the last session failed; None after progress.
        since_s: when the first failure in a row was, on the monotonic clock; None without one.
    """

    def __init__(self, services: CallServices, reservation: Reservation) -> None:
        self.failure: UpstreamError | None = None
        self.since_s: float | None = None
        self._services = services
        self._reservation = reservation
        self._count = 0

    def reset(self) -> None:
        """Begin again, after progress."""
        self.failure = None
        self.since_s = None
        self._count = 0

    def may_skip_wait(self) -> bool:
        """Return whether an expected end is the first failure in a row; count it then."""
        if self._count:
            return False
        self._count = 1
        return True

    async def back_off(self, error: UpstreamError) -> None:
        """Wait before the next attempt.

        Raises:
            UpstreamError: the failure can't be cured by a retry, here or at another endpoint, or
                the budget is exhausted.
        """
        # An open breaker is not the cause: what opened it is, if this call has seen it.
        is_breaker = error.reason == _CIRCUIT_OPEN
        self.failure = self.failure if self.failure and is_breaker else error
        now_s = self._services.monotonic_s()
        if self.since_s is None:
            self.since_s = now_s
        longest_s = min(LONGEST_WAIT_S, _FIRST_S * 2.0 ** min(self._count, 16))
        self._count += 1
        wait_s = self._services.random.uniform(0, longest_s)
        spent_s = now_s + wait_s - self.since_s
        may_be_cured = error.info.retry or self._reservation.has_endpoint_left
        if not may_be_cured or spent_s > self._services.limits.retry_budget_s:
            raise self.failure
        await asyncio.sleep(wait_s)
