"""The ledger, legal holds, and what writers do with them."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import valkey
from tests.waiting import eventually
from tests.workers.consumer.a_worker import group_of
from tests.workers.governance.planting import (
    ANN,
    PARTITIONS,
    ago_ms,
    canary,
    client_of,
    entries,
    everything,
    final,
    governed,
    plant,
)
from workers.consumer import Append
from workers.consumer.store import Commit, LeaseStore
from workers.governance.append_only import AppendOnlyFile
from workers.governance.eraser import Governance
from workers.governance.families import Kind
from workers.governance.ledger import Erasure, Recorded
from workers.governance.redis_retention import RedisRetention
from workers.governance.retention import Place, Retention, Rule
from workers.governance.sweeping import Metrics, Sweeper

_TAG = partition_key(53, "")


def sweeper_of(
    client: RedisClient, retention: Retention | None = None, *, ledger_dir: Path | None = None
) -> tuple[Sweeper, CollectorRegistry]:
    of_server = governed(client, ledger_dir=ledger_dir)
    registry = CollectorRegistry()
    sweeper = Sweeper(
        of_server.governance,
        of_server.places,
        of_server.redis,
        of_server.file,
        retention=lambda: retention or Retention(),
        shared_s=86_400,
        audit_keep_days=0,
        actor=ANN,
        metrics=Metrics(registry),
    )
    return sweeper, registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(f"callscribe_governance_{name}", labels) or 0.0


async def actions(governance: Governance) -> list[tuple[str, str]]:
    found = governance.trail.entries()
    return [(each["action"], each.get("call_id", "")) async for _, each in found]


# Recording


async def test_erasure_is_recorded_once_with_the_first_reason(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        governance = governed(client).governance
        await plant(client, "CA1")
        assert await governance.request("CA1", ANN, "her wish") is Recorded.RECORDED
        assert await governance.request("CA1", ANN, "again") is Recorded.ERASED
        erasure = await governance.ledger.get("CA1")
        assert erasure
        assert (erasure.who, erasure.reason) == ("ann", "her wish")
        assert set(await governance.ledger.pending()) == {"CA1"}
        assert await governance.ledger.erased(["CA1", "CA2"]) == {"CA1"}
        assert (await governance.carry_out(["CA1"], ANN)).is_done
        erasure = await governance.ledger.get("CA1")
        assert erasure
        assert erasure.done
        assert erasure.owner == "default twilio"
        assert await governance.ledger.pending() == {}
        assert await governance.ledger.count() == 1
        assert (await governance.trail.verify())[1] == []
        assert [action for action, _ in await actions(governance)] == [
            "erase-requested",
            "erase-requested",
            "erased",
        ]


async def test_live_call_is_erased_only_on_demand(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        governance = governed(client).governance
        await plant(client, "CA1")
        await client.zadd(f"{_TAG}live", {"CA1 MZ1": 1.0, "CA10 MZ1": 1.0})
        assert await governance.request("CA1", ANN, "r") is Recorded.LIVE
        assert await governance.ledger.get("CA1") is None
        assert await actions(governance) == [("erase-refused", "CA1")]
        assert await governance.request("CA1", ANN, "r", even_live=True) is Recorded.RECORDED
        assert not (await governance.carry_out(["CA1"], ANN)).left
        assert await client.zrange(f"{_TAG}live", 0, -1) == [b"CA10 MZ1"]


async def test_hold_wins_over_erasure_until_it_is_lifted(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        governance = governed(client).governance
        for call_id in ("CA1", "default.talkdesk.CA1"):
            assert await governance.hold(call_id, ANN, "case 7") == "placed"
            assert await governance.hold(call_id, ANN, "case 8") == "held"
            hold = await governance.holds.get(call_id)
            assert hold
            assert hold.reason == "case 7"
            assert await governance.request(call_id, ANN, "r") is Recorded.HELD
            assert await governance.ledger.get(call_id) is None
            assert await governance.release(call_id, ANN, "closed")
            assert not await governance.release(call_id, ANN, "closed")
            assert await governance.request(call_id, ANN, "r") is Recorded.RECORDED
            assert await governance.hold(call_id, ANN, "case 9") == "erased"
            assert await governance.holds.get(call_id) is None


@pytest.mark.parametrize("outcome", [Recorded.LIVE, Recorded.HELD])
async def test_refused_erasure_of_a_longer_id_deletes_nothing(
    redis_url: str, outcome: Recorded
) -> None:
    """Symptom: the worker deleted a live call, because one partition listed it as erased."""
    call_id = "default.talkdesk.CA1"
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        await plant(client, call_id)
        home = partition_of(call_id, PARTITIONS)
        if outcome is Recorded.LIVE:
            await client.zadd(partition_key(home, "live"), {f"{call_id} MZ1": 1.0})
        else:
            await client.hset(partition_key(home, "held"), call_id, "{}")
        assert await sweeper.governance.request(call_id, ANN, "r") is outcome
        for name in ("erased", "erasing"):
            assert await client.keys(f"cs:*:{name}") == []
        await sweeper.finish()
        assert canary(call_id).encode() in await everything(client)


async def test_call_without_a_record_is_not_deleted(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client)
        await plant(client, "CA1")
        await client.sadd(f"{_TAG}erasing", "CA1")
        await sweeper.finish()
        assert canary("CA1").encode() in await everything(client)
        assert await client.exists(f"{_TAG}erasing") == 0


async def test_ledger_of_a_cluster_is_listed_whole(redis_cluster_url: str) -> None:
    async with client_of(redis_cluster_url) as client:
        ledger = governed(client).governance.ledger
        calls = {f"CA{n}" for n in range(30)} | {"a.b.c"}
        for call_id in calls:
            await ledger.record(call_id, Erasure("t", "ann", "r"))
        assert {call_id async for call_id, _ in ledger.all()} == calls
        assert set(await ledger.pending()) == calls
        assert await ledger.erased([*calls, "CA99"]) == calls


# Writers


async def test_derived_events_and_dead_letters_of_erased_calls_are_not_written(
    redis_url: str,
) -> None:
    async with client_of(redis_url) as client:
        ledger = governed(client).governance.ledger
        await ledger.record("CA1", Erasure("t", "ann", "r"))
        store = LeaseStore(client, group_of(9), "w1")
        (lease,) = await store.acquire([53])
        appends = [Append(call_id, final(call_id, 1)) for call_id in ("CA1", "CA2", "CA1")]
        letters = [final("CA1", 2), {"dead_error": "EventError"}, final("CA2", 2)]
        assert await store.commit(lease, Commit("1-0", appends, letters))
        left = await everything(client)
        assert canary("CA1").encode() not in left
        assert canary("CA2").encode() in left
        assert await client.xlen(f"{_TAG}dead:copy") == 2
        assert await client.hget(f"{_TAG}consumer:copy", "position") == b"1-0"


# Sweeps


async def test_worker_finishes_an_erasure_that_was_only_recorded(redis_url: str) -> None:
    """A process recorded it and crashed, or may not delete."""
    async with client_of(redis_url) as client:
        sweeper, registry = sweeper_of(client)
        await plant(client, "CA1")
        await sweeper.governance.request("CA1", ANN, "r")
        assert canary("CA1").encode() in await everything(client)
        await sweeper.finish()
        assert canary("CA1").encode() not in await everything(client)
        assert value(registry, "erased_calls_total") == 1


async def test_erased_call_that_comes_back_is_erased_again(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        sweeper, registry = sweeper_of(client)
        governance = sweeper.governance
        await governance.request("CA1", ANN, "r")
        await governance.carry_out(["CA1"], ANN)
        await plant(client, "CA1")
        await plant(client, "CA2")
        await sweeper.sweep()
        left = await everything(client)
        assert canary("CA1").encode() not in left
        assert canary("CA2").encode() in left
        assert value(registry, "returned_calls_total") == 1


_RULES = Retention(
    (
        Rule("acme", None, {Place.STREAMS: 3600, Place.REDACTED: 7200}),
        Rule(None, "sales", {Place.STREAMS: 3600}),
    )
)


async def grow_older(client: RedisClient, call_id: str, seconds: float) -> None:
    """Replace the ids of all entries of a call by ids of some time ago."""
    for key in [f"{_TAG}events", f"{_TAG}redacted", *await client.keys(f"{_TAG}call:{call_id}*")]:
        found = await entries(client, key)
        await client.delete(key)
        for n, (_, fields) in enumerate(found):
            flat = [each for pair in fields.items() for each in pair]
            await client.execute_command("XADD", key, f"{ago_ms(seconds)}-{n}", *flat)


@pytest.mark.parametrize(
    ("started", "age_s", "raw", "redacted"),
    [
        ({"tenant": "acme"}, 3500, True, True),
        ({"tenant": "acme"}, 3700, False, True),
        ({"tenant": "acme"}, 7300, False, False),
        ({"tenant": "other", "route": "sales"}, 3700, False, True),
        ({"tenant": "other", "route": "help"}, 7300, True, True),
    ],
)
async def test_calls_are_deleted_when_their_time_is_over(
    redis_url: str, started: dict[str, Any], age_s: float, *, raw: bool, redacted: bool
) -> None:
    async with client_of(redis_url) as client:
        sweeper, registry = sweeper_of(client, _RULES)
        await plant(client, "CA1", **started)
        await grow_older(client, "CA1", age_s)
        await sweeper.sweep()
        for name, is_kept in (("call:CA1", raw), ("call:CA1:redacted", redacted)):
            assert await client.exists(f"{_TAG}{name}") == is_kept
        for name, is_kept in (("events", raw), ("redacted", redacted)):
            assert bool(await client.xlen(f"{_TAG}{name}")) == is_kept
        assert value(registry, "expired_calls_total", place="streams") == (not raw)
        assert value(registry, "expired_calls_total", place="redacted") == (not redacted)


async def test_neither_held_nor_live_calls_are_deleted(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client, _RULES)
        for call_id in ("CA1",):
            await plant(client, call_id, tenant="acme")
            await grow_older(client, call_id, 9000)
            await client.expire(f"{_TAG}call:{call_id}", 100)
        await sweeper.governance.hold("CA1", ANN, "case 7")
        await sweeper.sweep()
        assert await client.exists(f"{_TAG}call:CA1", f"{_TAG}call:CA1:redacted") == 2
        assert await client.ttl(f"{_TAG}call:CA1") == -1, "it does not expire, either"
        await sweeper.governance.release("CA1", ANN, "closed")
        await client.zadd(f"{_TAG}live", {"CA1 MZ1": 1.0})
        await sweeper.sweep()
        assert await client.exists(f"{_TAG}call:CA1", f"{_TAG}call:CA1:redacted") == 2
        await client.delete(f"{_TAG}live")
        await sweeper.sweep()
        assert await client.exists(f"{_TAG}call:CA1", f"{_TAG}call:CA1:redacted") == 0


async def test_invalid_file_of_rules_deletes_nothing(redis_url: str) -> None:
    def invalid() -> Retention:
        raise ValueError("is not valid: default: must be a table")

    async with client_of(redis_url) as client:
        sweeper, registry = sweeper_of(client, _RULES)
        sweeper.retention = invalid
        await plant(client, "CA1", tenant="acme")
        await grow_older(client, "CA1", 9000)
        await sweeper.sweep()
        assert await client.exists(f"{_TAG}call:CA1") == 1
        assert value(registry, "errors_total", reason="retention-invalid") == 1


async def test_ledger_is_compared_again_when_it_has_shrunk(redis_url: str, tmp_path: Path) -> None:
    """Redis was restored while the worker ran."""
    async with client_of(redis_url) as client:
        sweeper, _ = sweeper_of(client, ledger_dir=tmp_path)
        await sweeper.governance.request("CA1", ANN, "r")
        await sweeper.sweep(is_whole=False)
        await client.flushall()
        await plant(client, "CA1")
        await sweeper.sweep(is_whole=False)
        assert canary("CA1").encode() not in await everything(client)


async def test_quiet_partition_is_trimmed(redis_url: str) -> None:
    """Symptom to prevent: the last calls of a partition stay until another one comes."""
    async with client_of(redis_url) as client:
        await plant(client, "CA1")
        raw = RedisRetention(client, PARTITIONS, Kind.RAW)
        assert await raw.trim(ago_ms(60)) == 0
        assert await raw.trim(ago_ms(-60)) == 8
        assert await client.xlen(f"{_TAG}redacted") == 4


# Backups


async def test_restored_backup_is_erased_by_the_second_copy_of_the_ledger(tmp_path: Path) -> None:
    """Redis is restored from a snapshot that was made before the erasure."""
    snapshot, folder = tmp_path / "dump.rdb", tmp_path / "ledger"
    with valkey(data_dir=tmp_path / "one") as url:
        async with client_of(url) as client:
            for call_id in ("CA1", "CA2"):
                await plant(client, call_id)
            await client.save()
            await client.config_set("rdbcompression", "no")
            (found,) = (tmp_path / "one").rglob("*.rdb")
            snapshot.write_bytes(found.read_bytes())
            sweeper, _ = sweeper_of(client, ledger_dir=folder)
            await sweeper.governance.request("CA1", ANN, "r")
            await sweeper.governance.carry_out(["CA1"], ANN)
            await client.save()
            assert canary("CA1").encode() not in found.read_bytes()
            assert canary("CA2").encode() in found.read_bytes()
            where = found.relative_to(tmp_path / "one")
    restored = tmp_path / "two" / where
    restored.parent.mkdir(parents=True)
    restored.write_bytes(snapshot.read_bytes())
    with valkey(data_dir=tmp_path / "two") as url:
        async with client_of(url) as client:
            assert canary("CA1").encode() in await everything(client)
            sweeper, registry = sweeper_of(client, ledger_dir=folder)
            assert await sweeper.governance.ledger.get("CA1") is None
            await sweeper.sweep()
            left = await everything(client)
            assert canary("CA1").encode() not in left
            assert canary("CA2").encode() in left
            assert value(registry, "erased_calls_total") == 1
            assert ("erasure-restored", "CA1") in await actions(sweeper.governance)
            restored_record = await sweeper.governance.ledger.get("CA1")
            assert restored_record
            assert restored_record.reason == "r"


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_append_only_file_has_the_call_until_it_is_rewritten(tmp_path: Path) -> None:
    """As docs/governance.md says of Redis' own files."""
    with valkey(data_dir=tmp_path, appendonly="yes", rdbcompression="no") as url:
        async with client_of(url) as client:
            for call_id in ("CA1", "CA2"):
                await plant(client, call_id)
            governance = governed(client).governance
            await governance.request("CA1", ANN, "r")
            assert (await governance.carry_out(["CA1"], ANN)).is_done
            assert canary("CA1").encode() in files(tmp_path)
            file = AppendOnlyFile(client)
            await file.rewrite_if_due()
            assert canary("CA1").encode() in files(tmp_path), "nothing was erased"
            file.note_erasure()
            await file.rewrite_if_due()
            await eventually(lambda: canary("CA1").encode() not in files(tmp_path))
            assert canary("CA2").encode() in files(tmp_path)


async def test_ledger_is_copied_when_a_folder_is_set_later(redis_url: str, tmp_path: Path) -> None:
    async with client_of(redis_url) as client:
        without, _ = sweeper_of(client)
        for call_id in ("CA1", "a%2Fb"):
            await without.governance.request(call_id, ANN, "r")
        sweeper, _ = sweeper_of(client, ledger_dir=tmp_path)
        await sweeper.sweep()
        (tmp_path / "00").mkdir(exist_ok=True)
        (tmp_path / "00" / "damaged.json").write_text("{")
        (copy,) = sweeper.governance.copies
        assert {call_id async for call_id, _ in copy.all()} == {"CA1", "a%2Fb"}
