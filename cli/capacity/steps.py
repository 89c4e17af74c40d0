"""How many sessions are tried next, and whether a server kept up with them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """The measurements of a number of sessions at the same time.

    Attributes:
        sessions: that were opened.
        failed: of those, how many failed; `reason` is that of the first one.
        first_delta_s: from the first audio to the first delta, 95th percentile of the sessions.
        lag_s: from the end of 80 ms of audio to its delta, 95th percentile of all deltas.
        word_errors: share of words that differ from the transcript of one session alone.
    """

    sessions: int
    failed: int
    reason: str
    first_delta_s: float
    lag_s: float
    word_errors: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server that keeps up may add to the values of one session alone."""

    first_delta_s: float
    lag_s: float
    word_errors: float


def problem(level: Level, alone: Level, limits: Limits) -> str:
    """Return why a server did not keep up; empty if it did."""
    if level.failed:
        return f"{level.failed} of {level.sessions} sessions failed: {level.reason}"
    for name, value, base, limit in (
        ("first delta", level.first_delta_s, alone.first_delta_s, limits.first_delta_s),
        ("lag", level.lag_s, alone.lag_s, limits.lag_s),
    ):
        if value > base + limit:
            return f"{name} {value:.2f} s, alone {base:.2f} s"
    if level.word_errors > limits.word_errors:
        return f"{level.word_errors:.0%} of the words differ"
    return ""


def next_sessions(kept_up: Sequence[int], failed: Sequence[int], most: int) -> int | None:
    """Return how many sessions to try next; None if the answer is known closely enough.

    The number doubles until the server does not keep up. Then the interval is halved until it is
    an eighth of its beginning.

    Args:
        kept_up: the numbers that a server kept up with.
        failed: those with which it did not.
        most: the largest number to try.
    """
    best = max(kept_up, default=0)
    if not failed:
        return None if best >= most else min(most, max(1, 2 * best))
    worst = min(failed)
    return None if worst - best <= max(1, best // 8) else (best + worst) // 2


def most_steps(most: int) -> int:
    """Return how many numbers are tried at most."""
    return max(_steps(capacity, most) for capacity in range(most + 1))


def _steps(capacity: int, most: int) -> int:
    """Return how many numbers are tried with a server that keeps up with a number of sessions."""
    kept_up, failed = list[int](), list[int]()
    while number := next_sessions(kept_up, failed, most):
        (kept_up if number <= capacity else failed).append(number)
    return len(kept_up) + len(failed)
