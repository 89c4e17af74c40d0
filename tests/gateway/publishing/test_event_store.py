"""The guarantees of every event store: `append.lua` on a real server, and the one in memory."""

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import PublishError
from gateway.publishing.event_store import FENCED, RESUMED, STILL_LEASED, AppendCall
from gateway.transcript.encode import pack_batch, pack_event, pack_stream
from gateway.transcript.keys import keys_in, partition_of
from tests.gateway.publishing.memory_store import MemoryStore
from tests.gateway.publishing.publisher_harness import PARTITIONS, client_of, keys_of
from workers.redis_streams import RedisStreams

_DAY_MS = 86_400_000
_LAPSED_MS = -1000  # lapses in the past: no test has to wait for it
_EVER_MS = 1 << 45  # a check of the lease, in Unix ms, that is later than any renewal
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
    stream_id: str = "MZ1",
    gateway: str = "g1",
    starts: bool = False,
    ends: bool = False,
    lapsed_at_ms: int = 0,
    lease_ms: int = 30_000,
    age_ms: int = 0,
    owner: tuple[str, ...] = ("default", "twilio"),
    partition_of_id: str | None = None,
) -> int:
    """Write one event per letter, after a `stream.started` if the batch starts the stream.

    `owner` is the tenant and the carrier; a janitor and the spool of an earlier version have none.
    The keys are in the partition of `partition_of_id`, or of the call's id.
    """
    events = [pack_event(["stream.started", "at", "carrier", "twilio"])] if starts else []
    events += [pack_event(["transcript.final", f"at{text}", "text", text]) for text in texts]
    stream_header = pack_stream(
        "1", call_id, stream_id, epoch, gateway, lease_ms, 500, 1000, _DAY_MS, *owner
    )
    batch = pack_batch(first, events, ends_stream=ends, lapsed_at_ms=lapsed_at_ms)
    keys = keys_in(partition_of(partition_of_id or call_id, PARTITIONS), call_id)
    call = AppendCall(keys, stream_header, batch, age_ms)
    (reply,) = await store.append([call], 20.0)
    assert isinstance(reply, int)
    return reply


async def declare_lost(
    store: Store, epoch: int, n: int, call_id: str = "CA1", *, lapsed_at_ms: int = _EVER_MS
) -> int:
    return await write(
        store,
        epoch,
        n,
        "x",
        call_id=call_id,
        gateway="janitor",
        ends=True,
        lapsed_at_ms=lapsed_at_ms,
        owner=(),
        partition_of_id="CA1",
    )


async def written(store: Store, key: str) -> list[tuple[str, str, str]]:
    return [
        (e["epoch"], e["n"], e.get("text", f"resumes {e.get('resumes')}"))
        async for e in store.events(key)
    ]


async def lapsed(store: Store, call_id: str = "CA1") -> list[str]:
    now_ms, members = await store.lapsed(partition_of(call_id, PARTITIONS), 100)
    assert abs(now_ms / 1000 - time.time()) < 60
    return members


async def test_entry_has_all_fields_in_both_streams(store: Store) -> None:
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
        "tenant": "default",
        "text": "a",
    }
    for key in (keys_of("CA1").call, keys_of("CA1").events):
        (found,) = [e async for e in store.events(key)]
        assert list(found.items()) == list(entry.items())


@pytest.mark.parametrize("url", ["redis_url", "redis_cluster_url"])
async def test_entry_has_the_same_id_in_both_streams(
    request: pytest.FixtureRequest, url: str
) -> None:
    async with client_of(request.getfixturevalue(url)) as client:
        for first in (1, 4):
            await write(RedisStreams(client), 5, first, "abc")
            await write(RedisStreams(client), 5, first, "abc", call_id="CA2")
        own: Any = await client.xrange(keys_of("CA1").call)
        shared: Any = await client.xrange(keys_of("CA1").events)
        ids = {id for id, _ in own}
        assert len(ids) == 6
        assert ids == {id for id, event in shared if event[b"call_id"] == b"CA1"}


