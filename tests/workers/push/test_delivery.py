"""What follows an attempt: tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.push.delivery import (
    PAUSES_S,
    Dead,
    Delivered,
    Gone,
    Policy,
    Result,
    Retry,
    Skipped,
    decide,
    is_to_be_disabled,
    pause_after,
)

_POLICY = Policy(budget_s=100, disable_after_s=1000)


@pytest.mark.parametrize(
    ("result", "step"),
    [
        (Result(200), Delivered()),
        (Result(is_done=True), Delivered()),
        (Result(reason="no-words", is_skipped=True), Skipped()),
        (Result(204), Delivered()),
        (Result(299), Delivered()),
        (Result(410, "status"), Gone()),
        (Result(410), Gone()),
        (Result(301, "redirect"), Retry(1.0)),
        (Result(304, "redirect"), Retry(1.0)),
        (Result(400, "status"), Retry(1.0)),
        (Result(404, "status"), Retry(1.0)),
        (Result(500, "status"), Retry(1.0)),
        (Result(503, "status", retry_after_s=40), Retry(40)),
        (Result(503, "status", retry_after_s=0.1), Retry(1.0)),
        (Result(503, "status", retry_after_s=-5), Retry(1.0)),
        (Result(503, "status", retry_after_s=101), Dead("budget")),
        (Result(reason="timeout"), Retry(1.0)),
        (Result(reason="address-refused"), Retry(1.0)),
        (Result(400, "status", is_final=True), Dead("refused")),
        (Result(200, "malformed-response"), Retry(1.0)),
    ],
)
def test_step_after_a_first_attempt(result: Result, step: object) -> None:
    assert decide(result, 1, 0, _POLICY, 0.5) == step


def test_message_is_given_up_when_the_next_attempt_would_be_after_the_budget() -> None:
    failed = Result(500, "status")
    assert decide(failed, 4, 69, _POLICY, 0.5) == Retry(PAUSES_S[3])
    assert decide(failed, 4, 71, _POLICY, 0.5) == Dead("budget")


@given(st.integers(1, 1000), st.floats(0, 1), st.none() | st.floats(-1e9, 1e9))
def test_pause_is_bounded_and_follows_the_schedule(
    attempts: int, random: float, asked_s: float | None
) -> None:
    pause_s = pause_after(attempts, random, asked_s)
    usual_s = PAUSES_S[min(attempts, len(PAUSES_S)) - 1]
    assert 0.8 * usual_s <= pause_s + 1e-9
    assert pause_s <= max(1.2 * usual_s, 3600) + 1e-9
    if asked_s is not None:
        assert pause_s >= min(asked_s, 3600)


def test_default_budget_allows_the_documented_attempts() -> None:
    """docs/push.md says how many attempts a message gets."""
    age_s, attempts = 0.0, 1
    while isinstance(step := decide(Result(500, "status"), attempts, age_s, Policy(), 0.5), Retry):
        age_s += step.pause_s
        attempts += 1
    assert attempts == 20


@pytest.mark.parametrize(
    ("since", "now_ms", "disabled"),
    [(None, 10**15, False), (0, 999_999, False), (0, 1_000_000, True)],
)
def test_endpoint_is_disabled_after_failing_for_long(
    since: int | None, now_ms: int, *, disabled: bool
) -> None:
    assert is_to_be_disabled(since, now_ms, _POLICY) == disabled
