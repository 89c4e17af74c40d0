"""The worker `govern`: failures of one part, back-off, and holds that a restored Redis lacks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import homes, partition_key, partition_of
from tests.workers.governance.planting import (
    ANN,
    PARTITIONS,
    ago_ms,
    canary,
    client_of,
    entries,
    everything,
    final,
    plant,
)
from tests.workers.governance.test_ledger import actions, sweeper_of, value
from workers.governance.append_only import AppendOnlyFile, Rewriting
from workers.governance.copies import Folder, LedgerCopy
from workers.governance.families import Kind
from workers.governance.ledger import Erasure
from workers.governance.redis_calls import RedisCalls
from workers.governance.redis_retention import RedisRetention
from workers.governance.retention import Place, Retention, Rule
from workers.governance.stores import Holding, Kept, StoreError
from workers.governance.sweeping import Sweeper

_TAG = partition_key(53, "")
_RULES = Retention((Rule(None, None, {Place.STREAMS: 3600}),))


class Unavailable:
    """A further place of the ledger, on a disk that is not mounted."""

    async def create(self, path: str, content: bytes) -> None:
        raise StoreError("ledger copy", "unavailable")

    async def get(self, path: str) -> bytes | None:
        raise StoreError("ledger copy", "unavailable")

    async def remove(self, path: str) -> None:
        raise StoreError("ledger copy", "unavailable")

    async def paths(self, folder: str) -> AsyncIterator[str]:
        raise StoreError("ledger copy", "unavailable")
        yield ""


class Stuck:
    """A store that keeps some calls, or fails."""

    name = "stuck"

    def __init__(self, *calls: str, fails: bool = False) -> None:
        self.calls = set(calls)
        self.fails = fails
        self.walks = 0

    async def erase(self, calls: Collection[str]) -> int:
        self.walks += 1
        if self.fails:
            raise StoreError(self.name, "unavailable")
        return 0

    async def find(self, calls: Collection[str]) -> int:
        return len(self.calls & set(calls))

    async def describe(self) -> list[Holding]:
        return []


def with_parts(sweeper: Sweeper, *, store: Stuck | None = None, unavailable: bool = False) -> None:
    """Add a store, or a place of the ledger that is unavailable, before the others."""
    governance = sweeper.governance
    stores = [store, *governance.stores] if store else governance.stores
    copies = [*([LedgerCopy(Unavailable())] if unavailable else []), *governance.copies]
    fields = (governance.ledger, governance.holds, governance.trail)
    sweeper.governance = type(governance)(*fields, stores, copies, governance.wall_s)


async def write_old(client: RedisClient, call_id: str) -> None:
    """Write a call whose time is over."""
    flat = [each for pair in final(call_id, 1).items() for each in pair]
    key = partition_key(partition_of(call_id, PARTITIONS), f"call:{call_id}")
    await client.execute_command("XADD", key, f"{ago_ms(9000)}-0", *flat)


# Failures


async def test_place_that_fails_stops_neither_erasure_nor_retention(
    redis_url: str, tmp_path: Path
) -> None:
    """Symptom: nothing was deleted anymore while the archive was unavailable."""
    async with client_of(redis_url) as client:
        sweeper, registry = sweeper_of(client, _RULES, ledger_dir=tmp_path)
        with_parts(sweeper, unavailable=True)
        await plant(client, "CA1")
        await write_old(client, "CB2")
        await sweeper.governance.request("CA1", ANN, "r")
        assert not await sweeper.sweep()
        assert canary("CA1").encode() not in await everything(client)
        assert await client.keys("*call:CB2") == []
        assert value(registry, "errors_total", reason="unavailable") == 1
        assert value(registry, "swept_timestamp_seconds") == 0
        assert set(await sweeper.governance.ledger.pending()) == {"CA1"}, "its copy is missing"


async def test_retention_waits_while_no_place_shows_the_holds(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client, _RULES)
        with_parts(sweeper, unavailable=True)
        await write_old(client, "CA1")
        assert not await sweeper.sweep()
        assert await client.exists(f"{_TAG}call:CA1")


async def test_damaged_copies_are_skipped(tmp_path: Path) -> None:
    copy = LedgerCopy(Folder(tmp_path))
    await copy.put("CA1", Erasure("t", "ann", "r"))
    for name in ("00/a.json", "held/00/b/hold.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"\xff{")
    assert [call_id async for call_id, _ in copy.all()] == ["CA1"]
    assert [each async for each in copy.holds()] == []


async def test_recent_erasures_are_searched_again_after_a_failure(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        failing = Stuck()

        async def fail(calls: Collection[str]) -> int:
            raise StoreError("stuck", "unavailable")

        await sweeper.governance.request("CA1", ANN, "r")
        await sweeper.finish()
        with_parts(sweeper, store=failing)
        failing.find = fail  # type: ignore[method-assign]
        now_s = sweeper.governance.wall_s()
        governance = sweeper.governance
        fields = (governance.ledger, governance.holds, governance.trail)
        sweeper.governance = type(governance)(
            *fields, governance.stores, governance.copies, lambda: now_s + 700
        )
        assert not await sweeper.find_returned({})
        assert sweeper.checked_s == 0
        failing.find = Stuck().find  # type: ignore[method-assign]
        assert await sweeper.find_returned({})
        assert sweeper.checked_s == now_s + 100


async def test_damaged_time_in_the_ledger_does_not_end_the_worker(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        record = '{"at":"t","who":"ann","reason":"r","done":"yesterday"}'
        await client.hset(f"{_TAG}erased", "CA1", record)
        assert await sweeper.find_returned({})


async def test_sweep_that_fails_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symptom: all stores were searched every two seconds while one part failed."""
    now_s, sweeps = 0.0, []

    async def sweep(_: Sweeper, *, is_whole: bool) -> bool:
        sweeps.append((now_s, is_whole))
        return False

    async def finish(_: Sweeper) -> None:
        nonlocal now_s
        now_s += 100
        if now_s > 4300:
            raise asyncio.CancelledError

    monkeypatch.setattr("workers.governance.sweeping._POLL_S", 0.0)
    monkeypatch.setattr(Sweeper, "sweep", sweep)
    monkeypatch.setattr(Sweeper, "finish", finish)
    async with client_of("redis://127.0.0.1:1") as client:
        sweeper, _ = sweeper_of(client)
        sweeper.clock = lambda: now_s
        with pytest.raises(asyncio.CancelledError):
            await sweeper.run(600, 86_400)
    assert sweeps == [(600 * n, n in (0, 6)) for n in range(8)]


