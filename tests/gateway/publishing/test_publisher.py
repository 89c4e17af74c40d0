"""The publisher on a real server and a real cluster, without faults."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from gateway.metrics import Metrics
from gateway.publishing.outbox import Limits
from gateway.redis_client.client import RedisClient
from tests.gateway.publishing.publisher_harness import (
    EPOCH,
    PATIENCE_S,
    client_of,
    delta,
    ended,
    entries,
    events_of,
    final,
    keys_of,
    numbers,
    open_stream,
    publisher_at,
    started,
    texts,
    total,
)
from tests.waiting import eventually


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    async with client_of(redis_url) as client:
        yield client


async def test_event_in_redis_has_all_fields(redis: RedisClient, redis_url: str) -> None:
    async with publisher_at(redis_url) as publisher:
        open_stream(publisher, "CA1").publish(final("It was\nthe best \0 of times 🎧"))
    (event,) = await events_of(redis, "CA1")
    assert list(event)[:8] == ["v", "type", "call_id", "stream_id", "epoch", "n", "at", "gateway"]
    assert abs(datetime.fromisoformat(event.pop("at")).timestamp() - time.time()) < 60
    assert event == {
        "v": "1",
        "type": "transcript.final",
        "call_id": "CA1",
        "stream_id": "MZ1",
        "epoch": str(EPOCH),
        "n": "1",
        "gateway": "g1",
        "tenant": "default",
        "track": "inbound",
        "role": "customer",
        "segment": "1",
        "rev": "1",
        "text": "It was\nthe best \0 of times 🎧",
        "start_ms": "0",
        "end_ms": "80",
        "reason": "pause",
    }


async def test_ids_are_encoded_in_keys_and_fields(redis: RedisClient, redis_url: str) -> None:
    async with publisher_at(redis_url) as publisher:
        open_stream(publisher, "a/b {c}", "s 1").publish(started())
        await eventually(lambda: not publisher.buffered_events)
        live = await redis.zrange(keys_of("a%2Fb%20%7Bc%7D").live, 0, -1)
    assert live == [b"a%2Fb%20%7Bc%7D s%201"]
    assert len(await events_of(redis, "a%2Fb%20%7Bc%7D", "s%201")) == 1


@pytest.mark.parametrize("where", ["redis_url", "redis_cluster_url"])
async def test_many_streams_are_complete_and_in_order(
    where: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(where)
    calls = [f"CA{i}" for i in range(60)]
    words = [f" w{i}" for i in range(25)]
    metrics = Metrics()
    async with publisher_at(url, metrics=metrics) as publisher:
        writers = [open_stream(publisher, call_id) for call_id in calls]
        for writer in writers:
            writer.publish(started())
        for word in words:
            for writer in writers:
                writer.publish(delta(word))
            await asyncio.sleep(0)
        for writer in writers:
            writer.publish(ended())
    async with client_of(url) as client:
        for call_id in calls:
            events = await events_of(client, call_id)
            assert numbers(events) == list(range(1, len(words) + 3))
            assert texts(events) == words
            assert [e["type"] for e in (events[0], events[-1])] == [
                "stream.started",
                "stream.ended",
            ]
    count = len(calls) * (len(words) + 2)
    assert total(metrics, "redis_events_total") == count
    assert total(metrics, "redis_buffered_events") == 0
    assert total(metrics, "publish_latency_seconds_count") == len(calls) * len(words)
    assert total(metrics, "redis_batch_seconds_count") < count / 20, "events are batched"


async def test_streams_of_a_call_are_numbered_separately(
    redis: RedisClient, redis_url: str
) -> None:
    async with publisher_at(redis_url) as publisher:
        one, other = open_stream(publisher, "CA1", "MZ1"), open_stream(publisher, "CA1", "MZ2")
        for text in "abc":
            one.publish(final(text))
            other.publish(final(text.upper()))
    assert texts(await events_of(redis, "CA1", "MZ1")) == ["a", "b", "c"]
    assert texts(await events_of(redis, "CA1", "MZ2")) == ["A", "B", "C"]
    assert numbers(await events_of(redis, "CA1", "MZ2")) == [1, 2, 3]


async def test_backlog_larger_than_a_batch_is_written_in_order(
    redis: RedisClient, redis_url: str
) -> None:
    limits = Limits(batch_events=7, exchange_events=20)
    words = [str(i) for i in range(100)]
    async with publisher_at(redis_url, limits) as publisher:
        writers = [open_stream(publisher, call_id) for call_id in ("CA1", "CA2", "CA3", "CA4")]
        for writer in writers:
            for word in words:
                writer.publish(final(word))
    for call_id in ("CA1", "CA2", "CA3", "CA4"):
        assert texts(await events_of(redis, call_id)) == words


async def test_bug_in_one_flush_loses_no_event(
    redis: RedisClient, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: after one unexpected exception, no call of the process published again."""
    metrics = Metrics()

    async def fail_once(*_: object) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    async with publisher_at(redis_url, metrics=metrics) as publisher:
        writers = [open_stream(publisher, f"CA{number}") for number in range(3)]
        monkeypatch.setattr("gateway.publishing.redis_store.append", fail_once)
        for writer in writers:
            writer.publish(started())
            writer.publish(final("kept"))
    assert total(metrics, "redis_errors_total", reason="internal-error") == 1
    for number in range(3):
        assert numbers(await events_of(redis, f"CA{number}")) == [1, 2]


