"""Detection of transcripts that Redis deletes: its eviction policy, and calls that are gone."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from gateway.metrics import Metrics
from gateway.publishing.eviction import EvictionWatch
from gateway.publishing.publisher import Publisher, StreamWriter
from gateway.readiness import degraded
from gateway.redis_client.client import RedisClient
from tests.gateway.publishing.publisher_harness import (
    client_of,
    ended,
    final,
    keys_of,
    open_stream,
    publisher_at,
    total,
)
from tests.gateway.publishing.test_publisher_faults import move_slot
from tests.redis_servers import valkey
from tests.waiting import eventually


@contextlib.asynccontextmanager
async def watch_at(url: str) -> AsyncIterator[tuple[EvictionWatch, RedisClient, Metrics]]:
    metrics = Metrics()
    async with client_of(url) as client:
        yield EvictionWatch(client, metrics, list), client, metrics


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_evicting_policy_is_reported_once(policy: str) -> None:
    """Symptom: with allkeys-lru, transcripts of live calls were deleted and no one noticed."""
    with valkey(maxmemory="100mb", maxmemory_policy=policy) as url, capture_logs() as logs:
        async with watch_at(url) as (watch, client, metrics):
            assert await watch.check_policy()
            assert await watch.check_policy()
            assert list(watch.conditions()) == [degraded(f"redis-evicts ({policy})")]
            assert total(metrics, "redis_evicts") == 1
            assert [log["event"] for log in logs] == ["redis-evicts"], "once, not at every check"
            await client.execute_command("CONFIG", "SET", "maxmemory-policy", "noeviction")
            assert await watch.check_policy()
            assert list(watch.conditions()) == []
            assert total(metrics, "redis_evicts") == 0


async def test_evicting_policy_without_a_memory_limit_is_not_reported() -> None:
    with valkey(maxmemory="0", maxmemory_policy="allkeys-lru") as url:
        async with watch_at(url) as (watch, _, _):
            assert await watch.check_policy()
            assert list(watch.conditions()) == []


async def test_evicting_policy_of_one_cluster_node_is_reported(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...]
) -> None:
    async with (
        watch_at(redis_cluster_url) as (watch, _, _),
        client_of(redis_cluster_nodes[1]) as node,
    ):
        await node.execute_command("CONFIG", "SET", "maxmemory", "100mb")
        await node.execute_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        try:
            assert await watch.check_policy()
            assert list(watch.conditions()) == [degraded("redis-evicts (allkeys-lfu)")]
        finally:
            await node.execute_command("CONFIG", "SET", "maxmemory-policy", "noeviction")
            await node.execute_command("CONFIG", "SET", "maxmemory", "0")


async def test_policy_without_permission_to_read_it_is_unknown() -> None:
    with valkey() as url, capture_logs() as logs:
        async with watch_at(url) as (watch, client, _):
            await client.execute_command("ACL", "SETUSER", "default", "-info")
            assert await watch.check_policy()
            assert await watch.check_policy()
            assert list(watch.conditions()) == []
    assert [log["event"] for log in logs] == ["redis-policy-unknown"]


async def vanished_calls(watch: EvictionWatch, metrics: Metrics) -> float:
    await watch.check_streams()
    return total(metrics, "redis_errors_total", reason="redis-stream-vanished")


async def publish(publisher: Publisher, *call_ids: str) -> list[StreamWriter]:
    """Publish one event in each of these calls, each of which has one stream."""
    writers = []
    for call_id in call_ids:
        streams = (each for each in publisher.open_streams() if each.call_id == call_id)
        stream = next(streams, None)
        writer = (
            StreamWriter(stream, publisher.accept) if stream else open_stream(publisher, call_id)
        )
        writer.publish(final("a"))
        writers.append(writer)
    await eventually(lambda: not publisher.buffered_events)
    return writers


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
async def test_vanished_stream_of_a_live_call_is_counted_once(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(fixture)
    metrics = Metrics()
    async with client_of(url) as client, publisher_at(url, metrics=metrics) as publisher:
        watch = EvictionWatch(client, metrics, publisher.open_streams)
        await publish(publisher, "CA1", "CA2")
        assert await vanished_calls(watch, metrics) == 0
        with capture_logs() as logs:
            await client.delete(keys_of("CA1").call)
            assert await vanished_calls(watch, metrics) == 1
            await publish(publisher, "CA1", "CA2")
            assert await vanished_calls(watch, metrics) == 1, (
                "the stream created afterwards is a new one"
            )
            await client.delete(keys_of("CA2").call)
            await publish(publisher, "CA2")
            assert await vanished_calls(watch, metrics) == 2, (
                "deleted and created again between two checks"
            )
        found = [(log["event"], log["call_id"]) for log in logs]
        assert found == [("redis-stream-vanished", "CA1"), ("redis-stream-vanished", "CA2")]


async def test_stream_whose_slot_moved_is_still_watched(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...]
) -> None:
    metrics, key = Metrics(), keys_of("CA1").call
    async with (
        client_of(redis_cluster_url) as client,
        client_of(redis_cluster_url) as other,
        publisher_at(redis_cluster_url) as publisher,
    ):
        watch = EvictionWatch(client, metrics, publisher.open_streams)
        await publish(publisher, "CA1")
        assert await vanished_calls(watch, metrics) == 0
        await move_slot(redis_cluster_nodes, key)
        assert await vanished_calls(watch, metrics) == 0, "the node replies MOVED"
        await other.delete(key)
        assert await vanished_calls(watch, metrics) == 1


async def test_stream_that_vanished_before_the_first_check_is_counted(redis_url: str) -> None:
    metrics = Metrics()
    async with client_of(redis_url) as client, publisher_at(redis_url) as publisher:
        watch = EvictionWatch(client, metrics, publisher.open_streams)
        await publish(publisher, "CA1")
        await client.delete(keys_of("CA1").call)
        await publish(publisher, "CA1")
        assert await vanished_calls(watch, metrics) == 1


async def test_ended_calls_and_calls_without_events_are_not_counted(redis_url: str) -> None:
    metrics = Metrics()
    async with client_of(redis_url) as client, publisher_at(redis_url) as publisher:
        watch = EvictionWatch(client, metrics, publisher.open_streams)
        (writer,) = await publish(publisher, "CA1")
        assert await vanished_calls(watch, metrics) == 0
        writer.publish(ended())
        await eventually(lambda: not publisher.open_streams())
        await client.delete(keys_of("CA1").call)
        open_stream(publisher, "CA2")
        assert await vanished_calls(watch, metrics) == 0


async def test_unavailable_redis_is_not_counted_as_a_loss() -> None:
    metrics = Metrics()
    with contextlib.ExitStack() as server:
        url = server.enter_context(valkey())
        async with client_of(url, 0.5) as client, publisher_at(url) as publisher:
            watch = EvictionWatch(client, metrics, publisher.open_streams)
            await publish(publisher, "CA1")
            assert await vanished_calls(watch, metrics) == 0
            server.close()
            assert await vanished_calls(watch, metrics) == 0