# Back-off


async def test_stuck_call_does_not_block_the_others(redis_url: str) -> None:
    """Symptom: 200 erasures waited for one call that was in the spool of a running gateway."""
    async with client_of(redis_url) as client:
        sweeper, registry = sweeper_of(client)
        with_parts(sweeper, store=Stuck("CA3"))
        for n in range(7):
            await sweeper.governance.request(f"CA{n}", ANN, "r")
        await sweeper.finish()
        assert set(await sweeper.governance.ledger.pending()) == {"CA3"}
        assert value(registry, "erased_calls_total") == 6


@pytest.mark.parametrize("store", [Stuck("CA1"), Stuck(fails=True)], ids=["left", "fails"])
async def test_erasure_that_is_not_complete_waits_longer_each_time(
    redis_url: str, store: Stuck
) -> None:
    """Symptom: five walks of all stores every two seconds, for hours."""
    now_s, tried_at = 0.0, []
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        with_parts(sweeper, store=store)
        sweeper.clock = lambda: now_s
        await sweeper.governance.request("CA1", ANN, "r")
        while now_s < 40:
            before = store.walks
            await sweeper.finish()
            if store.walks > before:
                assert store.walks == before + 1
                tried_at.append(now_s)
            now_s += 2
        assert tried_at == [0, 2, 6, 14, 30]
        assert sweeper.waits["CA1"].wait_s == 32


# The append-only file


class Server(AppendOnlyFile):
    """A server with an append-only file."""

    def __init__(self, states: list[Rewriting], clock: Callable[[], float]) -> None:
        super().__init__(create_client("redis://127.0.0.1:1"), clock)
        self.states = states

    async def rewrite(self) -> Rewriting:
        return self.states.pop(0)


async def test_file_is_rewritten_after_an_erasure_at_most_every_ten_minutes() -> None:
    now_s = 0.0
    file = Server([Rewriting.STARTED, Rewriting.BUSY, Rewriting.STARTED], lambda: now_s)
    left = []
    for now_s in (0.0, 2.0, 300.0, 600.0, 900.0, 1200.0, 1800.0):
        if now_s in (0.0, 300.0):
            file.note_erasure()
        await file.rewrite_if_due()
        left.append(len(file.states))
    assert left == [2, 2, 2, 1, 1, 0, 0]


async def test_server_without_the_file_has_nothing_to_rewrite(
    redis_url: str, redis_cluster_url: str
) -> None:
    for url in (redis_url, redis_cluster_url):
        async with client_of(url) as client:
            assert await AppendOnlyFile(client).rewrite() is Rewriting.OFF


# Holds


async def test_hold_that_a_restored_redis_lacks_comes_back_before_retention(
    redis_url: str, tmp_path: Path
) -> None:
    """Symptom: retention deleted a held call, because the hold was younger than the backup."""
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client, _RULES, ledger_dir=tmp_path)
        await sweeper.governance.hold("CA1", ANN, "case 7")
        await sweeper.sweep(is_whole=False)
        await client.flushall()  # the backup
        await write_old(client, "CA1")
        assert await sweeper.sweep(is_whole=False)
        assert await client.exists(f"{_TAG}call:CA1")
        hold = await sweeper.governance.holds.get("CA1")
        assert hold
        assert hold.reason == "case 7"
        assert await actions(sweeper.governance) == [("hold-restored", "CA1")]
        assert await sweeper.governance.release("CA1", ANN, "closed")
        await sweeper.sweep()
        assert await sweeper.governance.holds.get("CA1") is None, "it is in no place anymore"
        assert not await client.exists(f"{_TAG}call:CA1")


