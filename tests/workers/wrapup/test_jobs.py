"""When a job is attempted again, and how it is stored."""

from typing import Final

import pytest

from tests.workers.wrapup.calls import end
from workers.wrapup import jobs
from workers.wrapup.failures import FINAL, OF_REPLY, Reason
from workers.wrapup.jobs import Budget, Failure, Job

BUDGET: Final = Budget(ms=600_000, tokens=1000)
T: Final = 1_795_255_616_000


def first() -> Job:
    job = jobs.begun(jobs.of_end(end(7), T, grace_ms=5000), T + 5000)
    assert isinstance(job, Job)
    return job


def test_job_of_an_end_is_the_same_whenever_it_is_created() -> None:
    a, b = jobs.of_end(end(7), T, 5000), jobs.of_end(end(7), T + 99, 5000)
    assert a.key == b.key
    assert a.due_ms == T + 5000
    others = [end(8), end(7, epoch=2), end(7, stream="MZ2"), end(7, call="CA2")]
    assert len({a.key, *(jobs.of_end(each, T, 0).key for each in others)}) == 5


@pytest.mark.parametrize("request_id", ["", "x", "a b c d e", "../../../../", "A" * 8, "a" * 65])
def test_malformed_request_is_refused(request_id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        jobs.of_request({"call_id": "CA1", "request": request_id}, T)


@pytest.mark.parametrize("reason", sorted(set(Reason) - FINAL - OF_REPLY))
def test_server_that_fails_is_tried_until_the_time_is_used_up(reason: Reason) -> None:
    job, now_ms, waits = first(), T + 5000, []
    while True:
        again = jobs.failed(job, reason, now_ms, BUDGET)
        if isinstance(again, Failure):
            break
        waits.append(again.due_ms - now_ms)
        now_ms = again.due_ms
        beginning = jobs.begun(again, now_ms)
        assert isinstance(beginning, Job)
        job = beginning
    assert again.reason == reason
    assert waits[:8] == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
    assert sum(waits) <= BUDGET.ms < sum(waits) + 60_000


@pytest.mark.parametrize("reason", sorted(OF_REPLY))
def test_replies_that_can_not_be_used_end_after_three(reason: Reason) -> None:
    job = first()
    for _ in range(2):
        again = jobs.failed(job, reason, T + 5000, BUDGET)
        assert isinstance(again, Job)
        job = again
    assert isinstance(jobs.failed(job, Reason.TIMEOUT, T + 5000, BUDGET), Job)
    assert isinstance(jobs.failed(job, reason, T + 5000, BUDGET), Failure)


@pytest.mark.parametrize("reason", sorted(FINAL))
def test_nothing_is_repeated_that_can_not_succeed(reason: Reason) -> None:
    assert isinstance(jobs.failed(first(), reason, T + 5000, BUDGET), Failure)


def test_server_decides_when_to_be_called_again_within_the_budget() -> None:
    again = jobs.failed(first(), Reason.THROTTLED, T + 5000, BUDGET, retry_after_ms=90_000)
    assert isinstance(again, Job)
    assert again.due_ms == T + 95_000
    never = jobs.failed(first(), Reason.THROTTLED, T + 5000, BUDGET, retry_after_ms=600_001)
    assert isinstance(never, Failure)


def test_tokens_are_limited() -> None:
    job = jobs.used(jobs.used(first(), 400), 600)
    failure = jobs.failed(job, Reason.TIMEOUT, T + 5000, BUDGET)
    assert isinstance(failure, Failure)
    assert failure.reason == Reason.TOKEN_BUDGET


def test_job_that_crashes_each_process_ends() -> None:
    job = first()
    for _ in range(4):
        again = jobs.begun(job, T)
        assert isinstance(again, Job)
        job = again
    ended = jobs.begun(job, T)
    assert isinstance(ended, Failure)
    assert ended.reason == Reason.CRASHED


def test_interrupted_attempts_do_not_count() -> None:
    job = jobs.of_end(end(7), T, 0)
    for _ in range(20):
        again = jobs.begun(job, T)
        assert isinstance(again, Job)
        job = jobs.interrupted(again)
    assert job.tries == 0
    assert jobs.interrupted(job).tries == 0


def test_stored_job_is_read_again_and_another_form_is_skipped() -> None:
    job = jobs.failed(jobs.used(first(), 3), Reason.CUT, T + 5000, BUDGET)
    assert isinstance(job, Job)
    assert jobs.decode(jobs.encode(job)) == job
    for text in ("", "{}", "[]", '{"call_id": 1}'):
        assert jobs.decode(text) is None


def test_representation_has_no_fields_of_the_event() -> None:
    assert "stopped" not in repr(first())
