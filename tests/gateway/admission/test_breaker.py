"""The breaker's transitions from every state, and the cool-down times."""

from collections.abc import Callable
from random import Random

import pytest

from gateway.admission.breaker import (
    FIRST_COOL_DOWN_S,
    LONE_THRESHOLD,
    LONGEST_COOL_DOWN_S,
    PROBE_S,
    THRESHOLD,
    Breaker,
    BreakerState,
)

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN
LATER_S = 1000.0  # beyond every cool-down


def closed() -> Breaker:
    return Breaker(Random(1))  # noqa: S311  # jitter


def fail_in_a_row(breaker: Breaker, times: int) -> None:
    """Fail one attempt of each of `times` calls."""
    for caller in range(times):
        breaker.fail(0, caller=caller, probe=False)


def opened() -> Breaker:
    breaker = closed()
    fail_in_a_row(breaker, THRESHOLD)
    return breaker


def probing() -> Breaker:
    breaker = opened()
    assert breaker.enter(LATER_S)
    return breaker


def fail(breaker: Breaker) -> None:
    breaker.fail(LATER_S, caller=1, probe=False)


def fail_probe(breaker: Breaker) -> None:
    breaker.fail(LATER_S, caller=1, probe=True)


@pytest.mark.parametrize(
    ("make", "event", "state", "allows"),
    [
        (closed, Breaker.succeed, CLOSED, True),
        (closed, fail, CLOSED, True),
        (closed, Breaker.abandon_probe, CLOSED, True),
        (opened, Breaker.succeed, CLOSED, True),
        (opened, fail, HALF_OPEN, True),  # LATER_S is beyond the cool-down
        (opened, fail_probe, OPEN, False),  # a probe that was abandoned before
        (opened, Breaker.abandon_probe, HALF_OPEN, True),
        (probing, Breaker.succeed, CLOSED, True),
        (probing, fail, HALF_OPEN, False),
        (probing, fail_probe, OPEN, False),
        (probing, Breaker.abandon_probe, HALF_OPEN, True),
    ],
)
def test_transitions(
    make: Callable[[], Breaker],
    event: Callable[[Breaker], None],
    state: BreakerState,
    allows: bool,
) -> None:
    breaker = make()
    event(breaker)
    assert (breaker.state(LATER_S), breaker.allows(LATER_S)) == (state, allows)


def test_success_resets_the_failure_count() -> None:
    breaker = closed()
    fail_in_a_row(breaker, THRESHOLD - 1)
    breaker.succeed()
    fail_in_a_row(breaker, THRESHOLD - 1)
    assert breaker.allows(0)
    fail_in_a_row(breaker, 1)
    assert not breaker.allows(0)


def test_single_call_needs_more_failures_to_open_it() -> None:
    """Symptom: one call whose audio made the model fail opened the breaker for all calls."""
    breaker = closed()
    for _ in range(LONE_THRESHOLD - 1):
        breaker.fail(0, caller=1, probe=False)
    assert breaker.allows(0)
    breaker.fail(0, caller=1, probe=False)
    assert not breaker.allows(0)


def test_failure_of_a_second_call_opens_it() -> None:
    breaker = closed()
    for _ in range(LONE_THRESHOLD - 1):
        breaker.fail(0, caller=1, probe=False)
    breaker.fail(0, caller=2, probe=False)
    assert not breaker.allows(0)


def test_probe_without_result_allows_another_one() -> None:
    """Symptom: the probe's call was silent, and the breaker stayed open for all calls."""
    breaker = probing()
    assert not breaker.allows(LATER_S + PROBE_S - 1)
    assert breaker.allows(LATER_S + PROBE_S)
    assert breaker.enter(LATER_S + PROBE_S)
    assert not breaker.allows(LATER_S + PROBE_S)


def test_only_one_probe_is_allowed() -> None:
    breaker = opened()
    assert breaker.allows(LATER_S)
    assert breaker.enter(LATER_S)
    assert not breaker.allows(LATER_S)
    breaker.succeed()
    assert not breaker.enter(LATER_S)  # an attempt like any other


def test_late_probe_failure_does_not_extend_the_cool_down() -> None:
    breaker = opened()
    retry_at_s = breaker.retry_at_s
    breaker.fail(0, caller=1, probe=True)
    assert breaker.retry_at_s == retry_at_s


def test_attempt_while_closed_is_no_probe() -> None:
    breaker = closed()
    assert not breaker.enter(0)


def test_cool_down_doubles_up_to_a_limit_and_is_reset_by_success() -> None:
    breaker, now_s, cool_downs = opened(), 0.0, []
    for _ in range(10):
        assert breaker.retry_at_s is not None
        cool_downs.append(breaker.retry_at_s - now_s)
        assert breaker.state(breaker.retry_at_s - 0.001) is OPEN
        now_s = breaker.retry_at_s
        assert breaker.enter(now_s)
        breaker.fail(now_s, caller=1, probe=True)
    for i, cool_down_s in enumerate(cool_downs):
        full_s = min(2.0**i, LONGEST_COOL_DOWN_S)
        assert full_s / 2 <= cool_down_s <= full_s
    breaker.succeed()
    fail_in_a_row(breaker, THRESHOLD)
    assert breaker.retry_at_s is not None
    assert breaker.retry_at_s <= 1


def test_retry_times_have_jitter() -> None:
    at = set()
    for seed in range(20):
        breaker = Breaker(Random(seed))  # noqa: S311  # jitter
        fail_in_a_row(breaker, THRESHOLD)
        at.add(breaker.retry_at_s)
    assert len(at) == 20


def test_failed_probe_does_not_delay_the_next_probe() -> None:
    breaker = probing()
    fail_probe(breaker)
    after_cool_down_s = LATER_S + 2 * FIRST_COOL_DOWN_S
    assert after_cool_down_s < LATER_S + PROBE_S
    assert breaker.allows(after_cool_down_s)


def test_numbers_are_those_of_the_documentation() -> None:
    """docs/routes.md, "When an endpoint fails"; docs/metrics.md, the states of the breaker."""
    assert (THRESHOLD, LONE_THRESHOLD, PROBE_S) == (5, 10, 20)
    assert (FIRST_COOL_DOWN_S, LONGEST_COOL_DOWN_S) == (1, 30)
    assert (CLOSED, HALF_OPEN, OPEN) == (0, 1, 2)
