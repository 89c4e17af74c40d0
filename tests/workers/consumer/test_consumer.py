"""A group of workers on real servers: one owner per partition, order, each effect once."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.waiting import eventually
from tests.workers.client.stories import fields
from tests.workers.consumer.a_worker import CRASH, POISON, Copy, group_of
from workers.consumer import Append, Consumer, ConsumerMetrics, Handler, Received
from workers.consumer.store import Commit, Lease, LeaseStore

PATIENCE_S: Final = 30.0
_POSITION: Final[dict[str, Any]] = {
    "track": "inbound",
    "segment": 1,
    "rev": 0,
    "start_ms": 0,
    "end_ms": 80,
}
_CALLS: Final = [f"CA{number}" for number in range(12)]

type Copies = dict[str, list[tuple[int, str]]]  # call -> n and worker of each copied event


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def client(url: str) -> AsyncIterator[RedisClient]:
    made = create_client(url)
    yield made
    await made.aclose()


async def add(client: RedisClient, call: str, n: int, text: str = "") -> None:
    event: Any = fields("transcript.final", n, call=call, text=text, **_POSITION)
    await client.xadd(partition_key(partition_of(call, 64), "events"), event)


async def copies(client: RedisClient, calls: Sequence[str] = _CALLS) -> Copies:
    found: Copies = {}
    for call in calls:
        key = partition_key(partition_of(call, 64), f"call:{call}:copy")
        entries: Any = await client.xrange(key)
        found[call] = [(int(event[b"n"]), event[b"worker"].decode()) for _, event in entries]
    return found


def numbers(found: Copies) -> dict[str, list[int]]:
    return {call: [n for n, _ in copied] for call, copied in found.items()}


async def until_copied(client: RedisClient, last: int, calls: Sequence[str] = _CALLS) -> None:
    """Wait until the copies of all calls reach a number."""

    async def reached() -> bool:
        found = numbers(await copies(client, calls))
        return all(each and each[-1] >= last for each in found.values())

    async with asyncio.timeout(PATIENCE_S):
        while not await reached():  # noqa: ASYNC110  # Redis sends no event
            await asyncio.sleep(0.02)


class Worker:
    """A consumer in this process."""

    def __init__(self, url: str, name: str, handler: Handler | None, lease_s: float) -> None:
        self.registry = CollectorRegistry()
        self._client = create_client(url)
        self._stop = asyncio.Event()
        self.consumer = Consumer(
            self._client,
            group_of(lease_s),
            name,
            lambda _: handler or Copy(name),
            ConsumerMetrics(self.registry, "copy"),
        )
        self._task = asyncio.create_task(self.consumer.run(self._stop))

    def metric(self, name: str, **labels: str) -> float:
        labels = {"group": "copy", **labels}
        return self.registry.get_sample_value(f"callscribe_consumer_{name}", labels) or 0.0

    async def stop(self) -> None:
        self._stop.set()
        await self._task
        await self._client.aclose()


@contextlib.asynccontextmanager
async def workers(
    url: str, *names: str, handler: Handler | None = None, lease_s: float = 2.0
) -> AsyncIterator[list[Worker]]:
    running = [Worker(url, name, handler, lease_s) for name in names]
    try:
        yield running
    finally:
        for each in running:
            await each.stop()


async def test_events_of_each_call_are_handled_in_order_and_once(
    url: str, client: RedisClient
) -> None:
    for n in range(1, 21):
        for call in _CALLS:
            await add(client, call, n)
    async with workers(url, "w1", "w2", "w3") as running:
        await until_copied(client, 20)
        await eventually(lambda: sum(len(each.consumer.held) for each in running) == 64)
    found = await copies(client)
    assert numbers(found) == {call: list(range(1, 21)) for call in _CALLS}
    shared = [len(await client.xrange(partition_key(p, "copy")) or ()) for p in range(64)]
    assert sum(shared) == 20 * len(_CALLS)


async def test_worker_that_joins_gets_its_share_and_one_that_leaves_gives_it_back(
    url: str, client: RedisClient
) -> None:
    async with workers(url, "w1") as (first,):
        await eventually(lambda: len(first.consumer.held) == 64)
        async with workers(url, "w2") as (second,):
            await eventually(lambda: len(first.consumer.held) == len(second.consumer.held) == 32)
            assert not {*first.consumer.held} & {*second.consumer.held}
            for call in _CALLS:
                await add(client, call, 1)
            await until_copied(client, 1)
        await eventually(lambda: len(first.consumer.held) == 64)
        for call in _CALLS:
            await add(client, call, 2)
        await until_copied(client, 2)
    assert numbers(await copies(client)) == {call: [1, 2] for call in _CALLS}


async def test_next_worker_continues_at_the_stored_position(url: str, client: RedisClient) -> None:
    for name, n in (("w1", 1), ("w2", 2), ("w3", 3)):
        for call in _CALLS:
            await add(client, call, n)
        async with workers(url, name):
            await until_copied(client, n)
    assert await copies(client) == {call: [(1, "w1"), (2, "w2"), (3, "w3")] for call in _CALLS}


async def test_event_that_can_not_be_handled_becomes_a_dead_letter(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.consumer.partition._BACKOFF_S", (0.001, 0.01))
    async with contextlib.aclosing(create_client(redis_url)) as client:
        await add(client, "CA1", 1)
        await add(client, "CA1", 2, POISON)
        await add(client, "CA1", 3)
        await client.execute_command("XADD", "cs:{p53}:events", "*", "type", "stream.ended")
        await add(client, "CA1", 4)
        async with workers(redis_url, "w1") as (worker,):
            await until_copied(client, 4, ["CA1"])
            assert worker.metric("entries_total", result="dead") == 2
            assert worker.metric("entries_total", result="retried") == 4
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1, 3, 4]}
        letters: Any = await client.xrange("cs:{p53}:dead:copy")
        why = [(each[b"dead_error"], each[b"dead_tries"]) for _, each in letters]
        assert why == [(b"ValueError", b"5"), (b"EventError", b"1")]
        assert letters[0][1][b"n"] == b"2"


async def test_dead_letter_is_handled_again_on_request(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        async with workers(redis_url, "w1"):
            await add(client, "CA1", 1)
            await until_copied(client, 1, ["CA1"])
            event: Any = fields("transcript.final", 7, call="CA1", text="now fine", **_POSITION)
            await client.xadd("cs:{p53}:retry:copy", event)
            await until_copied(client, 7, ["CA1"])
            await eventually_empty(client, "cs:{p53}:retry:copy")
            await client.xadd("cs:{p53}:retry:copy", {**event, "text": POISON})
            await eventually_empty(client, "cs:{p53}:retry:copy")
        assert await client.xlen("cs:{p53}:dead:copy") == 1
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1, 7]}


async def eventually_empty(client: RedisClient, key: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await client.xlen(key):  # noqa: ASYNC110  # Redis sends no event
            await asyncio.sleep(0.02)


class Failing:
    """Raises an error of Redis for a while, then copies."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self._copy = Copy("w1")

    async def handle(self, received: Received) -> Sequence[Append]:
        if self._failures:
            self._failures -= 1
            raise PublishError("redis-unavailable", "a test")
        return await self._copy.handle(received)


