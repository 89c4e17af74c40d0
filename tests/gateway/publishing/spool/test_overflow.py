"""The publisher beyond its limit of memory: events are written from the spool, once, in order."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.errors import PublishError
from gateway.metrics import Metrics
from gateway.publishing.event_store import AppendCall
from gateway.publishing.outbox import Limits
from gateway.publishing.publisher import Publisher, StreamWriter
from gateway.publishing.spool.overflow import Overflow
from gateway.publishing.spool.spool import Spool
from gateway.transcript.encode import flatten, pack_batch, pack_event, pack_stream
from gateway.transcript.events import VERSION, Status, StreamEnded
from tests.gateway.publishing.memory_store import MemoryStore
from tests.gateway.publishing.publisher_harness import (
    EPOCH,
    PARTITIONS,
    client_of,
    delta,
    ended,
    events_of,
    final,
    keys_of,
    make_publisher,
    numbers,
    open_stream,
    publisher_at,
    started,
    texts,
    total,
)
from tests.redis_servers import free_port, valkey
from tests.waiting import eventually

_SMALL = Limits(
    flush_interval_s=0.0005,
    batch_events=4,
    exchange_events=12,
    backoff_first_s=0.0005,
    backoff_max_s=0.002,
    buffered_events=20,
    buffered_events_hard=40,
    spill_events=6,
    lease_s=1000,
)


class UnreliableStore:
    """A store that is unavailable, slow, loses replies or runs batches late, as set in `faults`."""

    def __init__(self) -> None:
        self.now_ms = 1_795_255_616_244
        self.memory = MemoryStore(lambda: self.now_ms)
        self.unavailable = False
        self.exchanges = 0
        self.faults: list[str] = []  # one per exchange
        self._late: list[AppendCall] = []

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        with_events = [call.stream_header for call in calls]
        assert len(with_events) <= 2 * len(set(with_events)), (
            "per stream at most a batch and a renewal"
        )
        self.exchanges += 1
        fault = "unavailable" if self.unavailable else self.faults.pop(0) if self.faults else "ok"
        for _ in range(30 if fault == "slow" else 1):
            await asyncio.sleep(0)
        unavailable: list[int | PublishError] = [PublishError("redis-unavailable")] * len(calls)
        if fault == "unavailable":
            return unavailable
        if fault == "late":
            self._late += calls
            return unavailable
        late, self._late = self._late, []
        await self.memory.append(late, timeout_s)
        if fault == "renewals-only":
            renewals = [
                call for call in calls if call.payload == pack_batch(1, [], ends_stream=False)
            ]
            await self.memory.append(renewals, timeout_s)
            return unavailable
        if fault == "half":  # as in a cluster with an unavailable node
            unavailable[1::2] = await self.memory.append(calls[1::2], timeout_s)
            return unavailable
        acknowledgements = await self.memory.append(calls, timeout_s)
        return unavailable if fault == "reply-lost" else acknowledgements

    def events(self, call_id: str) -> list[dict[str, str]]:
        return self.memory.streams[keys_of(call_id).call]

    def live(self) -> set[str]:
        return {member for live in self.memory.live.values() for member in live}


def spooled_files(parent: Path) -> list[Path]:
    return sorted(parent.glob("callscribe-*/*.spool"))


@contextlib.asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[Publisher]:
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close(20)


def assert_complete(store: UnreliableStore, call_id: str, words: list[str]) -> None:
    events = store.events(call_id)
    assert numbers(events) == list(range(1, len(words) + 2))
    assert texts(events) == words
    assert events[-1]["type"] == "stream.ended"


async def test_events_beyond_the_memory_limit_go_through_the_spool_without_loss(
    tmp_path: Path,
) -> None:
    store, metrics = UnreliableStore(), Metrics()
    words = {f"CA{i}": [f" {i}.{n}" for n in range(300)] for i in range(3)}
    async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
        writers = {call_id: open_stream(publisher, call_id) for call_id in words}
        store.unavailable = True
        for n in range(200):
            for call_id, writer in writers.items():
                writer.publish(delta(words[call_id][n]))
            await asyncio.sleep(0)
        assert publisher.buffered_events == 600
        assert total(metrics, "redis_buffered_events") == 600
        assert total(metrics, "spool_bytes") == sum(
            p.stat().st_size for p in spooled_files(tmp_path)
        )
        assert len(spooled_files(tmp_path)) > 3
        store.unavailable = False
        for n in range(200, 300):
            for call_id, writer in writers.items():
                writer.publish(delta(words[call_id][n]))
            await asyncio.sleep(0)
        for writer in writers.values():
            writer.publish(ended())
        await eventually(lambda: not publisher.buffered_events)
        assert spooled_files(tmp_path) == []
        direct = open_stream(publisher, "CA9")
        direct.publish(ended())
    for call_id in words:
        assert_complete(store, call_id, words[call_id])
    assert_complete(store, "CA9", [])
    assert store.live() == set()
    assert total(metrics, "redis_events_total") == 904
    for kind in ("transcript.delta", "stream.ended"):
        assert total(metrics, "redis_dropped_events_total", kind=kind) == 0


_FAULTS = st.sampled_from(["ok", "slow", "unavailable", "late", "reply-lost", "half"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 3), st.integers(1, 30)),
        st.tuples(st.just("unavailable"), st.booleans(), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 6), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(st.lists(_FAULTS, max_size=40), _STEPS)
@example(
    ["reply-lost", "late"] * 10,
    [("publish", 0, 30), ("wait", 3, 0), ("publish", 0, 30), ("restart", 0, 0), ("wait", 3, 0)],
)
async def test_each_event_is_written_once_and_in_order_whatever_fails(
    faults: list[str], steps: list[tuple[str, int, int]]
) -> None:
    """Including restarts: the next process writes what the store did not accept in time."""
    store = UnreliableStore()
    store.faults = faults
    words: dict[str, list[str]] = {}
    numbered = count()
    with tempfile.TemporaryDirectory() as name, capture_logs():
        generation = 0
        publisher = make_publisher(store, _SMALL, None, Path(name))
        publisher.start()
        writers: dict[str, StreamWriter] = {}

        async def restart() -> None:
            for call_id, writer in writers.items():
                writer.publish(ended())
                assert call_id in words
            await publisher.close(0 if store.unavailable else 20)
            writers.clear()

        for step, which, events in steps:
            match step:
                case "publish":
                    call_id = f"CA{generation}-{which}"
                    if call_id not in writers:
                        writers[call_id] = open_stream(publisher, call_id)
                        words[call_id] = []
                    for n in range(events):
                        word = f" {next(numbered)}"
                        writers[call_id].publish(final(word) if n % 3 else delta(word))
                        words[call_id].append(word)
                        if n % 7 == 0:
                            await asyncio.sleep(0)
                        assert publisher.buffered_events >= 0
                case "unavailable":
                    store.unavailable = bool(which)
                case "wait":
                    await asyncio.sleep(0.001 * which)
                case _:
                    await restart()
                    generation += 1
                    publisher = make_publisher(store, _SMALL, None, Path(name))
                    publisher.start()
        await restart()
        store.unavailable, store.faults = False, []
        last = make_publisher(store, _SMALL, None, Path(name))
        async with running(last):
            pass
        assert last.buffered_events == 0
        for call_id, expected in words.items():
            assert_complete(store, call_id, expected)
        assert store.live() == set()
        assert spooled_files(Path(name)) == []


async def test_batch_spooled_during_its_exchange_is_written_once(tmp_path: Path) -> None:
    """The batch is in flight and in the spool; the late reply must not count it twice."""
    for fault in ("slow", "reply-lost", "late"):
        store, metrics = UnreliableStore(), Metrics()
        store.faults = [fault, "slow", fault]
        async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
            writer = open_stream(publisher, "CA1")
            words = [str(n) for n in range(100)]
            for word in words:
                writer.publish(final(word))
                await asyncio.sleep(0)
                assert 0 <= total(metrics, "redis_buffered_events") <= 100
            writer.publish(ended())
            await eventually(lambda: not publisher.buffered_events)
        assert total(metrics, "redis_buffered_events") == 0
        assert_complete(store, "CA1", words)


async def test_spooled_batches_are_retried_with_a_backoff(tmp_path: Path) -> None:
    store = UnreliableStore()
    limits = Limits(
        flush_interval_s=0.001, buffered_events=10, spill_events=5,
        backoff_first_s=0.05, backoff_max_s=0.05,
    )  # fmt: skip
    async with running(make_publisher(store, limits, None, tmp_path)) as publisher:
        store.unavailable = True
        writer = open_stream(publisher, "CA1")
        began_s = asyncio.get_running_loop().time()
        for n in range(100):
            writer.publish(final(str(n)))
            await asyncio.sleep(0.002)
        pauses = (asyncio.get_running_loop().time() - began_s) / 0.025  # half of it is jitter
        assert store.exchanges < 20 + pauses
        store.unavailable = False
        writer.publish(ended())
    assert_complete(store, "CA1", [str(n) for n in range(100)])


async def test_unavailable_node_is_retried_at_growing_intervals_while_others_reply() -> None:
    """Symptom: replies of other nodes reset the backoff and logged that Redis was back."""

    class OneNodeUnavailable(UnreliableStore):
        tries = 0

        async def append(
            self, calls: Sequence[AppendCall], timeout_s: float
        ) -> list[int | PublishError]:
            acknowledgements = await super().append(calls, timeout_s)
            for i, (keys, *_) in enumerate(calls):
                if self.unavailable_call in keys.call:
                    self.tries += 1
                    acknowledgements[i] = PublishError("redis-unavailable")
            return acknowledgements

        unavailable_call = "CA2"

    store = OneNodeUnavailable()
    limits = Limits(flush_interval_s=0.002, backoff_first_s=0.005, backoff_max_s=0.4)
    with capture_logs() as logs:
        async with running(make_publisher(store, limits)) as publisher:
            good, bad = open_stream(publisher, "CA1"), open_stream(publisher, "CA2")
            bad.publish(started())
            for _ in range(100):
                good.publish(delta("x"))
                await asyncio.sleep(0.005)
            assert [line["event"] for line in logs] == ["redis-unavailable"]
            assert 1 < store.tries < 15
            store.unavailable_call = "none"
            good.publish(ended())
            bad.publish(ended())
            await eventually(lambda: not publisher.buffered_events)
    assert [line["event"] for line in logs] == ["redis-unavailable", "redis-back"]
    assert numbers(store.events("CA2")) == [1, 2]


class FailingForOneStream:
    """A store that always returns an unknown error for one stream."""

    def __init__(self, call_id: str) -> None:
        self.memory = MemoryStore(lambda: 1_795_255_616_244)
        self._call = keys_of(call_id).call

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        unknown = PublishError("redis-unavailable", "ResponseError")
        return [
            unknown if call[0].call == self._call else (await self.memory.append([call], 1))[0]
            for call in calls
        ]


async def test_stream_that_always_fails_delays_no_other_stream(tmp_path: Path) -> None:
    """An unknown error is retried: its stream waits in memory and on disk, others continue."""
    store = FailingForOneStream("CA1")
    publisher = make_publisher(store, _SMALL, spool_dir=tmp_path)
    publisher.start()
    failing, other = open_stream(publisher, "CA1"), open_stream(publisher, "CA2")
    for i in range(200):
        failing.publish(final(f"a{i}"))
        other.publish(final(f"b{i}"))
        await asyncio.sleep(0)
    await eventually(lambda: publisher.buffered_events == 200)
    assert texts(store.memory.streams[keys_of("CA2").call]) == [f"b{i}" for i in range(200)]
    assert publisher.outage() == "ResponseError"
    await publisher.close(0.1)


async def test_spooled_stream_keeps_its_lease_and_skips_no_event(tmp_path: Path) -> None:
    """Symptom: a renewal with the next n made the script skip events that were still on disk."""
    store = UnreliableStore()
    limits = Limits(
        flush_interval_s=0.001, buffered_events=10, spill_events=5, lease_s=0.03, backoff_max_s=0.01
    )
    async with running(make_publisher(store, limits, None, tmp_path)) as publisher:
        writer = open_stream(publisher, "CA1")
        store.unavailable = True
        for n in range(30):
            writer.publish(final(str(n)))
        store.unavailable = False
        await eventually(lambda: "CA1 MZ1" in store.live())
        await eventually(lambda: not publisher.buffered_events)
        writer.publish(ended())
    assert_complete(store, "CA1", [str(n) for n in range(30)])


async def test_ended_stream_keeps_its_lease_until_its_end_is_written(
    tmp_path: Path,
) -> None:
    """Otherwise the janitor declares it lost before its last events are written."""
    store = UnreliableStore()
    limits = Limits(
        flush_interval_s=0.001, batch_events=5, buffered_events=10, spill_events=5,
        lease_s=0.03, backoff_first_s=0.001, backoff_max_s=0.001,
    )  # fmt: skip
    async with running(make_publisher(store, limits, None, tmp_path)) as publisher:
        writer = open_stream(publisher, "CA1")
        store.unavailable = True
        for n in range(30):
            writer.publish(final(str(n)))
        writer.publish(ended())
        store.faults = ["ok", "ok", *["renewals-only"] * 1000]
        store.unavailable = False
        live = store.memory.live[keys_of("CA1").live]
        await eventually(lambda: len(store.faults) < 990)
        store.now_ms += 1000
        await eventually(lambda: live["CA1 MZ1"] > store.now_ms)
        store.faults = []
        await eventually(lambda: not publisher.buffered_events)
    assert_complete(store, "CA1", [str(n) for n in range(30)])
    assert store.live() == set()


async def test_fenced_stream_drops_its_events_in_the_spool(tmp_path: Path) -> None:
    store, metrics = UnreliableStore(), Metrics()
    fenced: list[str] = []
    async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
        old = open_stream(publisher, "CA1", on_fenced=lambda: fenced.append("CA1"))
        store.unavailable = True
        for n in range(30):
            old.publish(final(str(n)))
        async with running(make_publisher(store.memory)) as taking:
            open_stream(taking, "CA1", epoch=EPOCH + 1).publish(final("new"))
        store.unavailable = False
        await eventually(lambda: bool(fenced) and not publisher.buffered_events)
        old.publish(final("after"))
    assert texts(store.events("CA1")) == ["new"]
    assert fenced == ["CA1"]
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 31
    assert total(metrics, "redis_errors_total", reason="fenced") == 1
    assert spooled_files(tmp_path) == []


async def declare_lost(store: UnreliableStore, call_id: str) -> None:
    """Close a stream as a janitor does, once its lease has lapsed."""
    store.now_ms += 10_000_000
    keys = keys_of(call_id)
    event = pack_event(flatten(StreamEnded(Status.LOST, "gateway-lost", 0, 0, 0), 0, 0))
    stream_header = pack_stream(VERSION, call_id, "MZ1", 2 * EPOCH, "janitor", 1, 1000, 1000, 1000)
    batch = pack_batch(1, [event], ends_stream=True, lapsed_at_ms=store.now_ms)
    assert await store.memory.append([AppendCall(keys, stream_header, batch)], 1) == [0]


def epochs(events: list[dict[str, str]]) -> list[tuple[str, list[int]]]:
    """Return each epoch with its numbers, in the order of writing."""
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event["epoch"], []).append(int(event["n"]))
    return list(found.items())


@pytest.mark.parametrize("fault", ["ok", "reply-lost", "late", "unavailable"])
async def test_stream_declared_lost_continues_with_its_unacknowledged_events(
    tmp_path: Path, fault: str
) -> None:
    """Symptom: the gateway was fenced when it continued, and its unwritten events were dropped."""
    store, metrics = UnreliableStore(), Metrics()
    async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
        writer = open_stream(publisher, "CA1")
        writer.publish(started())
        writer.publish(final("0"))
        await eventually(lambda: not publisher.buffered_events)
        store.faults = [fault] * 3
        for n in range(1, 100):
            writer.publish(final(str(n)))
        await eventually(lambda: not store.faults)
        store.unavailable = True
        await declare_lost(store, "CA1")
        store.unavailable = False
        await eventually(lambda: not publisher.buffered_events)
        writer.publish(ended())
        await eventually(lambda: not publisher.buffered_events)
    events = store.events("CA1")
    lost = next(n for n, e in enumerate(events) if e["type"] == "stream.ended")
    assert texts(events) == [str(n) for n in range(100)]
    assert [numbers for _, numbers in epochs(events)] == [
        list(range(1, lost + 1)),
        [1],
        list(range(1, len(events) - lost)),
    ]
    resumed = events[lost + 1]
    assert (resumed["type"], resumed["resumes"]) == ("stream.started", str(EPOCH))
    assert resumed["tracks"] == events[0]["tracks"]
    assert int(resumed["epoch"]) == 2 * EPOCH + 1
    assert (events[-1]["type"], events[-1]["status"]) == ("stream.ended", "completed")
    # It is not counted if the reply to the batch that resumed it was lost.
    assert (fault == "ok") <= total(metrics, "redis_resumed_streams_total") <= 1
    assert store.live() == set()


@pytest.mark.parametrize("is_declared_lost", [False, True])
async def test_spool_of_a_crashed_process_is_written_even_if_a_janitor_closed_the_stream(
    tmp_path: Path, is_declared_lost: bool
) -> None:
    """Symptom: the events in the spool were fenced and dropped."""
    store = UnreliableStore()
    first = make_publisher(store, _SMALL, None, tmp_path)
    first.start()
    writer = open_stream(first, "CA1")
    writer.publish(started())
    await eventually(lambda: not first.buffered_events)
    store.unavailable = True
    for n in range(60):
        writer.publish(final(str(n)))
    writer.publish(ended())
    with capture_logs():
        await first.close(0)
    if is_declared_lost:
        await declare_lost(store, "CA1")
    store.unavailable = False
    async with running(make_publisher(store, _SMALL, None, tmp_path)):
        pass
    events = store.events("CA1")
    assert texts(events) == [str(n) for n in range(60)]
    assert len(epochs(events)) == (3 if is_declared_lost else 1)
    assert (events[-1]["type"], events[-1]["status"]) == ("stream.ended", "completed")
    assert spooled_files(tmp_path) == []


async def test_spool_of_a_crashed_process_does_not_fence_a_newer_gateway(
    tmp_path: Path,
) -> None:
    """Its stream never reached Redis, and the carrier reconnected to another gateway."""
    store, metrics = UnreliableStore(), Metrics()
    first = make_publisher(store, _SMALL, None, tmp_path)
    first.start()
    store.unavailable = True
    epoch = round(time.time() * 1000) - 10_000
    writer = open_stream(first, "CA1", epoch=epoch)
    for n in range(60):
        writer.publish(final(str(n)))
    with capture_logs():
        await first.close(0)
    store.unavailable = False
    async with running(make_publisher(store, _SMALL)) as newer:
        taken = open_stream(newer, "CA1", epoch=epoch - 3_600_000)  # an hour behind
        taken.publish(final("new"))
        await eventually(lambda: not newer.buffered_events)
        async with running(make_publisher(store, _SMALL, metrics, tmp_path)):
            pass
        taken.publish(ended())
    assert texts(store.events("CA1")) == ["new"]
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 60
    assert spooled_files(tmp_path) == []


async def test_without_room_on_disk_deltas_are_shed_and_dropped_finals_leave_holes(
    tmp_path: Path,
) -> None:
    store, metrics = UnreliableStore(), Metrics()
    publisher = make_publisher(store, _SMALL, metrics, tmp_path, spool_bytes=4000)
    with capture_logs() as logs:
        async with running(publisher):
            writer = open_stream(publisher, "CA1")
            store.unavailable = True
            for n in range(40):
                writer.publish(final(f"f{n}"))
                writer.publish(delta(f"secret{n}"))
            assert publisher.buffered_events < 80
            for n in range(40, 90):
                writer.publish(final(f"f{n}"))
            store.unavailable = False
            await eventually(lambda: not publisher.buffered_events)
            writer.publish(ended())
    events = store.events("CA1")
    finals = [text for text in texts(events) if text.startswith("f")]
    dropped = total(metrics, "redis_dropped_events_total", kind="transcript.final")
    assert dropped > 0
    assert finals == [f"f{n}" for n in range(90 - int(dropped))]
    assert numbers(events)[-1] - len(events) == dropped, "each lost final is a hole"
    assert total(metrics, "redis_dropped_events_total", kind="transcript.delta") > 0
    assert total(metrics, "redis_errors_total", reason="spool-full") > 0
    assert [line["event"] for line in logs].count("spool-full") == 1
    assert "secret" not in str(logs)


async def test_end_of_a_stream_always_has_room() -> None:
    """Symptom: beyond the second limit it was dropped, and a completed call was declared lost."""
    store = UnreliableStore()
    async with running(make_publisher(store, _SMALL)) as publisher:
        writer = open_stream(publisher, "CA1")
        store.unavailable = True
        for n in range(50):
            writer.publish(final(str(n)))
        writer.publish(ended())
        store.unavailable = False
        await eventually(lambda: not publisher.buffered_events)
    assert store.events("CA1")[-1]["type"] == "stream.ended"
    assert store.live() == set()


async def test_spool_without_room_is_tried_once_per_interval(tmp_path: Path) -> None:
    """Symptom: each delta sorted all streams and tried the disk: milliseconds of the loop."""
    store, metrics = UnreliableStore(), Metrics()
    store.unavailable = True
    limits = Limits(buffered_events=20, buffered_events_hard=6000, full_s=1000)
    publisher = make_publisher(store, limits, metrics, tmp_path, spool_bytes=1)
    with capture_logs():
        publisher.start()
        writer = open_stream(publisher, "CA1")
        for _ in range(500):
            writer.publish(final("x"))
            writer.publish(delta("x"))
        tries = total(metrics, "redis_errors_total", reason="spool-full")
        await publisher.close(0)
    assert tries == 1


async def test_spool_is_read_in_limited_steps(tmp_path: Path) -> None:
    """Symptom: a window of large batches, 60 MB, was read at once: 0.1 s of the event loop."""
    spool = Spool(tmp_path, "here", 1 << 30, print)
    overflow = Overflow(spool, PARTITIONS)
    for n in range(200):
        spool.append(pack_stream("1", f"CA{n}", "MZ1", 5, "g", 1, 1, 1, 1), b"p" * 30_000, 128)
    found, turns = 0, 0
    while overflow.has_next:
        records = overflow.next(1 << 30)
        assert sum(len(record.payload) for record in records) < 2_000_000
        for record in records:
            overflow.acknowledge(record)
        found, turns = found + len(records), turns + 1
    overflow.close()
    assert (found, turns > 4) == (200, True)


async def test_damaged_file_loses_its_events_and_its_stream_continues(tmp_path: Path) -> None:
    store, metrics = UnreliableStore(), Metrics()
    with capture_logs():
        async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
            writer = open_stream(publisher, "CA1")
            store.unavailable = True
            for n in range(100):
                writer.publish(final(str(n)))
            for path in spooled_files(tmp_path):
                path.write_bytes(b"x" * path.stat().st_size)
            store.unavailable = False
            await eventually(lambda: not publisher.buffered_events)
            writer.publish(ended())
    events = store.events("CA1")
    assert numbers(events)[-1] == 101
    assert 0 < len(events) < 101
    assert total(metrics, "redis_errors_total", reason="spool-failed") > 0


async def test_temporary_read_error_of_the_disk_loses_no_event(tmp_path: Path) -> None:
    """Symptom: the events in the spool counted as lost, and the files were deleted."""
    store, metrics = UnreliableStore(), Metrics()
    with capture_logs():
        async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
            writer = open_stream(publisher, "CA1")
            store.unavailable = True
            for n in range(200):
                writer.publish(final(str(n)))
            first = spooled_files(tmp_path)[0]
            kept = first.rename(first.with_suffix(".kept"))
            first.symlink_to(first)  # ELOOP
            store.unavailable = False
            await eventually(
                lambda: bool(total(metrics, "redis_errors_total", reason="spool-failed"))
            )
            kept.rename(first)
            await eventually(lambda: not publisher.buffered_events)
    assert texts(store.events("CA1")) == [str(n) for n in range(200)]
    assert spooled_files(tmp_path) == []


async def test_only_the_event_that_cannot_be_packed_is_dropped(tmp_path: Path) -> None:
    """Symptom: because of one event that could not be packed, its whole batch vanished."""
    store, metrics = UnreliableStore(), Metrics()
    async with running(make_publisher(store, _SMALL, metrics, tmp_path)) as publisher:
        writer = open_stream(publisher, "CA1")
        for text in ("a", object(), "b", object(), object(), "c", "d"):
            writer.publish(final(text))  # type: ignore[arg-type]  # as a bug might pass
        writer.publish(ended())
        await eventually(lambda: not publisher.buffered_events)
    assert texts(store.events("CA1")) == list("abcd")
    assert numbers(store.events("CA1")) == [1, 3, 6, 7, 8]
    assert total(metrics, "redis_dropped_events_total", kind="transcript.final") == 3


@pytest.mark.parametrize("restart", [False, True])
async def test_outage_beyond_the_memory_limit_loses_no_event_on_a_real_server(
    tmp_path: Path, restart: bool
) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    words = [f" w{n}" for n in range(400)]
    calls = ("CA1", "CA2")
    limits = Limits(backoff_first_s=0.005, backoff_max_s=0.05, buffered_events=50, spill_events=20)
    with contextlib.ExitStack() as servers:
        async with publisher_at(url, limits, spool_dir=tmp_path) as publisher:
            writers = [open_stream(publisher, call_id) for call_id in calls]
            for writer in writers:
                writer.publish(started())
            for n, word in enumerate(words):
                for writer in writers:
                    writer.publish(delta(word))
                if n % 20 == 0:
                    await asyncio.sleep(0.001)
            for writer in writers:
                writer.publish(ended())
            if restart:
                await publisher.close(timeout_s=0.05)
            servers.enter_context(valkey(port))
            if restart:
                async with publisher_at(url, limits, spool_dir=tmp_path):
                    pass
        async with client_of(url) as client:
            for call_id in calls:
                events = await events_of(client, call_id)
                assert numbers(events) == list(range(1, len(words) + 3))
                assert texts(events) == words
                assert await client.zcard(keys_of(call_id).live) == 0
    assert spooled_files(tmp_path) == []
