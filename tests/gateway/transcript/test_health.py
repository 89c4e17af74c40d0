"""What /readyz learns of Redis: by writing, on every node."""

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.readiness import Condition, degraded, not_ready
from gateway.transcript.health import RedisHealth
from gateway.transcript.redis import RedisClient
from tests.gateway.transcript.publishing import PARTITIONS, client_of
from tests.redis_servers import free_port, valkey


@contextlib.asynccontextmanager
async def health_at(
    url: str, fullness: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[tuple[RedisHealth, RedisClient]]:
    async with client_of(url, 0.5) as client, RedisHealth(client, PARTITIONS, fullness) as health:
        yield health, client


async def looked(health: RedisHealth) -> list[Condition]:
    await health.look()
    return list(health.conditions())


@pytest.mark.parametrize("fixture", ["redis_url", "redis_cluster_url"])
async def test_a_redis_that_takes_writes_is_ready(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    async with health_at(request.getfixturevalue(fixture)) as (health, _):
        assert list(health.conditions()) == []


async def test_a_redis_that_was_never_written_is_not_ready_until_it_is_there() -> None:
    port = free_port()
    async with health_at(f"redis://127.0.0.1:{port}") as (health, _):
        (condition,) = health.conditions()
        assert not condition.ready
        assert condition.reason.startswith("redis-unavailable")
        with valkey(port):
            assert await looked(health) == []


async def test_a_blip_of_redis_only_degrades() -> None:
    """Symptom: a failover of Redis took every gateway out of the load balancer at once."""
    with contextlib.ExitStack() as server:
        port = free_port()
        url = server.enter_context(valkey(port))
        async with health_at(url) as (health, _):
            server.close()
            (condition,) = await looked(health)
            assert condition.ready
            assert condition.reason.startswith("redis-unavailable")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "OOM"),
        (("REPLICAOF", "127.0.0.1", "1"), "READONLY"),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), "NOREPLICAS"),
        (("ACL", "SETUSER", "default", "-set"), "NOPERM"),
    ],
)
async def test_a_redis_that_answers_pings_and_refuses_writes_is_degraded(
    trouble: tuple[str, ...], code: str
) -> None:
    """Symptom: /readyz was ok while not one event could be written."""
    with valkey() as url:
        async with health_at(url) as (health, client):
            await client.execute_command(*trouble)
            assert await looked(health) == [degraded(f"redis-unavailable ({code})")]


async def test_one_node_of_a_cluster_that_refuses_writes_degrades(
    redis_cluster_url: str, redis_cluster_nodes: tuple[str, ...]
) -> None:
    async with (
        health_at(redis_cluster_url) as (health, _),
        client_of(redis_cluster_nodes[2]) as node,
    ):
        await node.execute_command("CONFIG", "SET", "maxmemory", "1")
        try:
            assert await looked(health) == [degraded("redis-unavailable (OOM)")]
        finally:
            await node.execute_command("CONFIG", "SET", "maxmemory", "0")
        assert await looked(health) == []


async def test_no_room_for_events_is_not_ready(redis_url: str) -> None:
    share = 0.89
    async with health_at(redis_url, lambda: share) as (health, _):
        assert list(health.conditions()) == []
        share = 0.9
        assert list(health.conditions()) == [not_ready("spool-full")]