async def test_unavailable_redis_makes_no_dead_letters(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.consumer.partition._BACKOFF_S", (0.001, 0.01))
    async with contextlib.aclosing(create_client(redis_url)) as client:
        await add(client, "CA1", 1)
        async with workers(redis_url, "w1", handler=Failing(20)):
            await until_copied(client, 1, ["CA1"])
        assert not await client.exists("cs:{p53}:dead:copy")


async def test_commit_is_written_once_and_only_by_the_owner(url: str, client: RedisClient) -> None:
    group = group_of(0.05)
    first, second = (LeaseStore(client, group, name) for name in ("w1", "w2"))
    (lease,) = await first.acquire([53])
    commit = Commit("1-0", [Append("CA1", {"n": "1", "worker": "w1"})])
    assert await first.commit(lease, commit)
    assert await first.commit(lease, commit), "its reply may have been lost"
    assert await second.acquire([53]) == []
    await asyncio.sleep(0.1)
    (taken,) = await second.acquire([53])
    assert taken == Lease(53, lease.fence + 1, "1-0", is_takeover=True)
    late = Commit("2-0", [Append("CA1", {"n": "2", "worker": "w1"})])
    assert not await first.commit(lease, late)
    assert (await first.renew([lease])).lost == [lease]
    assert await copies(client, ["CA1"]) == {"CA1": [(1, "w1")]}
    await second.release([taken])
    (again,) = await first.acquire([53])
    assert not again.is_takeover


async def test_new_group_begins_now_by_the_clock_of_the_server(
    url: str, client: RedisClient
) -> None:
    """A start by the worker's clock lost events, or began with old ones, where clocks differ."""
    store = LeaseStore(client, replace(group_of(9), start="now"), "w1")
    entry: Any = await client.xadd("cs:{p53}:events", {"n": "1"})
    (lease,) = await store.acquire([53])
    behind_ms = int(entry.split(b"-")[0]) - int(lease.position.partition("-")[0])
    assert 50_000 < behind_ms <= 60_000
    await store.release([lease])
    (again,) = await store.acquire([53])
    assert again.position == lease.position


async def test_retry_is_done_once(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        store = LeaseStore(client, group_of(9), "w1")
        (lease,) = await store.acquire([53])
        added: Any = await client.xadd("cs:{p53}:retry:copy", {"n": "1"})
        entry_id = added.decode()
        commit = Commit(appends=[Append("CA1", {"n": "1", "worker": ""})], retried=[entry_id])
        assert await store.commit(lease, commit)
        assert await store.commit(lease, commit)
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1]}


