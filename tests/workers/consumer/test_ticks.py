"""Handlers that act on the passing of time: until when, once, and in order with events."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import PublishError
from gateway.redis_client.client import create_client
from tests.waiting import eventually
from tests.workers.client.stories import fields
from tests.workers.consumer.a_worker import group_of
from tests.workers.consumer.test_consumer import add
from workers.client import reading
from workers.client.events import Entry
from workers.consumer import Append, Consumer, ConsumerMetrics, Received
from workers.consumer.partition import LeasedPartition
from workers.consumer.store import Commit, Lease, LeaseStore

_START_MS: Final = 1_795_255_616_000
_EVENT: Final = fields("stream.paused", 1, at_ms=0)


class Watch:
    """Records what it is called with; appends an event per tick."""

    def __init__(self) -> None:
        self.calls: list[str | int] = []
        self.error: Exception | None = None
        self.is_closed = False

    async def handle(self, received: Received) -> Sequence[Append]:
        self.calls.append(received.event.id)
        return ()

    async def tick(self, until_ms: int) -> Sequence[Append]:
        self.calls.append(until_ms)
        if self.error:
            raise self.error
        return [Append("CA1", {"until": str(until_ms)})]

    async def close(self) -> None:
        self.is_closed = True


class Store:
    """Accepts every commit."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []

    async def commit(self, lease: Lease, commit: Commit) -> bool:
        self.commits.append(commit)
        return True


class Bench:
    """A leased partition with a handler that watches time."""

    def __init__(self) -> None:
        self.watch, self.store = Watch(), Store()
        store: Any = self.store
        self.registry = CollectorRegistry()
        metrics = ConsumerMetrics(self.registry, "g")
        lease = Lease(53, 7, "0", is_takeover=False)
        self.held = LeasedPartition(lease, store, self.watch, metrics, lease_s=60)
        self.read_s = time.monotonic()
        self.held.note_renewal(self.read_s, _START_MS)

    def add(self, at_ms: int) -> None:
        self.held.add([Entry(f"{at_ms}-0", _EVENT)])

    def pass_time(self, s: float) -> None:
        self.read_s += s
        self.held.note_nothing_new(self.read_s)

    async def run(self) -> None:
        """Handle all that is due."""
        running = asyncio.create_task(self.held.run())
        for _ in range(20):
            await asyncio.sleep(0)
        self.held.stop()
        await running


async def test_ticks_follow_the_servers_clock_at_most_once_a_second() -> None:
    bench = Bench()
    bench.pass_time(2.0)
    bench.pass_time(0.5)
    await bench.run()
    (first,) = bench.watch.calls
    assert isinstance(first, int)
    assert _START_MS + 2400 < first <= _START_MS + 2500, "never later than the server's clock"
    assert [each.turn for each in bench.store.commits] == ["7:1"]
    assert bench.store.commits[0].position == ""


async def test_events_that_wait_are_handled_before_a_tick_at_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Symptom: a partition that always had events had no ticks, so silent calls had no alerts."""
    monkeypatch.setattr("workers.consumer.partition._COMMIT_ENTRIES", 1)
    bench = Bench()
    bench.pass_time(2.0)
    times = [_START_MS + ms for ms in (2100, 2900, 3100)]
    for each in times:
        bench.add(each)
    bench.pass_time(2.0)
    await bench.run()
    first, second, third = (f"{each}-0" for each in times)
    assert bench.watch.calls == [first, times[0], second, third, times[2]]


async def test_worker_that_is_far_behind_handles_events_without_ticks() -> None:
    bench = Bench()
    bench.add(_START_MS - 70_000)
    await bench.run()
    assert bench.watch.calls == [f"{_START_MS - 70_000}-0"]


async def test_no_tick_before_the_servers_clock_is_known() -> None:
    bench = Bench()
    bench.held = LeasedPartition(
        bench.held.lease,
        bench.store,  # type: ignore[arg-type]  # (a fake of its two methods that are used)
        bench.watch,
        ConsumerMetrics(CollectorRegistry(), "g"),
        lease_s=60,
    )
    bench.pass_time(5.0)
    await bench.run()
    assert bench.watch.calls == []


async def test_tick_that_fails_is_counted_and_the_next_one_succeeds() -> None:
    bench = Bench()
    bench.watch.error = ValueError("content")
    bench.pass_time(2.0)
    running = asyncio.create_task(bench.held.run())
    await eventually(lambda: len(bench.watch.calls) == 1)
    bench.watch.error = None
    bench.pass_time(2.0)
    await eventually(lambda: len(bench.store.commits) == 1)
    bench.held.stop()
    await running
    labels = {"group": "g", "reason": "tick"}
    assert bench.registry.get_sample_value("callscribe_consumer_errors_total", labels) == 1


@pytest.mark.parametrize(("reason", "logged"), [("redis-unavailable", 0), ("redis-refused", 1)])
async def test_tick_that_redis_prevents_is_counted_by_its_reason(
    reason: str, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Symptom: an outage of Redis logged an error per partition and second."""
    bench = Bench()
    bench.watch.error = PublishError(reason)
    bench.pass_time(2.0)
    await bench.run()
    labels = {"group": "g", "reason": reason}
    assert bench.registry.get_sample_value("callscribe_consumer_errors_total", labels) == 1
    assert len(caplog.records) == logged


