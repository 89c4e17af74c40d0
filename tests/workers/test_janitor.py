"""The janitor with a store in memory and a clock set by the test."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import PublishError
from gateway.publishing.event_store import FENCED, RESUMED, AppendCall
from gateway.transcript.encode import flatten, pack_batch, pack_event, pack_stream
from gateway.transcript.events import (
    GapCause,
    Status,
    StreamEnded,
    TranscriptEvent,
    TranscriptGap,
)
from gateway.transcript.keys import call_keys, partition_of
from tests.gateway.publishing.memory_store import MemoryStore
from tests.gateway.publishing.publisher_harness import delta, final, started
from tests.simulation.loop import VirtualTimeLoop
from workers.janitor import Janitor, Lost, Metrics, Watch

_LEASE_MS = 30_000
_CHECK_MS = _LEASE_MS // 6
_PARTITIONS = 4


class World:
    """A Redis server with its clock, and the gateways and janitors that use it."""

    def __init__(self) -> None:
        self.now_ms = 1_795_255_616_244
        self.memory = MemoryStore(lambda: self.now_ms)
        self.is_unavailable = False
        self.metrics = Metrics()

    def janitor(self, name: str = "janitor", partitions: int = _PARTITIONS) -> Janitor:
        return Janitor(
            self,
            gateway=name,
            partitions=partitions,
            lease_s=_LEASE_MS / 1000,
            retention_s=86_400,
            metrics=self.metrics,
        )

    async def write(
        self, call_id: str, epoch: int, first: int, *events: TranscriptEvent, stream: str = "MZ1"
    ) -> int:
        """Write as a gateway does. Without events, only the lease is renewed."""
        stream_header = pack_stream(
            "1", call_id, stream, epoch, "g1", _LEASE_MS, 86_400, 1000, 1 << 40
        )
        packed = [pack_event(flatten(event, 0, 0)) for event in events]
        ends = bool(events) and isinstance(events[-1], StreamEnded)
        batch = pack_batch(first, packed, ends_stream=ends)
        keys = call_keys(call_id, _PARTITIONS)
        (answer,) = await self.memory.append([AppendCall(keys, stream_header, batch)], 1)
        assert isinstance(answer, int)
        return answer

    def events(self, call_key: str) -> AsyncIterator[Mapping[str, str]]:
        return self.memory.events(call_key)

    def of_call(self, call_id: str) -> list[dict[str, str]]:
        return self.memory.streams[call_keys(call_id, _PARTITIONS).call]

    def ends(self, call_id: str) -> list[str]:
        return [e["status"] for e in self.of_call(call_id) if e.get("type") == "stream.ended"]

    # The janitor's operations: `LeaseStore`

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        self._require_redis()
        return await self.memory.lapsed(partition, limit)

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        self._require_redis()
        return await self.memory.owner_epoch(writers_key, stream_id)

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        if self.is_unavailable:
            return [PublishError("redis-unavailable")] * len(calls)
        return await self.memory.append(calls, timeout_s)

    def _require_redis(self) -> None:
        if self.is_unavailable:
            raise PublishError("redis-unavailable")


async def find_lost(janitor: Janitor, partitions: int = _PARTITIONS) -> list[Lost]:
    """Check each partition once."""
    return [lost for p in range(partitions) for lost in await janitor.find_lost(p)]


async def sweep(janitor: Janitor, partitions: int = _PARTITIONS) -> int:
    """Check all partitions once, and close lost streams; return their number."""
    return sum([await janitor.close(lost) for lost in await find_lost(janitor, partitions)])


async def watch(world: World, janitor: Janitor, checks: int, partitions: int = _PARTITIONS) -> int:
    """Advance the time with checks at the usual interval; return the number of closed streams."""
    closed = 0
    for _ in range(checks):
        world.now_ms += _CHECK_MS
        closed += await sweep(janitor, partitions)
    return closed


async def test_lost_stream_is_closed_with_its_totals() -> None:
    world = World()
    gap = TranscriptGap("inbound", 500, 740, GapCause.RECONNECT)
    await world.write("CA1", 5, 1, started(), delta("a"), final("a"), gap, final("b"))
    await world.write("CA1", 7, 1, delta("of another stream"), stream="MZ2")
    janitor = world.janitor()
    await sweep(janitor)
    assert await watch(world, janitor, 7) == 2
    stream_ended = next(e for e in world.of_call("CA1") if e["type"] == "stream.ended")
    assert stream_ended.pop("at").startswith("2026-")
    assert int(stream_ended.pop("epoch")) > 1_795_255_616_244
    assert stream_ended == {
        "v": "1",
        "type": "stream.ended",
        "call_id": "CA1",
        "stream_id": "MZ1",
        "n": "1",
        "gateway": "janitor",
        "tenant": "default",
        "status": "lost",
        "reason": "gateway-lost",
        "duration_ms": "740",
        "segments": "2",
        "gap_ms": "240",
    }
    assert await watch(world, janitor, 20) == 0
    assert world.metrics.registry.get_sample_value("callscribe_janitor_lost_streams_total") == 2


async def test_totals_include_only_the_last_owner() -> None:
    world = World()
    await world.write("CA1", 5, 1, final("a"), TranscriptGap("inbound", 0, 900, GapCause.RECONNECT))
    await world.write("CA1", 6, 1, final("b"))
    janitor = world.janitor()
    await sweep(janitor)
    assert await watch(world, janitor, 7) == 1
    stream_ended = world.of_call("CA1")[-1]
    assert [stream_ended[k] for k in ("duration_ms", "segments", "gap_ms")] == ["80", "1", "0"]


async def test_epoch_ahead_of_the_clock_is_exceeded() -> None:
    world = World()
    await world.write("CA1", 1 << 52, 1, final("a"))
    janitor = world.janitor()
    await sweep(janitor)
    assert await watch(world, janitor, 7) == 1
    assert world.of_call("CA1")[-1]["epoch"] == str((1 << 52) + 1)


async def test_lost_stream_is_found_within_a_lease_and_one_check() -> None:
    world = World()
    janitor = world.janitor()
    await sweep(janitor)
    await watch(world, janitor, 10)
    await world.write("CA1", 5, 1, started())
    assert await watch(world, janitor, 5) == 0
    assert await watch(world, janitor, 2) == 1


async def test_new_janitor_waits_for_one_lease() -> None:
    world = World()
    await world.write("CA1", 5, 1, started())
    world.now_ms += 10 * _LEASE_MS
    janitor = world.janitor()
    await sweep(janitor)
    assert await watch(world, janitor, 5) == 0
    assert await watch(world, janitor, 1) == 1


@pytest.mark.parametrize("how", ["unreachable", "frozen", "clock-forward", "clock-back"])
async def test_gateways_have_one_lease_to_renew_after_an_outage(how: str) -> None:
    world = World()
    janitor = world.janitor()
    await sweep(janitor)
    await watch(world, janitor, 10)
    await world.write("CA1", 5, 1, started())
    await world.write("CA2", 5, 1, started())
    match how:
        case "unreachable":
            world.is_unavailable = True
            await watch(world, janitor, 20)
            world.is_unavailable = False
        case "frozen" | "clock-forward":
            world.now_ms += 10 * _LEASE_MS
        case _:
            world.now_ms -= _LEASE_MS
    assert await watch(world, janitor, 5) == 0
    for _ in range(10):
        await world.write("CA1", 5, 2)  # renewed
        await watch(world, janitor, 1)
    assert (world.ends("CA1"), world.ends("CA2")) == ([], ["lost"])


async def test_renewal_at_the_last_moment_keeps_the_stream() -> None:
    world = World()
    janitor = world.janitor()
    await sweep(janitor)
    await world.write("CA1", 5, 1, started())
    await watch(world, janitor, 5)
    world.now_ms += _CHECK_MS
    found = await find_lost(janitor)
    assert [lost.member for lost in found] == ["CA1 MZ1"]
    await world.write("CA1", 5, 2)
    assert not await janitor.close(found[0])
    assert world.ends("CA1") == []
    await world.write("CA1", 5, 2, StreamEnded(Status.COMPLETED, "", 80, 0, 0))
    assert not await janitor.close(found[0])
    assert world.ends("CA1") == ["completed"]


async def test_stream_taken_over_by_another_gateway_stays_open() -> None:
    world = World()
    janitor = world.janitor()
    await sweep(janitor)
    await world.write("CA1", 5, 1, started())
    await watch(world, janitor, 5)
    await world.write("CA1", 6, 1, started())
    assert await watch(world, janitor, 3) == 0
    assert await world.write("CA1", 5, 2, final("late")) == FENCED


async def test_suspended_gateway_resumes_its_stream() -> None:
    """Symptom: it was fenced although no other gateway had taken over the stream."""
    world = World()
    janitor = world.janitor()
    await sweep(janitor)
    gap = TranscriptGap("inbound", 500, 740, GapCause.RECONNECT)
    await world.write("CA1", 5, 1, started(), final("a"), gap)
    await watch(world, janitor, 8)
    assert await world.write("CA1", 5, 4, final("late")) == RESUMED - 3
    assert [e["type"] for e in world.of_call("CA1")] == [
        "stream.started",
        "transcript.final",
        "transcript.gap",
        "stream.ended",
        "stream.started",
        "transcript.final",
    ]
    await watch(world, janitor, 8)
    stream_ended = world.of_call("CA1")[-1]
    assert [stream_ended[k] for k in ("duration_ms", "segments", "gap_ms")] == ["740", "2", "240"]
    assert world.ends("CA1") == ["lost", "lost"]


async def test_no_stream_is_lost_while_redis_refuses_writes() -> None:
    """Symptom: after Redis had been out of memory for 45 s, live streams were closed."""
    world = World()
    janitor = world.janitor()
    await sweep(janitor)
    await watch(world, janitor, 10)
    await world.write("CA1", 5, 1, started())
    await world.write("CA2", 5, 1, started())
    world.memory.refuses = True
    for _ in range(9):
        world.now_ms += _CHECK_MS
        assert await find_lost(janitor) == []
    world.memory.refuses = False
    await watch(world, janitor, 5)
    await world.write("CA1", 5, 2)
    await watch(world, janitor, 3)
    assert (world.ends("CA1"), world.ends("CA2")) == ([], ["lost"])


async def test_failed_check_restarts_the_watch() -> None:
    """Two checks with a failed one between them may be exactly a third of a lease apart."""
    world = World()
    janitor = world.janitor()
    await world.write("CA1", 5, 1, started())
    await sweep(janitor)
    await watch(world, janitor, 5)
    world.memory.refuses = True
    await watch(world, janitor, 1)
    world.memory.refuses = False
    assert await watch(world, janitor, 6) == 0
    assert await watch(world, janitor, 1) == 1


async def test_only_one_of_several_janitors_writes() -> None:
    world = World()
    janitors = [world.janitor(f"j{i}") for i in range(3)]
    for number in range(20):
        await world.write(f"CA{number}", 5, 1, started())
    for _ in range(10):
        found = [(janitor, await find_lost(janitor)) for janitor in janitors]
        for janitor, streams in found:
            for lost in streams:
                await janitor.close(lost)
        world.now_ms += _CHECK_MS
    assert [world.ends(f"CA{number}") for number in range(20)] == [["lost"]] * 20


async def test_failed_close_is_retried_at_the_next_check() -> None:
    world = World()
    janitor = world.janitor()
    await world.write("CA1", 5, 1, started())
    await sweep(janitor)
    await watch(world, janitor, 5)
    world.now_ms += _CHECK_MS
    found = await find_lost(janitor)
    world.is_unavailable = True
    with pytest.raises(PublishError):
        await janitor.close(found[0])
    world.is_unavailable = False
    assert await watch(world, janitor, 1) == 1


@settings(max_examples=50)
@given(
    outages=st.lists(st.tuples(st.integers(1, 200), st.integers(1, 100)), max_size=6),
    lost_s=st.integers(0, 400),
)
async def test_only_lost_gateways_are_declared_lost(
    outages: list[tuple[int, int]], lost_s: int
) -> None:
    """Redis is up and down in turn; a gateway renews every third of its lease while it is up.

    After an outage a gateway resumes after some seconds, up to the longest backoff.
    """
    world = World()
    janitor = world.janitor()
    up: list[bool] = []
    for up_s, down_s in outages:
        up += [True] * up_s + [False] * down_s
    up += [True] * (lost_s + 300)
    since_up_s = 0
    signed = {"ALIVE": -100, "DEAD": -100}
    for second, is_up in enumerate(up):
        world.now_ms += 1000
        world.is_unavailable = not is_up
        since_up_s = since_up_s + 1 if is_up else 0
        for call_id, signed_at in signed.items():
            alive = call_id == "ALIVE" or second <= lost_s
            if alive and since_up_s > 3 and second - signed_at >= 10:
                assert await world.write(call_id, 5, 1) >= 0
                signed[call_id] = second
        if second % 5 == 0:
            await sweep(janitor)
    assert world.ends("ALIVE") == []
    was_there = signed["DEAD"] >= 0
    assert world.ends("DEAD") == ["lost"] * was_there


@pytest.mark.parametrize(
    ("checks_ms", "is_long_enough"),
    [
        ([0], False),
        ([0, 100, 200, 300], True),
        ([0, 100, 199, 299], False),
        ([0, 100, 201, 300], False),  # too far apart
        ([0, 100, 200, 199, 299], False),  # the clock went back
        ([0, 100, 200, 301], False),
    ],
)
def test_a_watch_is_long_enough_after_a_lease_without_a_break(
    checks_ms: list[int], is_long_enough: bool
) -> None:
    watched = Watch()
    found = [watched.note_check(1_000_000 + at_ms, 300) for at_ms in checks_ms]
    assert found[-1] == is_long_enough
    assert not any(found[:-1])


class LiveWorld(World):
    """A world whose time is the loop's, for `Janitor.run`."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop
        self._began_ms = self.now_ms

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        self.now_ms = self._began_ms + round(self._loop.time() * 1000)
        return await super().lapsed(partition, limit)

    async def run_janitor(self, for_s: float) -> None:
        """Run a janitor for `for_s` seconds."""
        running = asyncio.create_task(self.janitor().run())
        await asyncio.sleep(for_s)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop(10_000)
    yield loop
    loop.close()