@pytest.mark.parametrize("name", ["call:CA1:copy", "copy", "retry:copy", "dead:copy"])
async def test_key_of_another_type_prevents_the_whole_commit(redis_url: str, name: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        store = LeaseStore(client, group_of(9), "w1")
        (lease,) = await store.acquire([53])
        await client.set(f"cs:{{p53}}:{name}", "not a stream")
        with pytest.raises(PublishError):
            await store.commit(lease, Commit("1-0", [Append("CA1", {"n": "1"})]))
        await client.delete(f"cs:{{p53}}:{name}")
        assert await client.keys("*copy") == [b"cs:{p53}:consumer:copy"]
        assert await client.hget("cs:{p53}:consumer:copy", "position") == b"0"


class Processes:
    """Workers in processes of their own, which can be killed and suspended."""

    def __init__(self, url: str, lease_s: float) -> None:
        self._url = url
        self._lease_s = lease_s
        self.running: dict[str, asyncio.subprocess.Process] = {}
        self._started = 0

    async def start(self) -> str:
        self._started += 1
        name = f"w{self._started}"
        arguments = ("-m", "tests.workers.consumer.a_worker", self._url, name, str(self._lease_s))
        self.running[name] = await asyncio.create_subprocess_exec(sys.executable, *arguments)
        return name

    async def kill(self, name: str) -> None:
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def crashed(self) -> str:
        """Wait until a worker has crashed; return its name."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for name, process in self.running.items():
                    if process.returncode is not None:
                        return name
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def processes(url: str, lease_s: float) -> AsyncIterator[Processes]:
    made = Processes(url, lease_s)
    try:
        yield made
    finally:
        for name in list(made.running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(made.running[name].pid, signal.SIGCONT)
            await made.kill(name)


async def test_event_that_crashes_every_worker_becomes_a_dead_letter(redis_url: str) -> None:
    """Symptom to prevent: one event stops a partition forever, as each owner crashes."""
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        processes(redis_url, 0.3) as made,
    ):
        await add(client, "CA1", 1)
        await add(client, "CA1", 2, CRASH)
        await add(client, "CA1", 3)
        await made.start()
        crashes = 0
        while not await client.exists("cs:{p53}:dead:copy"):
            await made.kill(await made.crashed())
            crashes += 1
            await made.start()
            await asyncio.sleep(0.02)
            if crashes == 6:  # one before it was suspected, and one for each of the tries
                await until_copied(client, 3, ["CA1"])
        assert crashes == 6
        assert numbers(await copies(client, ["CA1"])) == {"CA1": [1, 3]}
        letters: Any = await client.xrange("cs:{p53}:dead:copy")
        assert [each[b"dead_error"] for _, each in letters] == [b"crashed"]


async def test_suspended_worker_writes_nothing_when_it_continues(redis_url: str) -> None:
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        processes(redis_url, 0.5) as made,
    ):
        name = await made.start()
        for call in _CALLS:
            await add(client, call, 1)
        await until_copied(client, 1)
        os.kill(made.running[name].pid, signal.SIGSTOP)
        for call in _CALLS:
            await add(client, call, 2)
        second = await made.start()
        await until_copied(client, 2)
        os.kill(made.running[name].pid, signal.SIGCONT)
        for call in _CALLS:
            await add(client, call, 3)
        await until_copied(client, 3)
        found = await copies(client)
        assert numbers(found) == {call: [1, 2, 3] for call in _CALLS}
        assert {copied[1][1] for copied in found.values()} == {second}


async def chaos(url: str, kills: int, calls: int, lease_s: float = 0.6) -> None:
    """Kill random workers while calls run; check that each event is copied once, in order."""
    names = [f"CB{number}" for number in range(calls)]
    last = 0
    async with contextlib.aclosing(create_client(url)) as client, processes(url, lease_s) as made:
        for _ in range(3):
            await made.start()
        done = asyncio.Event()

        async def talk() -> int:
            n = 0
            while not done.is_set():
                n += 1
                for name in names:
                    await add(client, name, n)
                await asyncio.sleep(0.05)
            return n

        talking = asyncio.create_task(talk())
        for number in range(kills):
            await asyncio.sleep(0.15 + 0.1 * (number % 5))
            victim = list(made.running)[number % len(made.running)]
            await made.kill(victim)
            await made.start()
        done.set()
        last = await talking
        await until_copied(client, last, names)
        assert numbers(await copies(client, names)) == {
            name: list(range(1, last + 1)) for name in names
        }
        shared: dict[bytes, list[int]] = defaultdict(list)
        for partition in range(64):
            entries: Any = await client.xrange(partition_key(partition, "copy"))
            for _, event in entries:
                shared[event[b"call_id"]].append(int(event[b"n"]))
        assert all(each == list(range(1, last + 1)) for each in shared.values())
        dead = [partition_key(partition, "dead:copy") for partition in range(64)]
        assert not [key for key in dead if await client.exists(key)]


@pytest.mark.timeout(120)
async def test_workers_killed_at_random_lose_and_repeat_nothing(redis_url: str) -> None:
    await chaos(redis_url, kills=8, calls=20)
