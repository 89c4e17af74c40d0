"""A group of workers on servers that refuse commands or do not respond, and with odd entries."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import Any, Final

import pytest
import redis
from redis.asyncio import RedisCluster

from gateway.errors import PublishError
from gateway.redis_client.client import create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import cluster, losing_a_node, valkey
from tests.waiting import eventually
from tests.workers.client.stories import fields
from tests.workers.consumer.a_worker import group_of
from tests.workers.consumer.test_consumer import (
    Worker,
    add,
    copies,
    numbers,
    until_copied,
    workers,
)
from workers.consumer import Append, Received
from workers.consumer.store import Commit, LeaseStore

_COPY: Final = Append("CA1", {"n": "1", "worker": "w1"})


async def test_retry_that_was_deleted_does_not_discard_other_effects(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        store = LeaseStore(client, group_of(9), "w1")
        (lease,) = await store.acquire([53])
        commit = Commit("1-0", [_COPY], retried=["5-0"])
        for _ in range(2):
            assert await store.commit(lease, commit)
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1]}


@pytest.mark.parametrize("command", ["xadd", "xtrim", "expire"])
async def test_refused_command_prevents_the_whole_commit(redis_url: str, command: str) -> None:
    """Symptom to prevent: the position is stored and the effects are not, so they are lost."""
    async with contextlib.aclosing(create_client(redis_url)) as client:
        rules = ("on", ">pw", "~*", "+@all", f"-{command}")
        await client.execute_command("ACL", "SETUSER", "limited", *rules)
        limited = create_client(redis_url.replace("redis://", "redis://limited:pw@"))
        try:
            store = LeaseStore(limited, group_of(9), "w1")
            (lease,) = await store.acquire([53])
            with pytest.raises(PublishError, match="NOPERM"):
                await store.commit(lease, Commit("1-0", [_COPY]))
            await client.execute_command("ACL", "SETUSER", "limited", f"+{command}")
            assert await store.commit(lease, Commit("1-0", [_COPY]))
            assert numbers(await copies(client, ["CA1"])) == {"CA1": [1]}
        finally:
            await limited.aclose()
            await client.execute_command("ACL", "DELUSER", "limited")


async def test_worker_with_a_shorter_lease_does_not_take_over_from_a_living_one(
    redis_url: str,
) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        old, new = LeaseStore(client, group_of(30), "w1"), LeaseStore(client, group_of(5), "w2")
        [lease] = await old.acquire([53])
        await old.join()
        assert await new.acquire([53]) == []
        assert await new.join() == 2
        assert (await old.renew([lease])).lost == []
        assert await new.acquire([53]) == []


@pytest.mark.parametrize("ahead_s", [7200, -1])
async def test_lease_ends_also_when_the_server_clock_was_set_back(
    redis_url: str, ahead_s: int
) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        crashed, next_one = (LeaseStore(client, group_of(9), name) for name in ("w1", "w2"))
        await crashed.acquire([53])
        await crashed.join()
        assert await next_one.acquire([53]) == []
        assert await next_one.join() == 2
        ends_ms = round((time.time() + ahead_s) * 1000)  # renewed before the clock was set back
        await client.hset("cs:{p53}:consumer:copy", "until", str(ends_ms))
        await client.zadd("cs:consumers:copy", {"w1": ends_ms})
        assert [each.partition for each in await next_one.acquire([53])] == [53]
        assert await next_one.join() == 1


class Widen:
    """Returns an event with more fields than Lua passes to a command, then copies."""

    async def handle(self, received: Received) -> Sequence[Append]:
        wide = {str(number): "" for number in range(5000)} if received.event.n == 2 else {}
        return [Append(received.event.call_id, {**received.fields, "worker": "w1", **wide})]


async def test_event_with_too_many_fields_becomes_a_dead_letter(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.consumer.partition._BACKOFF_S", (0.001, 0.01))
    async with contextlib.aclosing(create_client(redis_url)) as client:
        await add(client, "CA1", 1)
        wide: Any = fields("stream.dtmf", 2) | {str(number): "" for number in range(5000)}
        await client.xadd("cs:{p53}:events", wide)
        await add(client, "CA1", 3)
        async with workers(redis_url, "w1", handler=Widen()):
            await until_copied(client, 3, ["CA1"])
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1, 3]}
        assert await client.xlen("cs:{p53}:dead:copy") == 1


class AwaitCancelled:
    """Awaits a task that something else cancelled, then copies."""

    async def handle(self, received: Received) -> Sequence[Append]:
        if received.event.n == 2:
            awaited = asyncio.create_task(asyncio.sleep(1))
            awaited.cancel()
            await awaited
        return [Append(received.event.call_id, {**received.fields, "worker": "w1"})]


async def test_handler_that_is_cancelled_from_inside_does_not_end_the_partition(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.consumer.partition._BACKOFF_S", (0.001, 0.01))
    async with contextlib.aclosing(create_client(redis_url)) as client:
        for n in range(1, 4):
            await add(client, "CA1", n)
        async with workers(redis_url, "w1", handler=AwaitCancelled()):
            await until_copied(client, 3, ["CA1"])
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1, 3]}
        assert await client.xlen("cs:{p53}:dead:copy") == 1


async def test_worker_stops_while_redis_does_not_respond() -> None:
    with valkey() as url:
        with redis.Redis.from_url(url) as server:
            pid = int(server.info()["process_id"])
        worker = Worker(url, "w1", None, lease_s=10)
        await eventually(lambda: len(worker.consumer.held) == 64)
        os.kill(pid, signal.SIGSTOP)
        try:
            started_s = time.monotonic()
            async with asyncio.timeout(15):
                await worker.stop()
            assert time.monotonic() - started_s < 5
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_lost_node_of_a_cluster_does_not_stop_the_partitions_of_others() -> None:
    with losing_a_node(), cluster() as urls:
        url = urls[0].replace("redis://", "redis+cluster://")
        async with contextlib.aclosing(create_client(url)) as client:
            assert isinstance(client, RedisCluster)
            _ = await client.initialize()
            lost = client.get_default_node()
            names = [f"CA{number}" for number in range(40)]
            others = [
                name
                for name in names
                if client.get_node_from_key(partition_key(partition_of(name, 64), "")) != lost
            ]
            async with workers(url, "w1", lease_s=2) as (worker,):
                await eventually(lambda: len(worker.consumer.held) == 64)
                with redis.Redis(port=int(lost.port)) as server:
                    server.shutdown(nosave=True)
                for n in range(1, 9):
                    await asyncio.sleep(0.5)
                    for name in others[:4]:
                        await add(client, name, n)
                await until_copied(client, 8, others[:4])
                assert numbers(await copies(client, others[:4])) == {
                    name: list(range(1, 9)) for name in others[:4]
                }
