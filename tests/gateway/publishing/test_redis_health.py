"""Readiness of Redis for /readyz, tested by a write on every node."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.publishing.outbox import Limits
from gateway.publishing.redis_health import RedisHealth
from gateway.publishing.redis_store import RedisStore
from gateway.readiness import Condition, degraded, not_ready
from gateway.redis_client.client import RedisClient
from tests.gateway.publishing.publisher_harness import (
    PARTITIONS,
    client_of,
    final,
    make_publisher,
    open_stream,
    publisher_at,
)
from tests.redis_servers import free_port, valkey
from tests.waiting import eventually


@contextlib.asynccontextmanager
async def health_at(
    url: str, fullness: Callable[[], float] = lambda: 0.0, outage: Callable[[], str] = str
) -> AsyncIterator[tuple[RedisHealth, RedisClient]]:
    async with (
        client_of(url, 0.5) as client,
        RedisHealth(client, PARTITIONS, outage=outage, fullness=fullness) as health,
    ):
        yield health, client


async def probed(health: RedisHealth) -> list[Condition]:
    await health.probe()
    return list(health.conditions())


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
async def test_redis_that_accepts_writes_is_ready(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    async with health_at(request.getfixturevalue(fixture)) as (health, _):
        assert list(health.conditions()) == []


async def test_redis_unavailable_since_the_start_is_not_ready_until_a_write_succeeds() -> None:
    port = free_port()
    async with health_at(f"redis://127.0.0.1:{port}") as (health, _):
        (condition,) = health.conditions()
        assert not condition.ready
        assert condition.reason.startswith("redis-unavailable")
        with valkey(port):
            assert await probed(health) == []


async def test_outage_after_a_successful_write_only_degrades() -> None:
    """Symptom: a failover of Redis took every gateway out of the load balancer at once."""
    with contextlib.ExitStack() as server:
        port = free_port()
        url = server.enter_context(valkey(port))
        async with health_at(url) as (health, _):
            server.close()
            (condition,) = await probed(health)
            assert condition.ready
            assert condition.reason.startswith("redis-unavailable")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "OOM"),
        (("REPLICAOF", "127.0.0.1", "1"), "READONLY"),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), "NOREPLICAS"),
        (("ACL", "SETUSER", "default", "-set"), "NOPERM"),
    ],
)
async def test_redis_that_refuses_writes_is_degraded(fault: tuple[str, ...], code: str) -> None:
    """Symptom: /readyz was ok while not one event could be written."""
    with valkey() as url:
        async with health_at(url) as (health, client):
            await client.execute_command(*fault)
            assert await probed(health) == [degraded(f"redis-unavailable ({code})")]


async def test_cluster_node_that_refuses_writes_degrades(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...]
) -> None:
    async with (
        health_at(redis_cluster_url) as (health, _),
        client_of(redis_cluster_nodes[2]) as node,
    ):
        await node.execute_command("CONFIG", "SET", "maxmemory", "1")
        try:
            assert await probed(health) == [degraded("redis-unavailable (OOM)")]
        finally:
            await node.execute_command("CONFIG", "SET", "maxmemory", "0")
        assert await probed(health) == []


async def test_no_room_for_events_is_not_ready(redis_url: str) -> None:
    share = 0.89
    async with health_at(redis_url, lambda: share) as (health, _):
        assert list(health.conditions()) == []
        share = 0.9
        assert list(health.conditions()) == [not_ready("spool-full")]


async def test_waiting_streams_degrade_although_the_test_write_succeeds() -> None:
    """A user without XADD may write the test key, but no event."""
    limits = Limits(backoff_first_s=0.005, backoff_max_s=0.05)
    with valkey() as url:
        async with (
            publisher_at(url, limits) as publisher,
            health_at(url, outage=publisher.outage) as (health, client),
        ):
            await client.execute_command("ACL", "SETUSER", "default", "-xadd")
            open_stream(publisher, "CA1").publish(final("a"))
            await eventually(lambda: bool(publisher.outage()))
            assert await probed(health) == [degraded("redis-unavailable (NOPERM)")]
            await client.execute_command("ACL", "SETUSER", "default", "+xadd")
            await eventually(lambda: not publisher.outage())
            assert await probed(health) == []


async def test_outage_without_calls_is_logged_when_it_begins_and_ends() -> None:
    with valkey() as url, capture_logs() as logs:
        async with health_at(url) as (health, client):
            for maxmemory in ("1", "1", "0", "0"):
                await client.execute_command("CONFIG", "SET", "maxmemory", maxmemory)
                await health.probe()
    assert [log["event"] for log in logs] == ["redis-not-writable", "redis-writable"]
    assert logs[0]["error"] == "OOM"


@pytest.mark.parametrize("has_spool", [True, False], ids=["spool", "memory only"])
async def test_outage_that_fills_the_room_is_not_ready_until_redis_is_available(
    tmp_path: Path,
    has_spool: bool,
) -> None:
    limits = Limits(backoff_first_s=0.005, backoff_max_s=0.05, buffered_events=10, spill_events=5)
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with contextlib.ExitStack() as server:
        first = server.enter_context(valkey(port))
        async with client_of(url) as client, contextlib.AsyncExitStack() as stack:
            publisher = make_publisher(
                RedisStore(client),
                limits,
                spool_dir=tmp_path if has_spool else None,
                spool_bytes=20_000,
            )
            await stack.enter_async_context(publisher)
            health, _ = await stack.enter_async_context(
                health_at(first, publisher.fullness, publisher.outage)
            )
            assert list(health.conditions()) == []
            server.close()
            writer = open_stream(publisher, "CA1")
            writer.publish(final("a"))
            await health.probe()
            assert [condition.ready for condition in health.conditions()] == [True]
            while publisher.fullness() < 0.9:
                writer.publish(final("a"))
            assert not_ready("spool-full") in health.conditions()
            server.enter_context(valkey(port))
            await eventually(lambda: not publisher.buffered_events)
            assert await probed(health) == []
