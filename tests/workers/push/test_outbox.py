"""The queues on real servers: once, in order, bounded, and claimed by one worker at a time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient, create_client
from workers.governance.redis_calls import RedisCalls
from workers.push.delivery import Policy
from workers.push.history import attempts, dead_messages
from workers.push.messages import Message, message_id
from workers.push.outbox import DueCall, End, Finished, Limits, Outbox

_CALL = DueCall(3, "crm", "CA1")
_ERASED_PARTITIONS = 17  # with these, CA1 is in partition 3
_DELIVERED = End("delivered", 5, 200)


def message(n: int, call: str = "CA1") -> Message:
    return Message(f"msg_{n}", "transcript.final", call, "events", f"{n}-0", f'{{"n": {n}}}')


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[RedisClient]:
    made = create_client(str(request.getfixturevalue(request.param)))
    yield made
    await made.aclose()


@pytest.fixture
def outbox(client: RedisClient) -> Outbox:
    return Outbox(client, Limits(queue=3, calls=2), "w1")


async def add(outbox: Outbox, n: int, call: str = "CA1", *, event: str | None = None) -> int:
    found = [("crm", message(n, call))]
    identity = f"{call} {n}-0" if event is None else event
    done = await outbox.enqueue(3, "events", identity, found)
    assert done.full in ([], found)
    return done.added


async def test_event_that_is_handled_again_adds_nothing(outbox: Outbox) -> None:
    assert await add(outbox, 1) == 1
    assert await add(outbox, 1) == 0
    assert await add(outbox, 1, event="") == 1  # a replay adds it again


async def test_messages_are_claimed_in_order_and_by_one_worker(outbox: Outbox) -> None:
    for n in (1, 2):
        await add(outbox, n)
    assert await outbox.due([3], {"crm": 5}) == [_CALL]
    assert await outbox.due([3], {"crm": 5, "other": 5}) == [_CALL]
    claims = await asyncio.gather(*(outbox.claim(_CALL, 60) for _ in range(8)))
    (claim,) = [each for each in claims if each]
    assert (claim.message, claim.attempt) == (message(1), 1)
    assert await outbox.due([3], {"crm": 5}) == []
    assert await outbox.finish(_CALL, claim.token, _DELIVERED) == Finished(True, 1)
    following = await outbox.claim(_CALL, 60)
    assert following
    assert (following.message, following.attempt) == (message(2), 1)
    await outbox.finish(_CALL, following.token, _DELIVERED)
    assert await outbox.claim(_CALL, 60) is None


async def test_claim_of_a_crashed_worker_expires_and_its_attempt_has_no_end(
    client: RedisClient, outbox: Outbox
) -> None:
    await add(outbox, 1)
    crashed = await outbox.claim(_CALL, 0.001)
    await asyncio.sleep(0.01)
    second = await outbox.claim(_CALL, 60)
    assert crashed
    assert second
    assert second.attempt == 2
    # It was only suspended: its end is recorded, but it does not remove the message.
    assert await outbox.finish(_CALL, crashed.token, _DELIVERED) == Finished(False, 0)
    late = End("retry", 7, None, "timeout", pause_s=60)
    assert await outbox.finish(_CALL, second.token, late) == Finished(True, 1)
    found = await attempts(client, 3, "crm")
    assert [(each.number, each.step, each.status, each.reason) for each in found] == [
        (1, "delivered", "200", ""),
        (2, "retry", "", "timeout"),
    ]
    assert await outbox.due([3], {"crm": 5}) == []
    assert (await outbox.waiting(range(4), ["crm"])) == {"crm": (1, 0)}
    assert await outbox.restart(3, "crm") == 1
    third = await outbox.claim(_CALL, 60)
    assert third
    assert (third.attempt, third.age_s) == (1, 0)


@pytest.mark.parametrize(("why", "is_kept"), [("budget", True), ("refused", False)])
async def test_message_behind_one_that_was_given_up_gets_one_attempt(
    client: RedisClient, outbox: Outbox, why: str, is_kept: bool
) -> None:
    """Each message had a budget of its own, so the last of n messages came after n times 6 h."""
    for n in (1, 2, 3):
        await add(outbox, n)
    claim = await outbox.claim(_CALL, 60)
    assert claim
    await client.hset("cs:{p03}:push:tries:crm", "CA1", f"20 1 {claim.token}")
    await outbox.finish(_CALL, claim.token, End("dead", 1, 500, "status", dead=why))
    second = await outbox.claim(_CALL, 60)
    assert second
    assert (second.message, second.attempt) == (message(2), 1)
    assert (second.age_s > Policy().budget_s) is is_kept
    await outbox.finish(_CALL, second.token, _DELIVERED)
    third = await outbox.claim(_CALL, 60)
    assert third
    assert third.age_s < Policy().budget_s


async def test_end_that_is_written_twice_counts_once(client: RedisClient, outbox: Outbox) -> None:
    """A reply is lost, and the command is repeated."""
    for n in (1, 2):
        await add(outbox, n)
    claim = await outbox.claim(_CALL, 60)
    assert claim
    assert (await outbox.finish(_CALL, claim.token, _DELIVERED)).is_mine
    assert not (await outbox.finish(_CALL, claim.token, _DELIVERED)).is_mine
    assert [each.step for each in await attempts(client, 3, "crm")] == ["delivered"]
    following = await outbox.claim(_CALL, 60)
    assert following
    assert following.message == message(2)


async def test_full_queues_become_dead_letters(client: RedisClient, outbox: Outbox) -> None:
    assert [await add(outbox, n) for n in range(1, 5)] == [1, 1, 1, 0]
    assert await add(outbox, 5, "CA2") == 1
    assert await add(outbox, 6, "CA3") == 0  # two calls wait already
    letters = [each async for each in dead_messages(client, 3, "crm")]
    assert [(each.message.id, each.reason) for each in letters] == [
        ("msg_4", "queue-full"),
        ("msg_6", "queue-full"),
    ]
    assert (await outbox.enqueue(3, "events", "CA3 7-0", [("crm", message(7, "CA3"))])).full == [
        ("crm", message(7, "CA3"))
    ]
    assert await add(outbox, 6, "CA3") == 0
    assert len([each async for each in dead_messages(client, 3, "crm")]) == 3  # once


async def test_every_key_expires(client: RedisClient, outbox: Outbox) -> None:
    for n in range(1, 5):
        await add(outbox, n)
    claim = await outbox.claim(_CALL, 60)
    assert claim
    await outbox.finish(_CALL, claim.token, End("dead", 1, 400, "status", dead="budget"))
    following = await outbox.claim(_CALL, 60)
    assert following
    names = [
        "due:crm",
        "tries:crm",
        "history:crm",
        "dead:crm",
        "queue:crm:CA1",
        "seen:events",
    ]
    for name in names:
        assert 0 < await client.ttl(f"cs:{{p03}}:push:{name}") <= 604_800, name


async def test_deleted_queue_is_skipped(client: RedisClient, outbox: Outbox) -> None:
    """A call that is erased leaves no queue; what refers to it is removed at the next look."""
    await add(outbox, 1)
    await outbox.discard(_CALL)
    assert await outbox.claim(_CALL, 60) is None
    assert await outbox.waiting(range(4), ["crm"]) == {"crm": (0, 0)}


async def test_nothing_of_an_erased_call_is_sent_or_kept(
    client: RedisClient, outbox: Outbox
) -> None:
    for call in ("CA1", "CA2"):
        await add(outbox, 1, call, event="")
    await client.hset("cs:{p03}:erased", "CA1", "{}")
    assert await outbox.claim(_CALL, 60) is None
    assert await add(outbox, 2, event="") == 0
    assert await add(outbox, 3) == 0
    assert not await client.exists("cs:{p03}:push:queue:crm:CA1", "cs:{p03}:push:seen:events")
    assert await outbox.due([3], {"crm": 5}) == [DueCall(3, "crm", "CA2")]
    assert await outbox.claim(DueCall(3, "crm", "CA2"), 60)


async def test_unavailable_redis_is_reported() -> None:
    client = create_client("redis://127.0.0.1:1")
    outbox = Outbox(client, Limits(), "w1")
    with pytest.raises(PublishError):
        await outbox.due([0, 1], {"crm": 1})
    with pytest.raises(PublishError):
        await outbox.claim(_CALL, 1)
    await client.aclose()


async def test_erasure_leaves_nothing_of_the_call_and_all_of_others(
    client: RedisClient, outbox: Outbox
) -> None:
    for n, call in ((1, "CA1"), (2, "CA2")):
        for again in range(4):  # the last one becomes a dead letter
            await add(outbox, n, call, event=f"{call} {again}")
        claim = await outbox.claim(_CALL._replace(call_id=call), 60)
        assert claim
        end = End("dead", 1, 500, "status", dead="budget")
        await outbox.finish(_CALL._replace(call_id=call), claim.token, end)
    calls = RedisCalls(client, _ERASED_PARTITIONS)
    # The queue, its members of `due` and `tries`, four of `seen`, dead letters, the attempt.
    assert await calls.erase(["CA1"]) == 1 + 2 + 4 + 2 + 2
    assert await calls.erase(["CA1"]) == 0
    assert await outbox.claim(_CALL, 60) is None
    assert {each.message.call_id async for each in dead_messages(client, 3, "crm")} == {"CA2"}
    assert {each.call_id for each in await attempts(client, 3, "crm")} == {"CA2"}
    assert await outbox.waiting(range(4), ["crm"]) == {"crm": (1, 2)}


def test_message_ids_are_deterministic_and_distinct() -> None:
    parts = ("CA1", "MZ1", 1, 2, "transcript.final")
    assert message_id("crm", *parts) == message_id("crm", *parts)
    others = [("crm", "CA1", "MZ1", 1, 21, "x"), ("crm", "CA1", "MZ1", 12, 1, "x"), ("b", *parts)]
    assert len({message_id(*each) for each in others} | {message_id("crm", *parts)}) == 4