async def test_partition_deleted_while_the_clock_was_set_back_stops_no_call(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        await client.execute_command("XADD", keys_of("CA1").call, "99999999999999-0", "a", "b")
        await write(RedisStreams(client), 5, 1, "ab")
        assert await client.xlen(keys_of("CA1").call) == 3
        assert await client.xlen(keys_of("CA1").events) == 2


async def test_events_written_before_are_skipped(store: Store) -> None:
    assert await write(store, 5, 1, "abc") == 0
    assert await write(store, 5, 1, "abc") == 3
    assert await write(store, 5, 2, "bcd") == 3
    assert await write(store, 5, 7, "g") == 4
    assert [n for _, n, _ in await written(store, keys_of("CA1").call)] == list("12347")


async def test_newest_epoch_owns_the_stream_and_numbers_from_1(store: Store) -> None:
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


async def test_lease_lasts_until_it_lapses_or_the_stream_ends(store: Store) -> None:
    await write(store, 5, 1, "a")
    assert await lapsed(store) == []
    await write(store, 5, 2, lease_ms=_LAPSED_MS)
    assert await lapsed(store) == ["CA1 MZ1"]
    await write(store, 5, 2, "b", ends=True)
    assert await lapsed(store) == []


async def test_late_batch_does_not_renew_the_lease_of_an_ended_stream(
    store: Store,
) -> None:
    """Symptom: a late batch of a broken connection made an ended stream count as lost."""
    await write(store, 5, 1, "a")
    await write(store, 5, 2, "b", ends=True)
    assert await write(store, 5, 1, "a", lease_ms=_LAPSED_MS) == 2
    assert await write(store, 5, 2, lease_ms=_LAPSED_MS) == 2
    assert await lapsed(store) == []


async def test_renewal_without_n_renews_the_lease_and_skips_no_event(store: Store) -> None:
    await write(store, 5, 1, "ab", lease_ms=_LAPSED_MS)
    await write(store, 5, 1)
    assert await lapsed(store) == []
    await write(store, 5, 3, "c")
    assert [n for _, n, _ in await written(store, keys_of("CA1").call)] == list("123")


@pytest.mark.parametrize("epoch", [5, 6])
async def test_janitor_writes_only_after_the_lease_has_lapsed(store: Store, epoch: int) -> None:
    assert await declare_lost(store, epoch, 1) == STILL_LEASED, "there is no such stream"
    await write(store, 5, 1, "a")
    assert await declare_lost(store, epoch, 2) == STILL_LEASED
    await write(store, 5, 2, lease_ms=_LAPSED_MS)
    assert await declare_lost(store, 4, 1) == FENCED
    assert await declare_lost(store, epoch, 2, lapsed_at_ms=1) == STILL_LEASED, "renewed since"
    assert await declare_lost(store, epoch, 2) >= 0
    assert await lapsed(store) == []
    assert await declare_lost(store, 7, 1) == STILL_LEASED, "it has ended"
    assert await written(store, keys_of("CA1").call) == [
        ("5", "1", "a"),
        (str(epoch), "2", "x"),
    ]


async def test_number_of_lapsed_streams_is_limited(store: Store) -> None:
    for call_id in ("CA1", "CA2", "CA3"):
        await write(store, 5, 1, "a", call_id=call_id, lease_ms=_LAPSED_MS)
    partition = partition_of("CA1", PARTITIONS)
    assert (await store.lapsed(partition, 0))[1] == []
    assert (await store.lapsed(partition, 1))[1] == ["CA1 MZ1"]


# Ownership of a stream


async def epochs_of(store: Store, *, with_started: bool = False) -> list[tuple[str, str, str, str]]:
    """Return epoch, n, gateway and text of each event of CA1."""
    return [
        (e["epoch"], e["n"], e["gateway"], e.get("text", f"resumes {e.get('resumes')}"))
        async for e in store.events(keys_of("CA1").call)
        if with_started or "text" in e
    ]


_HOUR_MS = 3_600_000


@pytest.mark.parametrize("is_declared_lost", [False, True])
async def test_newest_claim_owns_the_stream_whatever_the_clocks_say(
    store: Store, is_declared_lost: bool
) -> None:
    """Symptom: a gateway an hour ahead crashed, and the carrier's next gateway was fenced."""
    await write(store, 5 + _HOUR_MS, 1, "a", gateway="ahead", lease_ms=_LAPSED_MS)
    lost = []
    if is_declared_lost:
        await declare_lost(store, 6 + _HOUR_MS, 1)
        lost = [(str(6 + _HOUR_MS), "1", "janitor", "x")]
    epoch = str(6 + _HOUR_MS + is_declared_lost)
    assert await write(store, 5, 1, "b", gateway="right") == 0
    assert await write(store, 5, 2, "c", gateway="right") == 1
    assert await write(store, 5 + _HOUR_MS, 2, "x", gateway="ahead") == FENCED
    assert await epochs_of(store) == [
        (str(5 + _HOUR_MS), "1", "ahead", "a"),
        *lost,
        (epoch, "1", "right", "b"),
        (epoch, "2", "right", "c"),
    ]


async def test_claims_of_two_gateways_with_the_same_epoch_are_distinguished(store: Store) -> None:
    """Symptom: both wrote, and each skipped events that the other had written with the same n."""
    assert await write(store, 5, 1, "a", gateway="g1") == 0
    assert await write(store, 5, 1, "b", gateway="g2") == 0
    assert await write(store, 5, 2, "x", gateway="g1") == FENCED
    assert await write(store, 5, 2, "c", gateway="g2") == 1
    assert await epochs_of(store) == [
        ("5", "1", "g1", "a"),
        ("6", "1", "g2", "b"),
        ("6", "2", "g2", "c"),
    ]


async def test_claim_whose_reply_was_lost_is_not_made_twice(store: Store) -> None:
    await write(store, 5 + _HOUR_MS, 1, "a", gateway="ahead")
    assert await write(store, 5, 1, "b", gateway="right") == 0
    assert await write(store, 5, 1, "b", gateway="right") == 1
    assert await epochs_of(store) == [
        (str(5 + _HOUR_MS), "1", "ahead", "a"),
        (str(6 + _HOUR_MS), "1", "right", "b"),
    ]


async def test_older_claim_that_arrives_late_is_fenced(store: Store) -> None:
    """The older gateway reaches Redis only after another one has claimed the stream."""
    await write(store, 5, 1, "a", gateway="newer", age_ms=10)
    assert await write(store, 5 + _HOUR_MS, 1, "x", gateway="older", age_ms=8000) == FENCED
    assert await write(store, 5, 2, "b", gateway="newer", age_ms=9000) == 1
    assert await epochs_of(store) == [("5", "1", "newer", "a"), ("5", "2", "newer", "b")]


async def test_gateway_fenced_once_stays_fenced(store: Store) -> None:
    """Symptom: its first batch arrived after its second was fenced, and took the stream over."""
    await write(store, 5, 1, "a", gateway="newer", age_ms=1000)
    assert await write(store, 4, 1, "x", gateway="older", age_ms=8000) == FENCED
    assert await write(store, 4, 1, "x", gateway="older", age_ms=10) == FENCED
    assert await write(store, 5, 2, "b", gateway="newer", age_ms=9000) == 1


@pytest.mark.parametrize(
    ("behind_ms", "older_ms", "is_older"),
    [
        (_HOUR_MS, 0, False),
        (_HOUR_MS, 200, False),
        (_HOUR_MS, 1000, True),
        (-_HOUR_MS, 1000, True),
        (-_HOUR_MS, 200, False),
        (0, 0, False),
        (-1, 200, False),
        (1, 100, True),  # at nearly the same time the epochs decide, not the ages
        (200, 200, True),
        (200, -1000, False),
    ],
)
async def test_older_of_two_claims_at_about_the_same_time_is_fenced(
    store: Store, behind_ms: int, older_ms: int, is_older: bool
) -> None:
    epoch = 10 * _HOUR_MS
    await write(store, epoch, 1, "a", gateway="g1", age_ms=5000)
    reply = await write(store, epoch - behind_ms, 1, "b", gateway="g2", age_ms=5000 + older_ms)
    assert (reply == FENCED) == is_older


async def test_each_claim_fences_all_claims_before_it(store: Store) -> None:
    for number in range(20):
        assert await write(store, 5, 1, "a", gateway=f"g{number}", age_ms=100_000 - number) == 0
        for older in range(number):
            reply = await write(store, 5, 2, "x", gateway=f"g{older}", age_ms=200_000 - older)
            assert reply == FENCED


async def test_gateway_resumes_its_stream_after_a_janitors_record(store: Store) -> None:
    """Symptom: a gateway suspended for longer than its lease was fenced by a janitor's record.

    Events that it wrote before are not repeated, and events without a reply are not lost.
    """
    await write(store, 5, 1, "a", starts=True, lease_ms=_LAPSED_MS)
    await write(store, 5, 3, "b", lease_ms=_LAPSED_MS)
    await declare_lost(store, 90, 1)
    assert await write(store, 5, 3, "bc") == RESUMED - 3
    assert await write(store, 5, 3, "bc") == 4
    assert await write(store, 5, 5, "d", lease_ms=_LAPSED_MS) == 4
    assert await epochs_of(store, with_started=True) == [
        ("5", "1", "g1", "resumes None"),
        ("5", "2", "g1", "a"),
        ("5", "3", "g1", "b"),
        ("90", "1", "janitor", "x"),
        ("91", "1", "g1", "resumes 5"),
        ("91", "2", "g1", "c"),
        ("91", "3", "g1", "d"),
    ]
    assert await store.owner_epoch(keys_of("CA1").writers, "MZ1") == 91
    await declare_lost(store, 200, 1)
    assert await write(store, 5, 6, "e") == RESUMED - 5
    assert (await epochs_of(store, with_started=True))[-2:] == [
        ("201", "1", "g1", "resumes 91"),
        ("201", "2", "g1", "e"),
    ]


async def test_renewal_resumes_a_stream_and_its_lease(store: Store) -> None:
    await write(store, 5, 1, "a", starts=True, lease_ms=_LAPSED_MS)
    await declare_lost(store, 90, 1)
    assert await write(store, 5, 1, lease_ms=_LAPSED_MS) == RESUMED - 2
    assert await lapsed(store) == ["CA1 MZ1"]
    assert await write(store, 5, 3, "b", ends=True) == 2
    assert await lapsed(store) == []
    assert (await epochs_of(store, with_started=True))[-2:] == [
        ("91", "1", "g1", "resumes 5"),
        ("91", "2", "g1", "b"),
    ]


async def test_stream_without_stream_started_is_resumed_without_one(store: Store) -> None:
    await write(store, 5, 1, lease_ms=_LAPSED_MS)
    await declare_lost(store, 90, 1)
    assert await write(store, 5, 1, "a") == RESUMED
    assert (await epochs_of(store))[-1] == ("91", "1", "g1", "a")


async def test_stream_claimed_by_another_gateway_is_not_resumed(store: Store) -> None:
    await write(store, 5, 1, "a", gateway="suspended")
    await write(store, 6, 1, "b", gateway="newer", lease_ms=_LAPSED_MS)
    await declare_lost(store, 90, 1)
    assert await write(store, 5, 2, "x", gateway="suspended") == FENCED
    assert await write(store, 6, 2, "c", gateway="newer") == RESUMED - 1


async def test_stream_of_an_earlier_version_continues_or_is_taken_over(
    redis_url: str,
) -> None:
    """The earlier version stored no claims; its spool is written by this version."""
    async with client_of(redis_url) as client:
        real = RedisStreams(client)
        await client.hset(keys_of("CA1").writers, "MZ1", "5:3")
        assert await write(real, 5, 3, "cd", owner=()) == 3
        await client.hset(keys_of("CA1").writers, "MZ2", "5:3")
        assert await write(real, 6, 1, "a", stream_id="MZ2") == 0
        await client.hset(keys_of("CA1").writers, "MZ2", "7:1")
        assert await write(real, 6, 2, "x", stream_id="MZ2") == FENCED


# Ownership of a call's id

_OTHER = ("default", "talkdesk")


async def of_call(store: Store, call_id: str) -> list[str]:
    """Return tenant, epoch, n and text of each event of a call in CA1's partition."""
    keys = keys_in(partition_of("CA1", PARTITIONS), call_id)
    events = [e async for e in store.events(keys.call)]
    assert {e["call_id"] for e in events} <= {call_id}
    return [f"{e['tenant']} {e['epoch']} {e['n']} {e.get('text', e['type'])}" for e in events]


@pytest.mark.parametrize("other", [_OTHER, ("acme", "twilio"), ("acme", "talkdesk")])
async def test_same_id_of_another_carrier_or_tenant_is_another_call(
    store: Store, other: tuple[str, str]
) -> None:
    """Symptom: another carrier's stream with the same two ids took a live call's stream over."""
    assert await write(store, 5, 1, "a") == 0
    assert await write(store, 6, 1, "x", owner=other, gateway="g2") == 0
    assert await write(store, 5, 2, "b") == 1
    assert await write(store, 6, 1, "xyz", owner=other, gateway="g2") == 1
    assert await write(store, 6, 1, "z", owner=other, gateway="g2", stream_id="MZ2") == 0
    name = f"{other[0]}.{other[1]}.CA1"
    assert await of_call(store, "CA1") == ["default 5 1 a", "default 5 2 b"]
    assert await of_call(store, name) == [f"{other[0]} 6 {n}" for n in ("1 x", "2 y", "3 z", "1 z")]
    events = [(e["call_id"], e["tenant"]) async for e in store.events(keys_of("CA1").events)]
    mine, its = ("CA1", "default"), (name, other[0])
    assert events == [mine, its, mine, its, its, its]


async def test_call_keeps_its_derived_id_after_a_janitors_record(store: Store) -> None:
    """The janitor reads the id from the lease, and the tenant from the call."""
    await write(store, 4, 1, "a", lease_ms=_LAPSED_MS)
    await write(store, 5, 1, "x", owner=("acme", "plivo"), starts=True, lease_ms=_LAPSED_MS)
    assert await lapsed(store) == ["CA1 MZ1", "acme.plivo.CA1 MZ1"]
    assert await declare_lost(store, 90, 1, "acme.plivo.CA1") == 0
    assert await lapsed(store) == ["CA1 MZ1"]
    assert await write(store, 5, 3, "y", owner=("acme", "plivo")) == RESUMED - 2
    assert await of_call(store, "acme.plivo.CA1") == [
        "acme 5 1 stream.started",
        "acme 5 2 x",
        "acme 90 1 x",
        "acme 91 1 stream.started",
        "acme 91 2 y",
    ]
    assert await of_call(store, "CA1") == ["default 4 1 a"]


async def test_streams_of_two_calls_with_the_same_id_are_owned_separately(store: Store) -> None:
    await write(store, 5, 1, "a")
    await write(store, 5, 1, "x", owner=_OTHER, gateway="old")
    await write(store, 9, 1, "y", owner=_OTHER, gateway="new")
    assert await write(store, 5, 2, "z", owner=_OTHER, gateway="old") == FENCED
    assert await write(store, 5, 2, "b") == 1
    assert await of_call(store, "default.talkdesk.CA1") == ["default 5 1 x", "default 9 1 y"]


async def test_id_equal_to_the_derived_id_of_another_call_is_another_call(store: Store) -> None:
    """A browser page may choose its call's id, even one derived for another carrier's call."""
    other = "default.talkdesk.CA1"
    page = ("default", "browser")
    await write(store, 5, 1, "a", call_id=other, owner=page, partition_of_id="CA1")
    await write(store, 5, 1, "b")
    await write(store, 5, 1, "c", owner=_OTHER)
    assert await of_call(store, other) == ["default 5 1 a"]
    assert await of_call(store, "CA1") == ["default 5 1 b"]
    assert await of_call(store, f"default.talkdesk.{other}") == ["default 5 1 c"]


async def test_batch_without_owner_is_written_to_the_call_that_has_the_id(store: Store) -> None:
    """The spool of an earlier version has neither tenant nor carrier."""
    await write(store, 5, 1, "a", owner=())
    await write(store, 6, 1, "b", owner=("acme", "twilio"))
    await write(store, 7, 1, "c", owner=())
    assert await of_call(store, "CA1") == ["default 5 1 a", "acme 6 1 b", "acme 7 1 c"]


async def test_owner_of_an_id_is_kept_while_another_call_with_the_id_exists(redis_url: str) -> None:
    """Symptom to prevent: a call continues under the id of an earlier call that has expired."""
    writers = keys_of("CA1").writers
    async with client_of(redis_url) as client:
        real = RedisStreams(client)
        await write(real, 5, 1, "a")
        await client.expire(writers, 7)
        await write(real, 5, 1, "x", owner=_OTHER)
        assert await client.ttl(writers) > 400
        await client.expire(writers, 9000)
        await write(real, 5, 2, "y", owner=_OTHER)
        assert await client.ttl(writers) > 8000, "a later expiry is not shortened"
        for key in keys_in(partition_of("CA1", PARTITIONS), "default.talkdesk.CA1")[:2]:
            assert 400 < await client.ttl(key) <= 500


async def erase(store: Store, call_id: str = "CA1", owner: str = "default twilio") -> None:
    """Record that a call was erased, as the ledger does, and delete the owner of its id."""
    keys = keys_in(partition_of("CA1", PARTITIONS), call_id)
    if isinstance(store, MemoryStore):
        tenant, _, carrier = owner.partition(" ")
        store.erased[call_id] = (tenant, carrier) if owner else None
        store.whose.pop(keys.writers, None)
        return
    assert isinstance(store, RedisStreams)
    record = f'{{"owner": "{owner}"}}' if owner else "{}"
    ledger = keys.live.replace(":live", ":erased")
    await store._client.hset(ledger, call_id, record)  # noqa: SLF001
    await store._client.delete(keys.writers)  # noqa: SLF001


async def refusal(store: Store, call_id: str, owner: tuple[str, ...], stream_id: str) -> str:
    """Write a final that must be refused; return why it was."""
    header = pack_stream("1", call_id, stream_id, 7, "g1", 30_000, 500, 1000, _DAY_MS, *owner)
    batch = pack_batch(1, [pack_event(["transcript.final", "at", "text", "x"])], ends_stream=False)
    keys = keys_in(partition_of("CA1", PARTITIONS), call_id)
    (reply,) = await store.append([AppendCall(keys, header, batch, 0)], 20.0)
    assert isinstance(reply, PublishError)
    assert not reply.info.retry
    return reply.reason


@pytest.mark.parametrize("owner", [("default", "twilio"), ()])
@pytest.mark.parametrize("stream_id", ["MZ1", "MZ2"])
async def test_erased_call_is_not_written_again(
    store: Store, owner: tuple[str, ...], stream_id: str
) -> None:
    """Neither by its gateway, nor from a spool, nor as another stream of the call."""
    await write(store, 5, 1, "a")
    await erase(store)
    assert await refusal(store, "CA1", owner, stream_id) == "call-erased"
    assert await of_call(store, "CA1") == ["default 5 1 a"]
    assert await lapsed(store) == []
    assert await write(store, 5, 1, "b", call_id="CA2") == 0


@pytest.mark.parametrize("known_owner", ["default twilio", ""])
async def test_erased_id_of_another_owner_is_another_call(store: Store, known_owner: str) -> None:
    await erase(store, owner=known_owner)
    assert await refusal(store, "CA1", ("default", "twilio"), "MZ1") == "call-erased"
    if not known_owner:
        assert await refusal(store, "CA1", _OTHER, "MZ1") == "call-erased"
        return
    assert await write(store, 5, 1, "x", owner=_OTHER) == 0
    assert await of_call(store, "default.talkdesk.CA1") == ["default 5 1 x"]
    await erase(store, "default.talkdesk.CA1", "default talkdesk")
    assert await refusal(store, "CA1", _OTHER, "MZ1") == "call-erased"


class Batch(NamedTuple):
    epoch: int
    gateway: str
    starts: bool
    first: int
    texts: str
    ends: bool
    lapsed_at_ms: int
    lease_ms: int
    age_ms: int
    owner: tuple[str, ...]


_BATCHES = st.lists(
    st.builds(
        Batch,
        st.integers(1, 3),
        st.sampled_from(["g1", "g2"]),
        st.booleans(),
        st.integers(1, 8),
        st.text("abcdef", max_size=4),
        st.booleans(),
        st.sampled_from([0, 1, _EVER_MS]),
        st.sampled_from([_LAPSED_MS, 30_000]),
        st.sampled_from([0, 100_000, 200_000]),
        st.sampled_from([("default", "twilio"), _OTHER, ()]),
    ),
    max_size=20,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_BATCHES)
async def test_both_stores_reply_alike_to_any_batches(
    redis_server_url: str, batches: list[Batch]
) -> None:
    call_id = f"ALIKE{next(_calls)}"
    memory = MemoryStore(lambda: round(time.time() * 1000))
    async with client_of(redis_server_url) as client:
        real = RedisStreams(client)
        for batch in batches:
            replies = [
                await write(
                    each,
                    batch.epoch,
                    batch.first,
                    batch.texts,
                    call_id=call_id,
                    gateway=batch.gateway,
                    starts=batch.starts,
                    ends=batch.ends,
                    lapsed_at_ms=batch.lapsed_at_ms,
                    lease_ms=batch.lease_ms,
                    age_ms=batch.age_ms,
                    owner=batch.owner,
                )
                for each in (real, memory)
            ]
            assert replies[0] == replies[1]
        for name in (call_id, f"default.twilio.{call_id}", f"default.talkdesk.{call_id}"):
            keys = keys_in(partition_of(call_id, PARTITIONS), name)
            found = [
                (
                    await written(each, keys.call),
                    f"{name} MZ1" in await lapsed(each, call_id),
                    await each.owner_epoch(keys.writers, "MZ1"),
                )
                for each in (real, memory)
            ]
            assert found[0] == found[1]


async def test_memory_store_trims_and_expires_as_the_server_does() -> None:
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
