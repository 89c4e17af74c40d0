"""The worker `redact` on real servers: each event once, in order, whatever is killed."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import free_port
from tests.workers.client.stories import fields
from workers.client.events import read_event
from workers.consumer import Received
from workers.redact import CallRedactor
from workers.redact.settings import Settings
from workers.redact.worker import Metrics, RedactHandler

_PATIENCE_S: Final = 60.0
_SENTENCES: Final = (
    "my card number is four one one one one one one one one one one one one one one one",
    "thanks , one moment please",
    "it is 5500 0000 0000 0004",
    "call me at four one five five five five two six seven one",
    "write to john dot smith at example dot com",
    "the order has three items",
)


def rules() -> Settings:
    return Settings(_env_file=None)


def new_redactor(route: str) -> CallRedactor:
    return CallRedactor(*rules().rules(route))


def story(call: str, segments: int) -> list[dict[str, str]]:
    """Return the events of a call: sentences as deltas and finals, on two tracks."""
    random = Random(call)  # noqa: S311 - reproducible
    events: list[dict[str, str]] = []

    def add(kind: str, **own: Any) -> None:
        events.append(fields(kind, len(events) + 1, call=call, **own))

    add("stream.started", route="r")
    for segment in range(1, segments + 1):
        track = random.choice(("inbound", "outbound"))
        words = random.choice(_SENTENCES).split()
        start_ms = 3000 * segment
        where: dict[str, Any] = {"track": track, "segment": segment, "rev": 0}
        for position, word in enumerate(words):
            at_ms = start_ms + 80 * position
            add("transcript.delta", text=f" {word}", start_ms=at_ms, end_ms=at_ms + 80, **where)
        end_ms = start_ms + 80 * len(words)
        add("transcript.final", text=" ".join(words), start_ms=start_ms, end_ms=end_ms, **where)
    add("stream.ended", status="completed", reason="stopped", duration_ms=1, gap_ms=0)
    return events


def redacted(events: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return what an uninterrupted worker publishes."""
    redactor = new_redactor("r")
    return [each.fields for event in events for each in redactor.apply(event)]


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def client(url: str) -> AsyncIterator[RedisClient]:
    made = create_client(url)
    yield made
    await made.aclose()


async def write(client: RedisClient, event: Any) -> None:
    """Write an event as a gateway does."""
    partition = partition_of(event["call_id"], 64)
    entry_id: Any = await client.xadd(partition_key(partition, "events"), event)
    await client.xadd(partition_key(partition, f"call:{event['call_id']}"), event, id=entry_id)


async def published(client: RedisClient, call: str) -> list[dict[str, str]]:
    entries: Any = await client.xrange(
        partition_key(partition_of(call, 64), f"call:{call}:redacted")
    )
    return [{k.decode(): v.decode() for k, v in event.items()} for _, event in entries]


def handler(client: RedisClient, call: str) -> RedactHandler:
    metrics = Metrics(CollectorRegistry())
    return RedactHandler(client, partition_of(call, 64), new_redactor, metrics)


async def apply(
    client: RedisClient, each: RedactHandler, events: Sequence[dict[str, str]]
) -> list[dict[str, str]]:
    """Pass events to a handler, and publish the results as the consumer does."""
    results: list[dict[str, str]] = []
    for event in events:
        for append in await each.handle(Received(read_event("1-0", event), event)):
            values: Any = append.fields
            call = append.call_id
            key = partition_key(partition_of(call, 64), f"call:{call}:redacted")
            await client.xadd(key, values)
            results.append(dict(append.fields))
    return results


async def test_takeover_at_any_event_publishes_the_same(url: str, client: RedisClient) -> None:
    events = story("CA1", 3)
    expected = redacted(events)
    for event in events:
        await write(client, event)
    for position in range(0, len(events), 5):
        await client.delete("cs:{p53}:call:CA1:redacted")
        first = await apply(client, handler(client, "CA1"), events[:position])
        second = await apply(client, handler(client, "CA1"), events[position:])
        assert first + second == expected