async def test_hold_is_copied_when_a_place_is_added_later(redis_url: str, tmp_path: Path) -> None:
    async with client_of(redis_url) as client:
        without, _ = sweeper_of(client)
        await without.governance.hold("CA1", ANN, "case 7")
        sweeper, _ = sweeper_of(client, ledger_dir=tmp_path)
        await sweeper.sweep()
        (copy,) = sweeper.governance.copies
        assert [call_id async for call_id, _ in copy.holds()] == ["CA1"]


async def test_erasure_of_a_held_call_is_not_restored(redis_url: str, tmp_path: Path) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client, ledger_dir=tmp_path)
        (copy,) = sweeper.governance.copies
        await copy.put("CA1", Erasure("t", "ann", "r"))
        await sweeper.governance.hold("CA1", ANN, "case 7")
        await sweeper.sweep()
        assert await actions(sweeper.governance) == [("held", "CA1")]


async def test_hold_that_is_placed_during_retention_is_respected(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        await plant(client, "CA1")

        async def held(calls: Collection[str]) -> set[str]:
            return set(calls)

        raw = RedisCalls(client, PARTITIONS, (Kind.RAW,), held)
        before = await raw.find(["CA1"])
        assert await raw.erase(["CA1"]) == 0
        assert await raw.find(["CA1"]) == before


# Retention


async def test_route_counts_for_all_streams_of_a_call(redis_url: str) -> None:
    """Symptom: alerts name no route, so the default deleted them and the redacted copy."""
    async with client_of(redis_url) as client:
        await plant(client, "CA1", tenant="acme", route="sales")
        for suffix in ("alerts", "redacted-wrapups", "wrapups", "mine"):
            await client.delete(f"{_TAG}call:CA1:{suffix}")
            entry = final("CA1", 9) | {"tenant": "acme"}
            flat = [each for pair in entry.items() for each in pair]
            await client.execute_command("XADD", f"{_TAG}call:CA1:{suffix}", "*", *flat)
        newest = {}
        for kind, key in ((Kind.RAW, "mine"), (Kind.REDACTED, "redacted-wrapups")):
            last = (await entries(client, f"{_TAG}call:CA1:{key}"))[-1][0]
            newest[kind] = int(last.decode().partition("-")[0])
        for kind, last_ms in newest.items():
            kept = [each async for each in RedisRetention(client, PARTITIONS, kind).calls()]
            assert len(kept) == 1
            assert kept[0][:3] == Kept("CA1", "acme", "sales", 0)[:3]
            assert kept[0].last_ms >= last_ms
        await client.delete(f"{_TAG}call:CA1:redacted")
        redacted = RedisRetention(client, PARTITIONS, Kind.REDACTED)
        assert [each.route async for each in redacted.calls()] == ["sales"], "of the events"


async def test_interrupted_deletion_still_finds_the_call(redis_url: str) -> None:
    """Symptom: shared streams kept words of a call whose own keys were deleted first."""
    async with client_of(redis_url) as client:
        await plant(client, "CA1")
        raw = RedisCalls(client, PARTITIONS, (Kind.RAW,))

        async def crash(*_: object, **__: object) -> int:
            raise StoreError("redis", "crash")

        raw._visit_stream = crash  # type: ignore[method-assign]  # noqa: SLF001
        with pytest.raises(StoreError):
            await raw.erase(["CA1"])
        retention = RedisRetention(client, PARTITIONS, Kind.RAW)
        assert [each.call_id async for each in retention.calls()] == ["CA1"]


# Order


async def test_erasure_is_audited_before_it_is_marked_as_done(redis_url: str) -> None:
    """Symptom: the trail lacked an erasure, because it failed after the mark."""
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        governance = sweeper.governance
        await governance.request("CA1", ANN, "r")

        async def fail(*_: object) -> str:
            raise StoreError("audit", "too-many-writers")

        governance.trail.append = fail  # type: ignore[method-assign,assignment]
        with pytest.raises(StoreError):
            await governance.carry_out(["CA1"], ANN)
        assert set(await governance.ledger.pending()) == {"CA1"}


async def test_erasure_that_was_recorded_in_one_partition_is_completed(redis_url: str) -> None:
    """The process that recorded it crashed in between."""
    call_id = "default.talkdesk.CA1"
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        with_parts(sweeper, store=Stuck(fails=True))
        await client.hset(f"{_TAG}erased", call_id, '{"at":"t","who":"ann","reason":"r"}')
        await client.sadd(f"{_TAG}erasing", call_id)
        await sweeper.finish()
        for home in homes(call_id, PARTITIONS):
            assert await client.hexists(partition_key(home, "erased"), call_id)


async def test_copies_of_the_ledger_name_the_owner(redis_url: str, tmp_path: Path) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client, ledger_dir=tmp_path)
        await plant(client, "CA1")
        await sweeper.governance.request("CA1", ANN, "r")
        await sweeper.finish()
        (copy,) = sweeper.governance.copies
        assert [each.owner async for _, each in copy.all()] == ["default twilio"]
