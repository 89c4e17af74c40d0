"""What every store promises: `append.lua` on a real server, and the one in memory."""

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import PublishError
from gateway.transcript.encode import pack_batch, pack_event, pack_stream
from gateway.transcript.keys import partition_of
from gateway.transcript.store import FENCED, STILL_LEASED, AppendCall
from tests.gateway.transcript.memory_store import MemoryStore
from tests.gateway.transcript.publishing import PARTITIONS, client_of, keys_of
from workers.redis_streams import RedisStreams

_LAPSED_MS = -1000  # a lease that ended before it began: nobody has to wait for it
_calls = itertools.count()


class Store(Protocol):
    """Both stores, as a writer and a janitor use them."""

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]: ...
    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]: ...
    async def owner_epoch(self, writers_key: str, stream_id: str) -> int: ...
    def events(self, call_key: str) -> AsyncIterator[dict[str, str]]: ...


@pytest.fixture(params=["memory", "redis_url", "redis_cluster_url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(lambda: round(time.time() * 1000))
        return
    async with client_of(request.getfixturevalue(request.param)) as client:
        yield RedisStreams(client)


async def write(
    store: Store,
    epoch: int,
    first: int,
    texts: str = "",
    *,
    call_id: str = "CA1",
    ends: bool = False,
    if_lapsed: bool = False,
    lease_ms: int = 30_000,
) -> int:
    """Write one event per letter."""
    events = [pack_event(["transcript.final", f"at{text}", "text", text]) for text in texts]
    constants = pack_stream("1", call_id, "MZ1", epoch, "g1", lease_ms, 500, 1000, 86_400_000)
    batch = pack_batch(first, events, ends_stream=ends, if_lapsed=if_lapsed)
    (answer,) = await store.append([(keys_of(call_id), constants, batch)], 20.0)
    assert isinstance(answer, int)
    return answer


async def declare_lost(store: Store, epoch: int, n: int) -> int:
    return await write(store, epoch, n, "x", ends=True, if_lapsed=True)


async def written(store: Store, key: str) -> list[tuple[str, str, str]]:
    return [(e["epoch"], e["n"], e["text"]) async for e in store.events(key)]


async def lapsed(store: Store, call_id: str = "CA1") -> list[str]:
    now_ms, members = await store.lapsed(partition_of(call_id, PARTITIONS), 100)
    assert abs(now_ms / 1000 - time.time()) < 60
    return members


async def test_an_entry_has_all_fields_in_both_streams(store: Store) -> None:
    assert await write(store, 5, 1, "a") == 0
    entry = {
        "v": "1",
        "type": "transcript.final",
        "call_id": "CA1",
        "stream_id": "MZ1",
        "epoch": "5",
        "n": "1",
        "at": "ata",
        "gateway": "g1",
        "text": "a",
    }
    for key in (keys_of("CA1").call, keys_of("CA1").events):
        (found,) = [e async for e in store.events(key)]
        assert list(found.items()) == list(entry.items())


async def test_what_is_written_is_skipped(store: Store) -> None:
    assert await write(store, 5, 1, "abc") == 0
    assert await write(store, 5, 1, "abc") == 3
    assert await write(store, 5, 2, "bcd") == 3
    assert await write(store, 5, 7, "g") == 4
    assert [n for _, n, _ in await written(store, keys_of("CA1").call)] == list("12347")


async def test_the_highest_epoch_owns_a_stream_and_counts_anew(store: Store) -> None:
    assert await store.owner_epoch(keys_of("CA1").writers, "MZ1") == 0
    await write(store, 5, 1, "ab")
    assert await write(store, 6, 1, "c") == 0
    assert await write(store, 5, 3, "x") == FENCED
    assert await store.owner_epoch(keys_of("CA1").writers, "MZ1") == 6
    assert await written(store, keys_of("CA1").call) == [
        ("5", "1", "a"),
        ("5", "2", "b"),
        ("6", "1", "c"),
    ]


async def test_a_lease_lasts_until_it_lapses_or_the_stream_ends(store: Store) -> None:
    await write(store, 5, 1, "a")
    assert await lapsed(store) == []
    await write(store, 5, 2, lease_ms=_LAPSED_MS)
    assert await lapsed(store) == ["CA1 MZ1"]
    await write(store, 5, 2, "b", ends=True)
    assert await lapsed(store) == []


async def test_what_comes_late_does_not_bring_back_the_lease_of_an_ended_stream(
    store: Store,
) -> None:
    """Symptom: a stream that had ended was found lost, because a broken connection's batch came."""
    await write(store, 5, 1, "a")
    await write(store, 5, 2, "b", ends=True)
    assert await write(store, 5, 1, "a", lease_ms=_LAPSED_MS) == 2
    assert await write(store, 5, 2, lease_ms=_LAPSED_MS) == 2
    assert await lapsed(store) == []


async def test_a_renewal_that_knows_no_n_renews_and_skips_nothing(store: Store) -> None:
    await write(store, 5, 1, "ab", lease_ms=_LAPSED_MS)
    await write(store, 5, 1)
    assert await lapsed(store) == []
    await write(store, 5, 3, "c")
    assert [n for _, n, _ in await written(store, keys_of("CA1").call)] == list("123")


@pytest.mark.parametrize("epoch", [5, 6])
async def test_a_janitor_writes_only_once_the_lease_has_lapsed(store: Store, epoch: int) -> None:
    assert await declare_lost(store, epoch, 1) == STILL_LEASED, "there is no such stream"
    await write(store, 5, 1, "a")
    assert await declare_lost(store, epoch, 2) == STILL_LEASED
    await write(store, 5, 2, lease_ms=_LAPSED_MS)
    assert await declare_lost(store, 4, 1) == FENCED
    assert await declare_lost(store, epoch, 2) >= 0
    assert await lapsed(store) == []
    assert await declare_lost(store, 7, 1) == STILL_LEASED, "it has ended"
    assert await written(store, keys_of("CA1").call) == [
        ("5", "1", "a"),
        (str(epoch), "2", "x"),
    ]


async def test_no_more_lapsed_streams_than_asked_for(store: Store) -> None:
    for call_id in ("CA1", "CA2", "CA3"):
        await write(store, 5, 1, "a", call_id=call_id, lease_ms=_LAPSED_MS)
    partition = partition_of("CA1", PARTITIONS)
    assert (await store.lapsed(partition, 0))[1] == []
    assert (await store.lapsed(partition, 1))[1] == ["CA1 MZ1"]


class Batch(NamedTuple):
    epoch: int
    first: int
    texts: str
    ends: bool
    if_lapsed: bool
    lease_ms: int


_BATCHES = st.lists(
    st.builds(
        Batch,
        st.integers(1, 3),
        st.integers(1, 8),
        st.text("abcdef", max_size=4),
        st.booleans(),
        st.booleans(),
        st.sampled_from([_LAPSED_MS, 30_000]),
    ),
    max_size=20,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_BATCHES)
async def test_both_stores_answer_any_batches_alike(
    redis_server_url: str, batches: list[Batch]
) -> None:
    call_id = f"ALIKE{next(_calls)}"
    memory = MemoryStore(lambda: round(time.time() * 1000))
    async with client_of(redis_server_url) as client:
        real = RedisStreams(client)
        for batch in batches:
            answers = [
                await write(
                    each,
                    batch.epoch,
                    batch.first,
                    batch.texts,
                    call_id=call_id,
                    ends=batch.ends,
                    if_lapsed=batch.if_lapsed,
                    lease_ms=batch.lease_ms,
                )
                for each in (real, memory)
            ]
            assert answers[0] == answers[1]
        found = [
            (
                await written(each, keys_of(call_id).call),
                f"{call_id} MZ1" in await lapsed(each, call_id),
                await each.owner_epoch(keys_of(call_id).writers, "MZ1"),
            )
            for each in (real, memory)
        ]
        assert found[0] == found[1]


async def test_the_memory_store_trims_and_forgets_as_the_server_does() -> None:
    now_ms = 1_000_000
    store = MemoryStore(lambda: now_ms)
    for n in range(1, 1011):
        await write(store, 5, n, "a")
    keys = keys_of("CA1")
    assert len(store.streams[keys.events]) == 1001, "trimmed to 1000, before one is appended"
    assert len(store.streams[keys.call]) == 1010
    now_ms += 500_000
    await write(store, 5, 1, "a", call_id="CA2")
    assert keys.call not in store.streams
    assert await store.owner_epoch(keys.writers, "MZ1") == 0