async def test_newer_rules_neither_repeat_nor_lose_an_event(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with other rules takes over while a number is held back."""
    async with contextlib.aclosing(create_client(redis_url)) as client:
        events = story("CA1", 6)
        for event in events:
            await write(client, event)
        masking, plain = rules(), Settings(_env_file=None, kinds=())
        for position in range(1, len(events), 7):
            for before, after in ((masking, plain), (plain, masking)):
                await client.delete("cs:{p53}:call:CA1:redacted")
                monkeypatch.setattr(sys.modules[__name__], "rules", lambda: before)  # noqa: B023
                await apply(client, handler(client, "CA1"), events[:position])
                monkeypatch.setattr(sys.modules[__name__], "rules", lambda: after)  # noqa: B023
                await apply(client, handler(client, "CA1"), events[position:])
                found = await published(client, "CA1")
                assert [int(each["n"]) for each in found] == [*range(1, len(found) + 1)]
                finals = [each["source_n"] for each in found if each["type"] == "transcript.final"]
                assert sorted(finals, key=int) == [
                    each["n"] for each in events if each["type"] == "transcript.final"
                ]


async def test_event_that_can_not_be_redacted_leaves_a_hole(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = story("CA1", 2)
    real = CallRedactor.apply
    poison = next(each["n"] for each in events if each["type"] == "transcript.final")

    def apply_unless_poison(self: CallRedactor, event: Any) -> Any:
        if event["n"] == poison:
            raise ValueError("a bug")
        return real(self, event)

    monkeypatch.setattr(CallRedactor, "apply", apply_unless_poison)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        for event in events:
            await write(client, event)
        each = handler(client, "CA1")
        results: list[dict[str, str]] = []
        for event in events:
            if event["n"] == poison:
                with pytest.raises(ValueError, match="a bug"):
                    await apply(client, each, [event])
            else:
                results += await apply(client, each, [event])
    numbers = [int(event["n"]) for event in results]
    assert len({*range(1, numbers[-1] + 1)} - {*numbers}) == 1
    assert not [event for event in results if event["source_n"] == poison]


async def test_route_decides_what_is_masked(redis_url: str) -> None:
    settings = Settings(
        _env_file=None, routes='{"r": {"kinds": ["email"], "language": "de", "region": "DE"}}'
    )
    assert settings.rules("r") == (frozenset({"email"}), "de", "DE")
    assert settings.rules("other")[1:] == ("en", "US")


@contextlib.asynccontextmanager
async def killed_at_random(
    url: str, kills: int, pause_s: float
) -> AsyncIterator[asyncio.Task[None]]:
    """Run three workers, and kill and replace one after another."""
    running: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        env = {
            **os.environ,
            "WORKER_REDIS_URL": url,
            "WORKER_TAKEOVER_S": "0.6",
            "WORKER_METRICS_PORT": str(free_port()),
        }
        command = (sys.executable, "-m", "workers", "redact")
        quiet = asyncio.subprocess.DEVNULL
        running.append(await asyncio.create_subprocess_exec(*command, env=env, stderr=quiet))

    async def kill() -> None:
        for number in range(kills):
            await asyncio.sleep(pause_s)
            victim = running.pop(number % len(running))
            victim.kill()
            await victim.wait()
            await start()

    for _ in range(3):
        await start()
    killing = asyncio.create_task(kill())
    try:
        yield killing
    finally:
        killing.cancel()
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def chaos(url: str, kills: int, calls: int, segments: int, pause_s: float = 1.0) -> None:
    """Kill random workers while calls run; compare with what an uninterrupted worker publishes."""
    stories = {f"CB{number}": story(f"CB{number}", segments) for number in range(calls)}
    async with (
        contextlib.aclosing(create_client(url)) as client,
        killed_at_random(url, kills, pause_s) as killing,
    ):
        longest = max(len(events) for events in stories.values())
        for position in range(longest):
            for events in stories.values():
                if position < len(events):
                    await write(client, events[position])
            if not killing.done():
                await asyncio.sleep(kills * pause_s / longest)
        await killing
        for call, events in stories.items():
            expected = redacted(events)
            async with asyncio.timeout(_PATIENCE_S):
                while len(await published(client, call)) < len(expected):  # noqa: ASYNC110  # Redis sends no event
                    await asyncio.sleep(0.05)
            assert await published(client, call) == expected


@pytest.mark.timeout(180)
async def test_workers_killed_at_random_publish_the_same(redis_url: str) -> None:
    await chaos(redis_url, kills=4, calls=10, segments=6)
