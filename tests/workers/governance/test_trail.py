"""The audit trail in Redis: order, concurrent writers, trimming, and outages."""

import asyncio
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from gateway.errors import PublishError
from tests.waiting import eventually
from tests.workers.governance.planting import ago_ms, client_of
from workers.governance.recorder import Metrics, Recorder
from workers.governance.trail import KEY, Trail


async def test_writers_at_the_same_time_make_one_chain(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        writers = [Trail(client) for _ in range(4)]
        await asyncio.gather(
            *(
                writer.append([{"action": "held", "who": f"w{i}", "call_id": f"CA{n}"}])
                for i, writer in enumerate(writers)
                for n in range(10)
            )
        )
        assert await Trail(client).verify() == (40, [])


async def test_entry_that_is_deleted_shows(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        trail = Trail(client)
        tip = await trail.append([{"action": "held", "call_id": f"CA{n}"} for n in range(4)])
        ids = [entry_id async for entry_id, _ in trail.entries()]
        await client.xdel(KEY, ids[1])
        (_, (problem,)) = await trail.verify()
        assert problem.entry_id == ids[2]
        await client.xdel(KEY, *ids[2:])
        assert await trail.verify() == (1, [])
        assert (await trail.verify(contains=tip))[1], "the digest was noted"


async def test_trail_that_was_deleted_goes_on_and_shows_it(redis_url: str) -> None:
    """Symptom: a running writer took the reply of an empty trail for success, and lost entries."""
    async with client_of(redis_url) as client:
        trail = Trail(client)
        tip = await trail.append([{"action": "held", "call_id": "CA1"}])
        await client.delete(KEY)
        for n in (2, 3):
            await trail.append([{"action": "held", "call_id": f"CA{n}"}])
        (_, first), (_, second) = [each async for each in trail.entries()]
        assert (first["call_id"], second["call_id"]) == ("CA2", "CA3")
        assert first["prev"] == tip
        (problem,) = (await trail.verify())[1]
        assert problem.what == "the beginning is missing, and was not trimmed"


async def test_trimmed_trail_is_still_proved(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        trail = Trail(client)
        await trail.append([{"action": "held", "call_id": f"CA{n}"} for n in range(4)])
        assert await trail.trim(ago_ms(60), 1_795_255_616.0, "govern") == 0
        assert await trail.trim(ago_ms(-60), 1_795_255_616.0, "govern") == 4
        assert await trail.verify() == (1, [])
        ((_, entry),) = [each async for each in trail.entries()]
        assert (entry["action"], entry["entries"]) == ("audit-trimmed", "4")


async def test_long_values_are_cut_and_empty_ones_left_out(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        trail = Trail(client)
        await trail.append([{"action": "held", "call_id": None, "who": "x" * 9999}])
        ((_, entry),) = [each async for each in trail.entries()]
        assert entry["who"] == "x" * 512
        assert "call_id" not in entry


class Flaky(Trail):
    """A trail that fails at first."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.written: list[str | None] = []

    async def append(self, entries: Sequence[Mapping[str, str | None]]) -> str:
        if self.failures:
            self.failures -= 1
            raise PublishError("redis-unavailable")
        self.written += [each["n"] for each in entries]
        return ""


async def test_recorder_keeps_order_and_writes_what_waits_at_the_end() -> None:
    registry, trail = CollectorRegistry(), Flaky(0)
    recorder = Recorder(trail, Metrics(registry))
    async with recorder.running():
        recorder.record({"n": "1"})
        await eventually(lambda: trail.written == ["1"])
        for n in range(2, 300):
            recorder.record({"n": str(n)})
    assert trail.written == [str(n) for n in range(1, 300)]
    assert registry.get_sample_value("callscribe_audit_dropped_entries_total") == 0


async def test_recorder_drops_and_counts_what_can_not_be_written() -> None:
    registry, trail = CollectorRegistry(), Flaky(1000)
    recorder = Recorder(trail, Metrics(registry))
    async with recorder.running():
        for n in range(10_005):
            recorder.record({"n": str(n)})
    assert registry.get_sample_value("callscribe_audit_dropped_entries_total") == 10_005
