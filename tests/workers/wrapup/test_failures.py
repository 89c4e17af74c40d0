"""The worker `wrapup` with a server that fails: budgets, dead letters, and other calls."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest
from aiohttp import web

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from tests.waiting import eventually
from tests.workers.client.stories import fields
from tests.workers.wrapup.a_server import delta, good, hanging, status, streamed
from tests.workers.wrapup.bench import PARTITION, Bench, benched, calls_of
from tests.workers.wrapup.calls import call_fields, end
from workers.consumer import DeadLetters
from workers.wrapup.drafting import Draft
from workers.wrapup.failures import Reason
from workers.wrapup.jobs import REQUESTED
from workers.wrapup.store import Store

EVENTS: Final = call_fields()
_LYING: Final = {"summary": [{"text": "Nothing of it is true.", "segments": [77]}]}
_CONTEXT: Final = {"message": "This model's maximum context length is 4096 tokens."}


def scripted(*replies: Any) -> Any:
    """Return a script of replies, one after another; the last one is repeated."""
    left = list(replies)

    def script(body: Any) -> object:
        reply = left.pop(0) if len(left) > 1 else left[0]
        return reply(body) if reply is good else reply

    return script


def count_failures(bench: Bench) -> float:
    """Return how many attempts have failed, for whatever reason."""
    return sum(bench.metric("wrapup_failures_total", reason=reason) for reason in Reason)


async def until_failed(bench: Bench, count: float) -> None:
    """Wait until some attempts have failed."""
    await eventually(lambda: count_failures(bench) >= count)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (status(500), "server-error"),
        (status(429, Retry_After="0.01"), "throttled"),
        (status(401), "unauthorized"),
        (streamed("I'm sorry, but I can't help with that."), "malformed"),
        (streamed("", finish="content_filter"), "refused"),
        (streamed('{"summary": []}', finish=None), "cut"),
        (_LYING, "unsupported"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_failed_attempt_is_repeated(redis_url: str, reply: Any, reason: str) -> None:
    async with benched(redis_url, scripted(reply, good)) as bench:
        await bench.write(*EVENTS)
        await bench.handle(*EVENTS)
        await bench.tick(6000)
        await until_failed(bench, 1)
        await bench.tick()
        assert len(bench.server.requests) == 1, "it waits"
        await bench.until_done()
        assert bench.metric("wrapup_failures_total", reason=reason) == 1
        assert len(await bench.wrapups()) == 1
        assert len(bench.server.requests) == 2


async def test_call_without_usable_reply_is_a_dead_letter_and_can_be_retried(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    replies = [streamed("secret phrase"), _LYING, streamed("", finish="content_filter"), good]
    async with benched(redis_url, scripted(*replies)) as bench:
        await bench.add(*EVENTS)
        for number in range(1, 4):
            await bench.tick(60_000)
            await until_failed(bench, number)
        await bench.until_done(0)
        (letter,) = await bench.dead()
        assert letter.fields["dead_error"] == "refused"
        assert letter.fields["dead_tries"] == "3"
        assert letter.fields["type"] == "stream.ended"
        assert "wrapup-failed call_id=CA1 trigger=ended reason=refused tries=3" in caplog.text
        assert bench.result("failed") == 1
        assert not await bench.wrapups()
        await DeadLetters(bench.client, bench.group).retry(PARTITION, [letter.id])
        await bench.handle(*await bench.retries())
        await bench.until_done()
        assert len(await bench.wrapups()) == 1
        assert not await bench.dead()
    assert "secret" not in caplog.text


async def test_request_that_failed_is_a_dead_letter(redis_url: str) -> None:
    async with benched(redis_url, lambda _: status(400)) as bench:
        await bench.write(*EVENTS[:3])
        request = fields(REQUESTED, 0, stream="-", epoch=0, request="00112233")
        await bench.handle(request)
        await bench.until_done()
        (letter,) = await bench.dead()
        assert (letter.fields["dead_error"], letter.fields["dead_tries"]) == ("bad-request", "1")
        assert letter.fields["request"] == "00112233"


async def test_server_that_is_down_ends_with_the_budget(redis_url: str) -> None:
    async with benched(redis_url, lambda _: status(503), budget_s=100) as bench:
        await bench.add(*EVENTS)
        while bench.pending:
            failures = count_failures(bench)
            await bench.tick(60_000)
            if bench.pending:
                await until_failed(bench, failures + 1)
                await bench.tick()
        (letter,) = await bench.dead()
        assert letter.fields["dead_error"] == "server-error"
        assert 2 <= len(bench.server.requests) <= 4


async def test_token_budget_ends_a_long_call(redis_url: str) -> None:
    texts = [f"This is sentence {n} of a long call about a contract." for n in range(300)]
    more = {"context_tokens": 4096, "budget_tokens": 2600}
    async with benched(redis_url, good, **more) as bench:
        await bench.add(*call_fields(*texts))
        await bench.until_done()
        (letter,) = await bench.dead()
        assert letter.fields["dead_error"] == "token-budget"
        assert 1 <= len(bench.server.requests) <= 3


async def test_context_that_is_smaller_than_set_leads_to_smaller_requests(redis_url: str) -> None:
    texts = [f"This is sentence {n} of a long call about a contract." for n in range(300)]

    def script(body: Any) -> object:
        is_long = len(body["messages"][1]["content"]) > 10_000
        return status(400, _CONTEXT) if is_long else good(body)

    async with benched(redis_url, script) as bench:
        await bench.add(*call_fields(*texts))
        await bench.until_done()
        assert len(await bench.wrapups()) == 1
        assert bench.metric("wrapup_failures_total", reason="context-exceeded") == 0


async def test_progress_of_a_long_call_is_kept_between_attempts(redis_url: str) -> None:
    texts = [f"This is sentence {n} of a long call about a contract." for n in range(300)]
    async with benched(redis_url, context_tokens=4096) as bench:
        bench.server.script = lambda body: (
            status(500) if len(bench.server.requests) == 2 else good(body)
        )
        await bench.add(*call_fields(*texts))
        await bench.tick(6000)
        await until_failed(bench, 1)
        await bench.tick()
        await bench.until_done()
        users = [each["messages"][1]["content"] for each in bench.server.requests]
        assert users[1] == users[2], "the part that failed"
        assert users.count(users[0]) == 1, "the part before it"


async def test_slow_call_does_not_delay_others(redis_url: str) -> None:
    slow, other = calls_of(2)

    def script(body: Any) -> object:
        return hanging if f"I am {slow}." in body["messages"][1]["content"] else good(body)

    async with benched(redis_url, script) as bench:
        for name in (slow, other):
            await bench.add(*call_fields(f"I am {name}.", call=name))
        await bench.until_done(left=1)
        assert len(await bench.wrapups(other)) == 1
        assert not await bench.wrapups(slow)


async def test_wrap_ups_of_a_call_are_made_one_after_another(redis_url: str) -> None:
    release = asyncio.Event()

    def script(body: Any) -> object:
        async def write(response: web.StreamResponse) -> None:
            await release.wait()
            await streamed('{"summary": [{"text": "It is.", "segments": [1]}]}')(response)

        return write

    async with benched(redis_url, script) as bench:
        await bench.write(*EVENTS)
        await bench.handle(fields(REQUESTED, 0, stream="-", epoch=0, request="00112233"))
        await bench.handle(*EVENTS)
        await bench.tick(60_000)
        await bench.server.until(1)
        await bench.tick(60_000)
        assert len(bench.server.requests) == 1
        release.set()
        await bench.until_done()
        assert [each.trigger for each in await bench.wrapups()] == ["requested", "ended"]


async def test_requests_at_the_same_time_are_limited(redis_url: str) -> None:
    running, most = 0, 0

    def script(_: Any) -> object:
        async def write(response: web.StreamResponse) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await response.write(delta(content='{"summary": [{"text": "It is.", "segments"'))
            await asyncio.sleep(0.01)
            running -= 1
            await streamed(": [1]}]}")(response)

        return write

    async with benched(redis_url, script, concurrency=2) as bench:
        for name in calls_of(8):
            await bench.add(*call_fields(call=name))
        await bench.until_done()
        assert bench.result("made") == 8
    assert most == 2


async def test_throttling_server_is_not_called_for_other_calls_either(redis_url: str) -> None:
    async with benched(redis_url, lambda _: status(429, Retry_After="3600")) as bench:
        for name in calls_of(3):
            await bench.add(*call_fields(call=name))
        await bench.tick(6000)
        await until_failed(bench, 1)
        await bench.tick(6000)
        assert len(bench.server.requests) <= 3
        await bench.add(*call_fields(call=[*calls_of(4)][3]))
        await bench.tick(6000)
        await asyncio.sleep(0.05)
        assert len(bench.server.requests) <= 3


async def test_bug_ends_one_call_and_not_the_others(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison, other = calls_of(2)
    real = Draft.__init__

    def init(self: Draft, said: Sequence[Any], *more: Any) -> None:
        if said[0].text == "secret phrase":
            raise ZeroDivisionError("secret phrase")
        real(self, said, *more)

    monkeypatch.setattr(Draft, "__init__", init)
    async with benched(redis_url) as bench:
        await bench.add(*call_fields("secret phrase", call=poison))
        await bench.add(*call_fields(call=other))
        await bench.until_done()
        (letter,) = await bench.dead()
        assert letter.fields["dead_error"] == "internal-error"
        assert len(await bench.wrapups(other)) == 1
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


async def test_redis_that_fails_does_not_count_as_an_attempt(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fails = Store.conversation, [True]

    async def conversation(self: Store, call_id: str) -> Any:
        if fails.pop() if fails else False:
            raise PublishError("redis-unavailable")
        return await real(self, call_id)

    monkeypatch.setattr(Store, "conversation", conversation)
    async with benched(redis_url) as bench:
        await bench.add(*EVENTS)
        await bench.tick(6000)
        await eventually(lambda: not fails)
        await asyncio.sleep(0)
        await bench.tick(5000)
        await bench.until_done(5000)
        assert len(await bench.wrapups()) == 1
        assert count_failures(bench) == 0


async def test_crashing_job_becomes_a_dead_letter(redis_url: str) -> None:
    async with benched(redis_url, lambda _: hanging, concurrency=9) as bench:
        await bench.write(*EVENTS)
        await bench.handle(*EVENTS)
        abandoned = []
        for number in range(1, 6):
            await bench.tick(6000)
            await bench.server.until(number)
            abandoned.append(bench.handler)
            bench.crash()
        await until_dead(bench)
        (letter,) = await bench.dead()
        assert letter.fields["dead_error"] == "crashed"
        assert len(bench.server.requests) == 5
        for each in abandoned:
            await each.close()


async def until_dead(bench: Bench) -> None:
    async with asyncio.timeout(20):
        while not await bench.dead():
            await bench.tick(1000)


async def test_released_partition_continues_elsewhere(redis_url: str) -> None:
    async with benched(redis_url, lambda _: hanging) as bench:
        await bench.write(*EVENTS)
        await bench.handle(*EVENTS)
        for number in range(1, 8):
            await bench.tick(6000)
            await bench.server.until(number)
            await bench.handler.close()
            bench.crash()
        bench.server.script = good
        await bench.until_done()
        assert len(await bench.wrapups()) == 1
        assert not await bench.dead()


async def stored(client: RedisClient) -> int:
    return int(await client.hlen("cs:{p53}:jobs:wrapup"))


async def test_jobs_are_deleted_when_they_are_done(redis_url: str) -> None:
    async with benched(redis_url, lambda _: status(400)) as bench:
        await bench.add(*EVENTS, end(6))
        assert await stored(bench.client) == 2
        await bench.until_done()
        assert await stored(bench.client) == 0