async def test_text_of_64_kb_is_written_unchanged(redis: RedisClient, redis_url: str) -> None:
    text = "é\n\0" * 16_384
    async with publisher_at(redis_url) as publisher:
        open_stream(publisher, "CA1").publish(final(text))
    assert texts(await events_of(redis, "CA1")) == [text]


async def test_idle_publisher_writes_nothing(redis_url: str) -> None:
    metrics = Metrics()
    async with publisher_at(redis_url, metrics=metrics) as publisher:
        open_stream(publisher, "CA1").publish(final("a"))
        await eventually(lambda: not publisher.buffered_events)
        written = total(metrics, "redis_batch_seconds_count")
        await asyncio.sleep(0.1)
        assert total(metrics, "redis_batch_seconds_count") == written


async def test_each_batch_renews_the_expiry_of_its_call(redis: RedisClient, redis_url: str) -> None:
    async with publisher_at(redis_url, Limits(retention_s=500)) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(started())
        await eventually(lambda: not publisher.buffered_events)
        keys = keys_of("CA1")
        for key in (keys.call, keys.writers):
            assert 0 < await redis.ttl(key) <= 500
            await redis.persist(key)
        writer.publish(ended())
    for key in (keys.call, keys.writers):
        assert 0 < await redis.ttl(key) <= 500
    assert await redis.ttl(keys.events) == -1, "its consumer groups must not expire"


async def test_partition_is_trimmed_by_length(redis: RedisClient, redis_url: str) -> None:
    async with publisher_at(redis_url, Limits(events_length=200)) as publisher:
        writer = open_stream(publisher, "CA1")
        for i in range(1000):
            writer.publish(final(str(i)))
        await eventually(lambda: not publisher.buffered_events)
        # Whole nodes of 100 entries are cut, before a batch of up to 128 is appended.
        assert 200 <= await redis.xlen(keys_of("CA1").events) <= 200 + 100 + 128
        assert await redis.xlen(keys_of("CA1").call) == 1000


async def test_partition_is_trimmed_by_age(redis: RedisClient, redis_url: str) -> None:
    keys = keys_of("CA1")
    old_ms = int(time.time() * 1000) - 100_000
    for i in range(300):
        await redis.xadd(keys.events, {"old": "1"}, id=f"{old_ms + i}-0")
    async with publisher_at(redis_url, Limits(events_age_s=50)) as publisher:
        open_stream(publisher, "CA1").publish(final("new"))
    left = await entries(redis, keys.events)
    assert len(left) <= 100
    assert left[-1]["text"] == "new"


