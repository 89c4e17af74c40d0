"""Timers of the publisher, and the delays between retries while Redis is unavailable."""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from gateway.errors import PublishError

_MOST_DOUBLINGS: Final = 16  # far beyond the longest wait; limits the exponent

_log = structlog.get_logger()

type Purpose = Callable[[], None]  # the callback


class Timers:
    """Delayed callbacks. A timer that has fired counts as set until `stop`."""

    def __init__(self) -> None:
        self._handles: dict[Purpose, asyncio.TimerHandle] = {}

    def __contains__(self, purpose: Purpose) -> bool:
        """Return whether a timer is set for this callback."""
        return purpose in self._handles

    def after(self, delay_s: float, purpose: Purpose) -> None:
        """Set a timer, unless there is one."""
        if purpose not in self._handles:
            loop = asyncio.get_running_loop()
            self._handles[purpose] = loop.call_later(delay_s, purpose)

    def stop(self, purpose: Purpose) -> None:
        """Cancel a timer, if one is set, so that it can be set again."""
        if handle := self._handles.pop(purpose, None):
            handle.cancel()

    def stop_all(self) -> None:
        """Cancel all timers. Those that were set can't be set again."""
        for handle in self._handles.values():
            handle.cancel()


class RedisBackoff:
    """An exponential backoff: begins when a batch's outcome is unknown, ends when none is.

    A single reply does not end it: one node of a cluster may be unavailable, and its backoff must
    grow while the other nodes reply.

    Args:
        first_s: maximum of the first wait; each further one is twice as long.
        longest_s: maximum of all waits.
        jitter: shortens each wait by up to half, so that gateways do not retry at the same time.

    Attributes:
        cause: why the outage began; empty without one.
    """

    def __init__(self, first_s: float, longest_s: float, jitter: random.Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter
        self.cause = ""
        self._waits = 0  # in this outage
        self._since_s: float | None = None  # when the outage began

    def note(
        self,
        replies: Iterable[int | PublishError],
        now_s: float,
        *,
        is_anything_waiting: bool,
        buffered_events: int,
    ) -> None:
        """Record the outcome of an exchange; log when an outage begins and ends.

        Args:
            replies: one per call of the exchange.
            now_s: when they arrived, on the monotonic clock.
            is_anything_waiting: whether any stream's batch has an unknown outcome, in this exchange
                or an earlier one.
            buffered_events: for the log.
        """
        errors = [a for a in replies if isinstance(a, PublishError) and a.info.retry]
        if errors and self._since_s is None:
            self._since_s = now_s
            self.cause = errors[0].detail or errors[0].reason
            _log.warning(errors[0].reason, error=errors[0].detail, streams=len(errors))
        if errors or is_anything_waiting:
            return
        self._waits = 0
        if self._since_s is not None:
            outage_ms = round((now_s - self._since_s) * 1000)
            _log.info("redis-back", away_ms=outage_ms, buffered=buffered_events)
            self._since_s = None
            self.cause = ""

    def next_wait_s(self) -> float:
        """Return the delay before the next retry: exponential, half of it jitter."""
        doubled_s = self._first_s * 2.0 ** min(self._waits, _MOST_DOUBLINGS)
        self._waits += 1
        return min(self._longest_s, doubled_s) * self._jitter.uniform(0.5, 1.0)
