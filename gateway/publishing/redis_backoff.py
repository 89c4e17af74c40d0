"""An outage of Redis: since when it is away, when it is back, how long to wait before each try."""

import random
from collections.abc import Iterable
from typing import Final

import structlog

from gateway.errors import PublishError

_MOST_DOUBLINGS: Final = 16  # past the longest wait by far; else the number grows without bound

_log = structlog.get_logger()


class RedisBackoff:
    """Begins with an answer that did not come, ends when no stream is without one.

    Not with any answer: of a cluster one node may be away, and its backoff must grow while the
    others are well.

    Args:
        first_s: the first wait, at most; each next one is twice as long.
        longest_s: the longest wait.
        jitter: takes up to half off each wait, so that gateways do not come as one.
    """

    def __init__(self, first_s: float, longest_s: float, jitter: random.Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter
        self._waits = 0  # since all had their answers
        self._since_s: float | None = None
        self.cause = ""  # of the outage that lasts, as its first answer told; empty without one

    def note(
        self,
        acknowledgements: Iterable[int | PublishError],
        now_s: float,
        *,
        is_anything_waiting: bool,
        buffered_events: int,
    ) -> None:
        """Record the outcome of an exchange; log when an outage begins and ends.

        Args:
            acknowledgements: one per call of the exchange.
            now_s: the moment of their arrival, on the monotonic clock.
            is_anything_waiting: whether streams are without an answer, of this exchange or before.
            buffered_events: for the log.
        """
        errors = [a for a in acknowledgements if isinstance(a, PublishError) and a.info.retry]
        if errors and self._since_s is None:
            self._since_s = now_s
            self.cause = errors[0].detail or errors[0].reason
            _log.warning(errors[0].reason, error=errors[0].detail, streams=len(errors))
        if errors or is_anything_waiting:
            return
        self._waits = 0
        if self._since_s is not None:
            away_ms = round((now_s - self._since_s) * 1000)
            _log.info("redis-back", away_ms=away_ms, buffered=buffered_events)
            self._since_s = None
            self.cause = ""

    def next_wait_s(self) -> float:
        """Return the delay before the next retry: exponential, half of it jitter."""
        doubled_s = self._first_s * 2.0 ** min(self._waits, _MOST_DOUBLINGS)
        self._waits += 1
        return min(self._longest_s, doubled_s) * self._jitter.uniform(0.5, 1.0)