async def test_live_stream_has_a_lease_until_it_ends(redis: RedisClient, redis_url: str) -> None:
    live = keys_of("CA1").live
    async with publisher_at(redis_url, Limits(lease_s=30)) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(started())
        await eventually(lambda: not publisher.buffered_events)
        until_ms = await redis.zscore(live, "CA1 MZ1")
        assert until_ms is not None
        assert 0 < float(until_ms) / 1000 - time.time() <= 31
        writer.publish(ended())
    assert await redis.zcard(live) == 0


@pytest.mark.parametrize("where", ["redis_url", "redis_cluster_url"])
async def test_lease_of_an_idle_stream_is_renewed(
    where: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(where)
    keys = keys_of("CA1")
    async with client_of(url) as client, publisher_at(url, Limits(lease_s=0.3)) as publisher:
        open_stream(publisher, "CA1").publish(started())
        await eventually(lambda: not publisher.buffered_events)
        first = await client.zscore(keys.live, "CA1 MZ1")
        async with asyncio.timeout(PATIENCE_S):
            while await client.zscore(keys.live, "CA1 MZ1") == first:  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(0.02)
        assert numbers(await events_of(client, "CA1")) == [1], "a renewal writes no event"


async def test_event_after_the_end_of_its_stream_is_dropped(
    redis: RedisClient, redis_url: str
) -> None:
    metrics = Metrics()
    async with publisher_at(redis_url, metrics=metrics) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(ended())
        writer.publish(final("late"))
    assert [e["type"] for e in await events_of(redis, "CA1")] == ["stream.ended"]
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 1


@pytest.mark.parametrize("ahead_ms", [1, 3_600_000, -3_600_000])
async def test_gateway_that_opened_a_stream_last_owns_it(
    redis: RedisClient, redis_url: str, ahead_ms: int
) -> None:
    """Symptom: a gateway whose clock was behind the former owner's was fenced."""
    fenced: list[str] = []
    metrics = Metrics()
    async with (
        publisher_at(redis_url, metrics=metrics) as losing,
        publisher_at(redis_url) as taking,
    ):
        old = open_stream(losing, "CA1", on_fenced=lambda: fenced.append("CA1"))
        other = open_stream(losing, "CA2")
        old.publish(final("old"))
        await eventually(lambda: not losing.buffered_events)
        new = open_stream(taking, "CA1", epoch=EPOCH + ahead_ms)
        new.publish(final("new"))
        await eventually(lambda: not taking.buffered_events)
        old.publish(final("refused"))
        other.publish(final("other"))
        await eventually(lambda: bool(fenced) and not losing.buffered_events)
        old.publish(final("after"))
    assert fenced == ["CA1"]
    events = await events_of(redis, "CA1")
    assert [(e["epoch"], e["n"], e["text"]) for e in events] == [
        (str(EPOCH), "1", "old"),
        (str(EPOCH + max(1, ahead_ms)), "1", "new"),
    ]
    assert texts(await events_of(redis, "CA2")) == ["other"]
    assert total(metrics, "redis_errors_total", reason="fenced") == 1
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 2


async def test_second_stream_with_the_same_ids_fences_the_first_in_one_gateway(
    redis: RedisClient, redis_url: str
) -> None:
    fenced: list[str] = []
    async with publisher_at(redis_url) as publisher:
        first = open_stream(publisher, "CA1", on_fenced=lambda: fenced.append("first"))
        second = open_stream(publisher, "CA1", epoch=EPOCH + 1)
        for writer, text in ((first, "a"), (second, "b"), (first, "x"), (second, "c")):
            writer.publish(final(text))
            await eventually(lambda: not publisher.buffered_events)
        assert fenced == ["first"]
    assert texts(await events_of(redis, "CA1")) == ["a", "b", "c"]