def test_a_node_without_answers_does_not_end_the_watch_of_the_others(
    loop: VirtualTimeLoop,
) -> None:
    """Symptom: each check took the timeouts of the frozen node, so every watch started over."""

    class Frozen(LiveWorld):
        async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
            if partition != partition_of("CA1", _PARTITIONS):
                await asyncio.sleep(3600)
            return await super().lapsed(partition, limit)

    async def main() -> list[str]:
        world = Frozen(loop)
        await world.write("CA1", 5, 1, started())
        await world.run_janitor(2 * _LEASE_MS / 1000)
        return world.ends("CA1")

    assert loop.run_until_complete(main()) == ["lost"]


@pytest.mark.parametrize("foreign", [{"who": "knows"}, {"stream_id": "MZ1", "epoch": "5"}])
async def test_a_foreign_entry_in_a_call_does_not_stop_its_closing(foreign: dict[str, str]) -> None:
    """It ended the janitor."""
    world = World()
    await world.write("CA1", 5, 1, started())
    world.of_call("CA1").append(foreign)
    janitor = world.janitor()
    await sweep(janitor)
    await watch(world, janitor, 7)
    assert world.ends("CA1") == ["lost"]


def test_whatever_looking_or_closing_raises_the_janitor_goes_on(loop: VirtualTimeLoop) -> None:
    """As uvloop raises RuntimeError when redis-py writes to a closed transport: it ended all."""

    class Broken(LiveWorld):
        checks = 0

        async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
            self.checks += 1
            if self.checks % 50 == 1:
                raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")
            return await super().lapsed(partition, limit)

        async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
            if "CA1" in writers_key:
                raise TypeError("a bug")
            return await super().owner_epoch(writers_key, stream_id)

    async def main() -> World:
        world = Broken(loop)
        await world.write("CA1", 5, 1, started())
        await world.write("CA2", 5, 1, started())
        await world.run_janitor(5 * _LEASE_MS / 1000)
        return world

    world = loop.run_until_complete(main())
    assert (world.ends("CA1"), world.ends("CA2")) == ([], ["lost"])
    labels = {"reason": "internal-error"}
    read = world.metrics.registry.get_sample_value
    assert (read("callscribe_janitor_errors_total", labels) or 0) > 5


