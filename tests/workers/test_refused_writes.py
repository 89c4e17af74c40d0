"""A janitor and a gateway with a real server that refuses writes for longer than a lease."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from gateway.errors import PublishError
from gateway.metrics import Metrics as GatewayMetrics
from gateway.publishing.outbox import Limits
from gateway.publishing.publisher import Publisher
from gateway.publishing.redis_store import RedisStore
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import call_keys
from tests.gateway.publishing.publisher_harness import (
    client_of,
    delta,
    ended,
    entries,
    final,
    numbers,
    open_stream,
    started,
    texts,
)
from tests.redis_servers import valkey
from tests.waiting import eventually
from workers.janitor import Janitor, Lost, Metrics
from workers.redis_streams import RedisStreams

_LEASE_S = 0.6
# The gateway retries less often than the janitor checks, as with the default settings.
_LIMITS = Limits(lease_s=_LEASE_S, backoff_first_s=0.4, backoff_max_s=0.4)
_LIMIT_S = 40.0

type Command = tuple[str, ...]

_REFUSALS: dict[str, tuple[list[Command], list[Command]]] = {
    "OOM": ([("CONFIG", "SET", "maxmemory", "1")], [("CONFIG", "SET", "maxmemory", "0")]),
    "READONLY": ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")]),
    "NOREPLICAS": (
        [("CONFIG", "SET", "min-replicas-to-write", "1")],
        [("CONFIG", "SET", "min-replicas-to-write", "0")],
    ),
    # The server's folder is removed, so that no snapshot can be written.
    "MISCONF": (
        [("CONFIG", "SET", "save", "3600 1"), ("BGSAVE",)],
        [("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")],
    ),
}


@asynccontextmanager
async def publisher_at(url: str) -> AsyncIterator[Publisher]:
    async with (
        client_of(url) as client,
        Publisher(
            RedisStore(client), gateway="g1", metrics=GatewayMetrics(), partitions=1, limits=_LIMITS
        ) as publisher,
    ):
        yield publisher


async def events_of(client: RedisClient, call_id: str) -> list[dict[str, str]]:
    return await entries(client, call_keys(call_id, 1).call)


def make_janitor(client: RedisClient, metrics: Metrics) -> Janitor:
    return Janitor(
        RedisStreams(client),
        gateway="janitor",
        partitions=1,
        lease_s=_LEASE_S,
        retention_s=1000,
        metrics=metrics,
    )


@asynccontextmanager
async def janitor_at(url: str, metrics: Metrics) -> AsyncIterator[None]:
    """Run a janitor; wait until it has watched for a lease."""
    async with client_of(url) as client:
        running = asyncio.create_task(make_janitor(client, metrics).run())
        try:
            await eventually(lambda: watched(metrics) == 1)
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])


def watched(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("callscribe_janitor_watched_partitions") or 0


async def until_refused(client: RedisClient) -> None:
    """Wait until the server refuses a write."""
    async with asyncio.timeout(_LIMIT_S):
        with contextlib.suppress(ResponseError):
            while True:
                await client.execute_command("SET", "probe", "x")
                await asyncio.sleep(0.02)


async def until_lapsed(client: RedisClient, call_id: str, leases: float) -> None:
    """Wait until a stream's lease has been expired for `leases` leases, by the server's clock."""
    live = call_keys(call_id, 1).live
    async with asyncio.timeout(_LIMIT_S):
        while True:
            seconds, _ = await client.execute_command("TIME")
            until_ms = await client.execute_command("ZSCORE", live, f"{call_id} MZ1")
            if int(seconds) - float(until_ms) / 1000 > leases * _LEASE_S:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("code", _REFUSALS)
async def test_refused_writes_do_not_end_live_streams(tmp_path: Path, code: str) -> None:
    """Symptom: the janitor closed live streams as lost, and buffered events were dropped."""
    fault, repair = _REFUSALS[code]
    folder = tmp_path / "redis"
    folder.mkdir()
    metrics = Metrics()
    with valkey(data_dir=folder) as url:
        async with client_of(url) as client:
            async with janitor_at(url, metrics), publisher_at(url) as publisher:
                alive, ending = open_stream(publisher, "CA1"), open_stream(publisher, "CA2")
                for writer in (alive, ending):
                    writer.publish(started())
                await eventually(lambda: not publisher.buffered_events)
                if code == "MISCONF":
                    shutil.rmtree(folder)
                for command in fault:
                    await client.execute_command(*command)
                await until_refused(client)
                words = [f" w{number}" for number in range(200)]
                for word in words:
                    alive.publish(delta(word))
                ending.publish(final("final words"))
                ending.publish(ended())
                await until_lapsed(client, "CA1", leases=2)
                for command in repair:
                    await client.execute_command(*command)
                await eventually(lambda: not publisher.buffered_events)
                await eventually(lambda: watched(metrics) == 1)
                alive.publish(ended())
                await eventually(lambda: not publisher.buffered_events)
            events = await events_of(client, "CA1")
            assert numbers(events) == list(range(1, len(words) + 3))
            assert texts(events) == words
            assert [e["status"] for e in events if e["type"] == "stream.ended"] == ["completed"]
            events = await events_of(client, "CA2")
            assert [e["type"] for e in events[1:]] == ["transcript.final", "stream.ended"]
            assert len({e["epoch"] for e in events}) == 1


async def test_full_server_refuses_the_janitors_event() -> None:
    """Symptom: the batch began with ZREM, which a full server accepts, and so was executed."""
    with valkey() as url:
        async with client_of(url) as client:
            async with publisher_at(url) as publisher:
                open_stream(publisher, "CA1").publish(started())
            janitor = make_janitor(client, Metrics())
            found: list[Lost] = []
            async with asyncio.timeout(_LIMIT_S):
                while not found:
                    found = await janitor.find_lost(0)
                    await asyncio.sleep(_LEASE_S / 6)
            await client.config_set("maxmemory", "1")
            with pytest.raises(PublishError):
                await janitor.close(found[0])
            await client.config_set("maxmemory", "0")
            assert len(await events_of(client, "CA1")) == 1
            assert await janitor.close(found[0])
            assert [e["type"] for e in await events_of(client, "CA1")][1:] == ["stream.ended"]
