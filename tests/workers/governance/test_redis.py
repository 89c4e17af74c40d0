"""Erasure from Redis: nothing of a call is left, and nothing else is missing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.governance.planting import (
    ANN,
    OF_A_CALL,
    PARTITIONS,
    add,
    canary,
    client_of,
    entries,
    everything,
    final,
    governed,
    plant,
)
from workers.governance.calls import as_in_events
from workers.governance.ledger import Recorded
from workers.governance.rewriting import Rewriter
from workers.governance.stores import StoreError

_TAG = partition_key(53, "")
# Another call of the partition of CA1.
_NEIGHBOUR = next(c for c in (f"CB{n}" for n in range(9999)) if partition_of(c, PARTITIONS) == 53)


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[RedisClient]:
    async with client_of(request.getfixturevalue(request.param)) as client:
        yield client


async def erase(client: RedisClient, *call_ids: str) -> dict[str, int]:
    governance = governed(client).governance
    for call_id in call_ids:
        assert await governance.request(call_id, ANN, "her wish") is Recorded.RECORDED
    walked = await governance.carry_out(call_ids, ANN)
    assert not walked.left
    return dict(walked.removed)


async def in_redis(client: RedisClient, call_id: str) -> int:
    return (await governed(client).governance.find(call_id))["redis"]


async def test_nothing_of_an_erased_call_is_left_in_any_key(client: RedisClient) -> None:
    erased, kept = ["CA1", "CA2", "CA3", "CA4"], [_NEIGHBOUR, "CA10", "CA5", "CA6"]
    for call_id in (*erased, *kept):
        await plant(client, call_id)
    before = await everything(client)
    assert all(canary(call_id).encode() in before for call_id in (*erased, *kept))
    assert sum((await erase(client, *erased)).values()) > 100
    left = await everything(client)
    assert not any(canary(call_id).encode() in left for call_id in erased)
    names = left.replace(b"CA10", b"")
    assert not any(call_id.encode() in names for call_id in erased)
    for call_id in kept:
        assert await in_redis(client, call_id) == OF_A_CALL
    assert await in_redis(client, "CA1") == 0
    assert await client.hget(f"{_TAG}consumer:redact", "position") == b"7-0"


async def test_deleted_entries_stay_in_memory_until_the_stream_is_rewritten(redis_url: str) -> None:
    """Symptom to prevent: XDEL hides an entry, and the next snapshot contains its words."""
    async with client_of(redis_url) as client:
        for n in range(1, 20):
            await add(client, f"{_TAG}events", final("CA1" if n == 7 else "CA9", n))
        await client.xdel(f"{_TAG}events", (await entries(client, f"{_TAG}events"))[6][0])
        rewriter = Rewriter(client, 53)
        assert await rewriter.has_residue(f"{_TAG}events")
        assert canary("CA1").encode() in await everything(client)
        await rewriter.rewrite(f"{_TAG}events")
        assert not await rewriter.has_residue(f"{_TAG}events")
        assert canary("CA1").encode() not in await everything(client)


async def test_rewritten_stream_keeps_ids_groups_pending_entries_and_expiry(
    client: RedisClient,
) -> None:
    key = f"{_TAG}events"
    for n in range(1, 701):  # several pages
        await add(client, key, final("CA1" if n % 5 == 0 else "CA9", n))
    await client.xgroup_create(key, "mine", id="0")
    read: Any = await client.xreadgroup("mine", "c1", {key: ">"}, count=10)
    assert read
    others = [(i, f) for i, f in await entries(client, key) if f[b"call_id"] == b"CA9"]
    info: Any = await client.xinfo_stream(key)
    await client.pexpire(key, 500_000)
    await erase(client, "CA1")
    assert await entries(client, key) == others
    again: Any = await client.xinfo_stream(key)
    assert again["last-generated-id"] == info["last-generated-id"]
    assert 0 < await client.pttl(key) <= 500_000
    (group,) = await client.xinfo_groups(key)
    assert group["name"] == b"mine"
    assert group["pending"] == 8, "those of the call were erased"
    assert group["entries-read"] == 10
    rest: Any = await client.xreadgroup("mine", "c1", {key: ">"}, count=2000)
    unread = next(iter(rest.values()))[0] if isinstance(rest, dict) else rest[0][1]
    assert len(unread) == len(others) - 8
    assert await client.keys(f"{_TAG}rewrite:*") == []


async def test_entries_that_are_written_meanwhile_are_kept(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        key, rewriter = f"{_TAG}events", Rewriter(client, 53)
        for n in range(1, 600):
            await add(client, key, final("CA9", n))
        copied: list[str] = []
        execute = rewriter._eval  # noqa: SLF001

        async def also_write(script: str, keys: list[str], *arguments: str | int) -> Any:
            if "RENAME" in script:
                copied.append(await add(client, key, final("CA9", 600 + len(copied))))
            return await execute(script, keys, *arguments)

        rewriter._eval = also_write  # type: ignore[method-assign]  # noqa: SLF001
        await rewriter.rewrite(key)
        assert len(copied) == 1
        assert [f[b"n"] for _, f in await entries(client, key)] == [
            str(n).encode() for n in range(1, 601)
        ]


async def test_copy_is_dropped_if_another_call_is_erased_meanwhile(redis_url: str) -> None:
    """Symptom to prevent: the copy of a stream brings a call back that was erased meanwhile."""
    async with client_of(redis_url) as client:
        key, rewriter = f"{_TAG}events", Rewriter(client, 53)
        for n in range(1, 600):
            await add(client, key, final("CA9", n))
        execute, tries = rewriter._eval, 0  # noqa: SLF001

        async def also_erase(script: str, keys: list[str], *arguments: str | int) -> Any:
            nonlocal tries
            if "RENAME" in script:
                tries += 1
                await client.hset(f"{_TAG}erased", f"CB{tries}", "{}")
            return await execute(script, keys, *arguments)

        rewriter._eval = also_erase  # type: ignore[method-assign]  # noqa: SLF001
        with pytest.raises(StoreError, match="erasures-in-progress"):
            await rewriter.rewrite(key)
        assert await client.xlen(key) == 599
        assert await client.keys(f"{_TAG}rewrite:*") == []


@pytest.mark.parametrize("at", [0, 1, 150, 298], ids=["first", "second", "middle", "last"])
async def test_entry_that_is_deleted_meanwhile_stays_deleted(redis_url: str, at: int) -> None:
    """Symptom: a retry that a worker had handled, or the words of a call, came back."""
    async with client_of(redis_url) as client:
        key, rewriter = f"{_TAG}events", Rewriter(client, 53)
        ids = [await add(client, key, final("CA1" if n == at else "CA9", n)) for n in range(299)]
        execute = rewriter._eval  # noqa: SLF001

        async def also_delete(script: str, keys: list[str], *arguments: str | int) -> Any:
            if "RENAME" in script:
                await client.xdel(key, ids[at])
            return await execute(script, keys, *arguments)

        rewriter._eval = also_delete  # type: ignore[method-assign]  # noqa: SLF001
        await rewriter.rewrite(key)
        assert [i for i, _ in await entries(client, key)] == [
            each.encode() for n, each in enumerate(ids) if n != at
        ]
        if await rewriter.has_residue(key):  # the eraser that deleted it rewrites the stream, too
            await rewriter.rewrite(key)
        assert canary("CA1").encode() not in await everything(client)


@pytest.mark.parametrize(
    "call_id",
    ["events", "call", "live", "erased", "redacted", "owner", "*", "a b", "CA?", "..", "é", "a:b"],
)
async def test_hostile_id_erases_only_its_own_call(redis_url: str, call_id: str) -> None:
    async with client_of(redis_url) as client:
        await erase_only(client, as_in_events(call_id))


async def erase_only(client: RedisClient, own: str) -> None:
    await plant(client, own)
    await plant(client, "CA1")
    await erase(client, own)
    assert await in_redis(client, "CA1") == OF_A_CALL
    assert canary(own).encode() not in await everything(client)


async def test_call_with_a_longer_id_is_erased_in_the_partition_of_the_plain_one(
    client: RedisClient,
) -> None:
    longer = "default.talkdesk.CA1"
    await plant(client, "CA1")
    await plant(client, longer, plain_id="CA1")
    await erase(client, longer)
    assert canary(longer).encode() not in await everything(client)
    assert await in_redis(client, "CA1") == OF_A_CALL


async def test_report_counts_without_content(client: RedisClient) -> None:
    await plant(client, "CA1")
    store = governed(client).governance.stores[0]
    holdings = {each.where: each for each in await store.describe()}
    assert holdings["call:<id>, …"].calls == 1
    assert holdings["events"].entries == 4
    assert holdings["dead:redact"].entries == 1
    assert holdings["events"].oldest
    assert not any("CA1" in repr(each) or "canary" in repr(each) for each in holdings.values())