async def test_stream_is_closed_in_the_partition_where_it_was_found() -> None:
    """Symptom: with another number of partitions than the gateways, streams were never closed."""
    world = World()
    calls = [f"CA{n}" for n in range(8)]
    for call_id in calls:
        await world.write(call_id, 5, 1, started())
    janitor = world.janitor(partitions=2 * _PARTITIONS)
    await sweep(janitor, 2 * _PARTITIONS)
    await watch(world, janitor, 12, 2 * _PARTITIONS)
    assert [world.ends(call_id) for call_id in calls] == [["lost"]] * 8


async def test_shorter_retention_trims_no_events() -> None:
    """Symptom: with the janitor's default of a day, events to be kept for a week were deleted."""
    world = World()
    await world.write("CA1", 5, 1, started())
    key = call_keys("CA1", _PARTITIONS).events
    others = (f"CA{n}" for n in range(2, 99))
    other = next(c for c in others if call_keys(c, _PARTITIONS).events == key)
    world.now_ms += 2 * 86_400_000
    world.memory.expires_ms.clear()
    await world.write(other, 5, 1, final("today"))
    janitor = world.janitor()
    await sweep(janitor)
    await watch(world, janitor, 12)
    assert world.ends(other) == ["lost"]
    assert world.memory.streams[key][0]["call_id"] == "CA1"
