"""A planned failover that keeps old connections open: every client reaches the new primary at once.

The old primary becomes a replica, and replies READONLY on connections that it never closes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from redis.asyncio import RedisCluster
from redis.exceptions import RedisError

from gateway.admission.capacity_store import RedisCapacityStore
from gateway.admission.lease_pool import Acquisition
from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from gateway.publishing.outbox import Limits
from gateway.publishing.redis_store import append, probe_writes
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import drop_connections, execute
from gateway.transcript.encode import pack_batch, pack_event, pack_stream
from tests.gateway.ingress.remembered import claims_in
from tests.gateway.publishing.publisher_harness import (
    PARTITIONS,
    client_of,
    events_of,
    final,
    keys_of,
    numbers,
    open_stream,
    publisher_at,
    texts,
)
from tests.redis_servers import cluster, cluster_with_replica, losing_a_node, valkey
from tests.tcp_proxy import TcpProxy
from tests.waiting import eventually
from workers.redis_streams import RedisStreams

_QUICK = Limits(flush_interval_s=0.002, backoff_first_s=0.005, backoff_max_s=0.05)


class Pair(NamedTuple):
    """A primary, its replica, and a proxy whose target moves from one to the other."""

    url: str  # of the proxy
    new_url: str
    front: TcpProxy
    old: RedisClient
    new: RedisClient

    async def fail_over(self) -> None:
        await self.new.execute_command("REPLICAOF", "NO", "ONE")
        new_port = self.new_url.rpartition(":")[2]
        await self.old.execute_command("REPLICAOF", "127.0.0.1", new_port)
        self.front.target = int(new_port)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with contextlib.AsyncExitStack() as stack:
        urls = [stack.enter_context(valkey(repl_diskless_sync_delay="0")) for _ in range(2)]
        old, new = [await stack.enter_async_context(client_of(url)) for url in urls]
        await new.execute_command("REPLICAOF", "127.0.0.1", urls[0].rpartition(":")[2])
        async with asyncio.timeout(30):
            while b"master_link_status:up" not in await raw_info(new):  # noqa: ASYNC110  # Redis sends no event
                await asyncio.sleep(0.02)
        front = await stack.enter_async_context(TcpProxy(int(urls[0].rpartition(":")[2])))
        yield Pair(f"redis://127.0.0.1:{front.port}", urls[1], front, old, new)


async def raw_info(client: RedisClient) -> bytes:
    script = "return redis.call('INFO', 'replication')"
    answer: bytes = await client.execute_command("EVAL", script, 0)
    return answer


async def test_session_slots_are_counted_by_the_new_primary_at_once(pair: Pair) -> None:
    """Symptom: for 35 s each gateway counted alone, and 8 sessions used 4 slots."""
    async with client_of(pair.url, 1.0) as one, client_of(pair.url, 1.0) as two:
        stores = [RedisCapacityStore(one), RedisCapacityStore(two)]
        assert await stores[0].acquire("a", ["1", "2"], 4, 60) == Acquisition(True, 2)
        assert await stores[1].acquire("a", ["3"], 4, 60) == Acquisition(True, 3)
        await pair.fail_over()
        assert await stores[0].acquire("a", ["4"], 4, 60) == Acquisition(True, 4)
        assert await stores[1].acquire("a", ["5"], 4, 60) == Acquisition(False, 4)
        assert await stores[1].renew("a", ["3"], 60) == 4
        await stores[0].release("a", ["4"])
        assert await stores[1].acquire("a", ["5"], 4, 60) == Acquisition(True, 4)


async def test_token_is_accepted_once_right_after_the_failover(pair: Pair) -> None:
    """Symptom: for 35 s every gateway accepted it, because each kept its own list of tokens."""
    async with client_of(pair.url, 1.0) as one, client_of(pair.url, 1.0) as two:
        claims = [claims_in(one), claims_in(two)]
        assert await claims[0]("before", 60)
        assert not await claims[1]("before", 60)
        await pair.fail_over()
        assert await claims[0]("after", 60)
        assert not await claims[1]("after", 60)
        assert not await claims[1]("before", 60)


async def test_concurrent_commands_all_reach_the_new_primary(pair: Pair) -> None:
    async with client_of(pair.url, 1.0) as client:
        claim = claims_in(client)
        assert all(await asyncio.gather(*(claim(f"before{i}", 60) for i in range(8))))
        await pair.fail_over()
        assert all(await asyncio.gather(*(claim(f"after{i}", 60) for i in range(8))))
        assert not any(await asyncio.gather(*(claim(f"after{i}", 60) for i in range(8))))


async def test_events_continue_without_a_hole(pair: Pair) -> None:
    async with publisher_at(pair.url, _QUICK) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(final("a"))
        await eventually(lambda: not publisher.buffered_events)
        await pair.fail_over()
        writer.publish(final("b"))
        await eventually(lambda: not publisher.buffered_events)
    events = await events_of(pair.new, "CA1")
    assert (numbers(events), texts(events)) == ([1, 2], ["a", "b"])


async def test_readiness_and_janitor_reach_the_new_primary(pair: Pair) -> None:
    stream_header = pack_stream("1", "CA1", "MZ1", 5, "g1", 30_000, 500, 1000, 86_400_000)

    def batch(n: int) -> list[AppendCall]:
        event = pack_event(["transcript.final", "at", "text", "x"])
        return [
            AppendCall(keys_of("CA1"), stream_header, pack_batch(n, [event], ends_stream=False))
        ]

    async with client_of(pair.url) as probing, client_of(pair.url) as janitor:
        streams = RedisStreams(janitor)
        assert await probe_writes(probing, PARTITIONS, 5) == [None]
        assert await streams.append(batch(1), 5) == [0]
        await pair.fail_over()
        (refused,) = await streams.append(batch(2), 5)
        assert isinstance(refused, PublishError)
        assert (refused.reason, refused.detail) == ("redis-unavailable", "READONLY")
        assert await streams.append(batch(2), 5) == [1]
        assert await probe_writes(probing, PARTITIONS, 5) == [None]


async def test_takeover_by_a_cluster_replica_is_followed() -> None:
    """The old primary keeps its connections and replies MOVED."""
    async with contextlib.AsyncExitStack() as stack:
        url, replica_url = stack.enter_context(cluster_with_replica())
        one, two, replica = [
            await stack.enter_async_context(client_of(u)) for u in (url, url, replica_url)
        ]
        store, claim = RedisCapacityStore(one), claims_in(two)
        publisher = await stack.enter_async_context(publisher_at(url, _QUICK))
        writer = open_stream(publisher, "CA1")
        writer.publish(final("a"))
        await eventually(lambda: not publisher.buffered_events)
        assert await store.acquire("a", ["1"], 1, 60) == Acquisition(True, 1)
        assert await claim("before", 60)
        await replica.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")
        async with asyncio.timeout(30):
            while b"role:master" not in await raw_info(replica):  # noqa: ASYNC110  # Redis sends no event
                await asyncio.sleep(0.02)
        assert await store.acquire("a", ["2"], 1, 60) == Acquisition(False, 1)
        assert not await claim("before", 60)
        assert await claim("after", 60)
        assert not await claim("after", 60)
        writer.publish(final("b"))
        await eventually(lambda: not publisher.buffered_events)
        assert await probe_writes(one, PARTITIONS, 5) == [None]
        events = await events_of(two, "CA1")
        assert (numbers(events), texts(events)) == ([1, 2], ["a", "b"])


async def test_cluster_with_all_nodes_replaced_is_found_by_the_url() -> None:
    """Symptom: after a restart in Kubernetes had replaced all nodes, none was found again."""
    with contextlib.ExitStack() as stack:
        first = contextlib.ExitStack()
        old_url, _ = stack.enter_context(first).enter_context(cluster_with_replica())
        new_url, _ = stack.enter_context(cluster_with_replica())
        async with TcpProxy(int(old_url.rpartition(":")[2])) as front:
            url = f"redis+cluster://127.0.0.1:{front.port}"
            async with client_of(url, 1.0) as client, publisher_at(url, _QUICK) as publisher:
                store, writer = RedisCapacityStore(client), open_stream(publisher, "CA1")
                writer.publish(final("a"))
                await eventually(lambda: not publisher.buffered_events)
                assert await store.acquire("a", ["1"], 1, 60) == Acquisition(True, 1)
                first.close()
                front.target = int(new_url.rpartition(":")[2])
                writer.publish(final("b"))
                await eventually(lambda: not publisher.buffered_events)
                async with asyncio.timeout(20):
                    while await probe_writes(client, PARTITIONS, 5) != [None]:
                        pass
                assert await store.acquire("a", ["2"], 1, 60) == Acquisition(True, 1)


async def test_batch_retried_after_failover_is_appended_once(pair: Pair) -> None:
    """READONLY means that nothing was written: the same batch, sent again, is written once."""
    stream_header = pack_stream("1", "CA2", "MZ1", 5, "g1", 30_000, 500, 1000, 86_400_000)
    events = [pack_event(["transcript.final", "at", "text", text]) for text in "ab"]
    call = AppendCall(keys_of("CA2"), stream_header, pack_batch(1, events, ends_stream=False))
    async with client_of(pair.url) as client:
        await append(client, [call], 5)
        await pair.fail_over()
        answers = [(await append(client, [call], 5))[0] for _ in range(3)]
    assert answers[1:] == [2, 2]
    assert len(await events_of(pair.new, "CA2")) == 2


async def test_cluster_is_usable_without_the_node_with_the_lowest_slots() -> None:
    """Symptom to prevent: redis-py asks that node for the table of commands, and no other one."""
    with losing_a_node(), cluster() as urls:
        async with client_of(urls[0].replace("redis://", "redis+cluster://")) as client:
            assert isinstance(client, RedisCluster)
            await execute(client, "GET", "a", timeout_s=5)
            lost = client.get_default_node()
            keys = [str(n) for n in range(30) if client.get_node_from_key(str(n)) is not lost]
            async with client_of(f"redis://{lost.name}") as one:
                with contextlib.suppress(RedisError):
                    await one.execute_command("SHUTDOWN", "NOSAVE", "NOW")
            await drop_connections(client)
            for key in keys:
                await execute(client, "SET", key, "", timeout_s=5)
            assert client.get_default_node() is not lost
