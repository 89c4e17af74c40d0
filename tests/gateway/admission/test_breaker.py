"""The breaker's table: every state, every event; and how long it stays open."""

from collections.abc import Callable
from random import Random

import pytest

from gateway.admission.breaker import (
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
    """Fail the attempts of as many calls."""
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
        (closed, Breaker.forgo, CLOSED, True),
        (opened, Breaker.succeed, CLOSED, True),
        (opened, fail, HALF_OPEN, True),  # LATER_S is beyond the cool-down
        (opened, fail_probe, OPEN, False),  # a probe that was thought forgone
        (opened, Breaker.forgo, HALF_OPEN, True),
        (probing, Breaker.succeed, CLOSED, True),
        (probing, fail, HALF_OPEN, False),
        (probing, fail_probe, OPEN, False),
        (probing, Breaker.forgo, HALF_OPEN, True),
    ],
)
def test_states(
    make: Callable[[], Breaker],
    event: Callable[[Breaker], None],
    state: BreakerState,
    allows: bool,
) -> None:
    breaker = make()
    event(breaker)
    assert (breaker.state(LATER_S), breaker.allows(LATER_S)) == (state, allows)


def test_only_failures_in_a_row_open_it() -> None:
    breaker = closed()
    fail_in_a_row(breaker, THRESHOLD - 1)
    breaker.succeed()
    fail_in_a_row(breaker, THRESHOLD - 1)
    assert breaker.allows(0)
    fail_in_a_row(breaker, 1)
    assert not breaker.allows(0)


def test_one_call_alone_needs_more_failures_to_open_it() -> None:
    """Symptom: a call whose audio made the model fail shut the endpoint for all others."""
    breaker = closed()
    for _ in range(LONE_THRESHOLD - 1):
        breaker.fail(0, caller=1, probe=False)
    assert breaker.allows(0)
    breaker.fail(0, caller=1, probe=False)
    assert not breaker.allows(0)


def test_another_call_s_failure_confirms_those_of_the_first() -> None:
    breaker = closed()
    for _ in range(LONE_THRESHOLD - 1):
        breaker.fail(0, caller=1, probe=False)
    breaker.fail(0, caller=2, probe=False)
    assert not breaker.allows(0)


def test_a_probe_that_tells_nothing_lets_another_one_try() -> None:
    """Symptom: the probe's call was silent, and kept the endpoint shut for all."""
    breaker = probing()
    assert not breaker.allows(LATER_S + PROBE_S - 1)
    assert breaker.allows(LATER_S + PROBE_S)
    assert breaker.enter(LATER_S + PROBE_S)
    assert not breaker.allows(LATER_S + PROBE_S)


def test_one_probe_at_a_time() -> None:
    breaker = opened()
    assert breaker.allows(LATER_S)
    assert breaker.enter(LATER_S)
    assert not breaker.allows(LATER_S)
    breaker.succeed()
    assert not breaker.enter(LATER_S)  # an attempt like any other


def test_a_late_probe_does_not_prolong_the_cool_down() -> None:
    breaker = opened()
    retry_at_s = breaker.retry_at_s
    breaker.fail(0, caller=1, probe=True)
    assert breaker.retry_at_s == retry_at_s


def test_attempts_are_no_probes_while_it_is_closed() -> None:
    breaker = closed()
    assert not breaker.enter(0)


def test_cool_downs_double_up_to_a_limit_and_start_over_after_a_success() -> None:
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


def test_gateways_ask_again_at_different_times() -> None:
    at = set()
    for seed in range(20):
        breaker = Breaker(Random(seed))  # noqa: S311  # jitter
        fail_in_a_row(breaker, THRESHOLD)
        at.add(breaker.retry_at_s)
    assert len(at) == 20