async def test_reasons_of_other_errors_are_no_labels() -> None:
    bench = Bench()
    bench.watch.error = UnicodeDecodeError("utf-8", b"", 0, 1, "content")
    bench.pass_time(2.0)
    await bench.run()
    labels = {"group": "g", "reason": "tick"}
    assert bench.registry.get_sample_value("callscribe_consumer_errors_total", labels) == 1


async def test_failed_node_of_a_cluster_does_not_stop_the_ticks_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[int] = []

    def held(partition: int) -> Any:
        return SimpleNamespace(
            has_room=True,
            read_position="0",
            retry_position="0",
            note_nothing_new=lambda _: noted.append(partition),
        )

    async def read(*_: object, **__: object) -> reading.Found:
        error = PublishError("redis-unavailable")
        return reading.Found({}, error, frozenset({consumer_group.source_key(1)}))

    consumer_group = group_of(9)
    client: Any = None
    factory: Any = None
    metrics = ConsumerMetrics(CollectorRegistry(), "g")
    consumer = Consumer(client, consumer_group, "w1", factory, metrics)
    monkeypatch.setattr(consumer, "_held", {1: held(1), 2: held(2)})
    monkeypatch.setattr(reading, "read_available", read)
    with pytest.raises(PublishError):
        await consumer._read()  # noqa: SLF001
    assert noted == [2]


async def test_handler_is_closed_when_the_partition_is_left() -> None:
    bench = Bench()
    await bench.run()
    assert bench.watch.is_closed


async def test_commit_of_a_tick_is_written_once(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        store = LeaseStore(client, group_of(9), "w1")
        (lease,) = await store.acquire([53])
        commit = Commit(appends=[Append("CA1", {"n": "1"})], turn=f"{lease.fence}:1")
        assert await store.commit(lease, commit)
        assert await store.commit(lease, commit), "its reply may have been lost"
        assert await client.xlen("cs:{p53}:call:CA1:copy") == 1
        assert await store.commit(lease, commit._replace(turn=f"{lease.fence}:2"))
        assert await client.xlen("cs:{p53}:call:CA1:copy") == 2


@pytest.mark.parametrize("url", ["redis_url", "redis_cluster_url"])
async def test_worker_ticks_after_all_events_of_the_time_before(
    url: str, request: pytest.FixtureRequest
) -> None:
    redis_url = str(request.getfixturevalue(url))
    watches = defaultdict[int, Watch](Watch)
    watch, stop = watches[53], asyncio.Event()
    metrics = ConsumerMetrics(CollectorRegistry(), "copy")
    async with contextlib.aclosing(create_client(redis_url)) as client:
        consumer = Consumer(
            client, group_of(0.8), "w1", lambda partition: watches[partition], metrics
        )
        running = asyncio.create_task(consumer.run(stop))
        await eventually(lambda: len(watch.calls) > 0)
        await add(client, "CA1", 1)
        await eventually(lambda: any(isinstance(each, str) for each in watch.calls))
        position = next(i for i, each in enumerate(watch.calls) if isinstance(each, str))
        await eventually(lambda: len(watch.calls) > position + 1)
        stop.set()
        await running
    written_ms = int(str(watch.calls[position]).partition("-")[0])
    before = [each for each in watch.calls[:position] if isinstance(each, int)]
    after = [each for each in watch.calls[position:] if isinstance(each, int)]
    assert all(each <= written_ms for each in before)
    assert max(after) > written_ms
