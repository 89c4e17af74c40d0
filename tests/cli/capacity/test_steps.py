"""Which numbers of sessions are tried, and when a server no longer keeps up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.capacity.steps import Level, Limits, most_steps, next_sessions, problem

LIMITS = Limits(first_delta_s=1.0, lag_s=0.5, word_errors=0.05)
ALONE = Level(1, 0, "", first_delta_s=0.6, lag_s=0.5, word_errors=0.0)


def tried(capacity: int, most: int) -> tuple[list[int], list[int]]:
    """Return the numbers that are tried with a server: those that it keeps up with, and others."""
    kept_up, failed = list[int](), list[int]()
    while number := next_sessions(kept_up, failed, most):
        assert number not in kept_up
        assert number not in failed
        (kept_up if number <= capacity else failed).append(number)
    return kept_up, failed


def test_number_doubles_and_then_the_interval_is_halved() -> None:
    assert tried(11, 64) == ([1, 2, 4, 8, 10, 11], [16, 12])


@given(st.integers(0, 300), st.integers(1, 200))
def test_result_is_close_to_the_capacity_and_never_above(capacity: int, most: int) -> None:
    kept_up, failed = tried(capacity, most)
    best = max(kept_up, default=0)
    assert best <= capacity
    assert min(capacity, most) - best <= max(1, best // 8)
    assert max([*kept_up, *failed]) <= most
    assert len(kept_up) + len(failed) <= 20


def test_most_steps_bounds_what_is_tried() -> None:
    for most in (1, 2, 5, 32, 100):
        worst = max(sum(map(len, tried(capacity, most))) for capacity in range(most + 1))
        assert worst == most_steps(most)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"first_delta_s": 1.5, "lag_s": 0.9, "word_errors": 0.04}, ""),
        ({"failed": 2, "reason": "capacity: full"}, "2 of 8 sessions failed: capacity: full"),
        ({"first_delta_s": 1.7}, "first delta 1.70 s, alone 0.60 s"),
        ({"lag_s": 1.2}, "lag 1.20 s, alone 0.50 s"),
        ({"word_errors": 0.2}, "20% of the words differ"),
    ],
)
def test_first_problem_is_named(change: dict[str, object], why: str) -> None:
    level = replace(ALONE, sessions=8, **change)  # type: ignore[arg-type]
    assert problem(level, ALONE, LIMITS) == why
