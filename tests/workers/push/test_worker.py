"""The worker `push` on real servers, with receivers that accept, fail, hang and redirect."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_of
from tests.waiting import eventually
from tests.workers.client.stories import fields
from tests.workers.push.pushing import (
    OTHER_SECRET,
    PARTITIONS,
    SECRET,
    alert,
    dead,
    ended,
    final,
    running,
    settled,
    started,
    wrapup,
    write,
    write_file,
)
from tests.workers.push.receiver import accept, first, hang, raw_server, receiving, status
from workers.push.endpoints import EndpointStates
from workers.push.outbox import Claim, DueCall, Limits, Outbox

_PARTITION = partition_of("CA1", PARTITIONS)
_ALL = ["transcript.final", "transcript.gap", "call.ended", "assist.alert", "assist.wrapup"]


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.push.delivery.PAUSES_S", (0.01,))
    monkeypatch.setattr("workers.push.dispatcher._SCAN_S", 0.05)
    monkeypatch.setattr("workers.push.dispatcher._STATES_S", 0.05)
    monkeypatch.setattr("workers.push.dispatcher._MEASURE_S", 0.05)
    monkeypatch.setattr("workers.push.dispatcher._STOP_S", 0.2)


async def test_call_arrives_in_order_and_signed(url: str, tmp_path: Path) -> None:
    async with receiving() as receiver:
        own = {"url": receiver.url, "types": _ALL, "secrets": ["file:secret", "file:other"]}
        path = write_file(tmp_path, {"crm": own})
        async with running(url, path) as client:
            await write(client, started("CA1"))
            delta: Any = {"track": "inbound", "segment": 1, "rev": 0, "start_ms": 0, "end_ms": 80}
            await write(client, fields("transcript.delta", 2, text="he", **delta))
            await write(client, final("CA1", 3, text="héllo"))
            gap: Any = {"track": "inbound", "from_ms": 0, "to_ms": 9, "cause": "reconnect"}
            await write(client, fields("transcript.gap", 4, **gap))
            await eventually(lambda: len(receiver.requests) == 2)
            await write(client, alert("CA1", 3), "alerts")
            await eventually(lambda: len(receiver.requests) == 3)
            await write(client, ended("CA1", 5))
            await eventually(lambda: len(receiver.requests) == 4)
            await write(client, wrapup("CA1", 5), "redacted-wrapups")
            await write(client, wrapup("CA1", 5, "raw", wrapup="w2"), "wrapups")
            await eventually(lambda: len(receiver.requests) == 6)
            tried = await settled(client, "crm", 6)
    assert receiver.types[:4] == [
        "transcript.final",
        "transcript.gap",
        "assist.alert",
        "call.ended",
    ]
    assert receiver.types[4:] == ["assist.wrapup"] * 2
    body = receiver.requests[0].message
    assert body["data"]["text"] == "héllo"
    assert (body["subscription"], body["text"], body["route"]) == ("crm", "raw", "sales")
    assert receiver.requests[3].message["data"]["streams"] == [
        {"stream_id": "MZ1", "status": "completed", "reason": "stopped", "duration_ms": 1000,
         "route": "sales"}
    ]  # fmt: skip
    for each in receiver.requests:
        for secret in (SECRET, OTHER_SECRET):
            Webhook(secret).verify(each.body, dict(each.headers))
    seen = [(each.id, each.attempt, "204") for each in receiver.requests]
    assert [(each.message, each.number, each.status) for each in tried] == seen
    assert len({each.id for each in receiver.requests}) == 6


async def test_failed_message_delays_only_its_own_call(redis_url: str, tmp_path: Path) -> None:
    failing = True

    async def respond(request: Any) -> Any:
        return await (status(500) if failing and request.call == "CA1" else accept)(request)

    async with receiving(respond) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path) as client:
            for call in ("CA1", "CA2"):
                for n in (2, 3):
                    await write(client, final(call, n))
            await eventually(lambda: len(receiver.of("CA2")) == 2)
            await eventually(lambda: len(receiver.of("CA1")) >= 3)
            assert {each.message["data"]["n"] for each in receiver.of("CA1")} == {2}
            failing = False
            await eventually(lambda: receiver.requests[-1].message["data"]["n"] == 3)
            tried = [each for each in await settled(client, "crm", 5) if each.call_id == "CA1"]
    numbers = [each.message["data"]["n"] for each in receiver.of("CA1")]
    assert numbers == sorted(numbers)
    attempts = [each.attempt for each in receiver.of("CA1")]
    assert attempts == [*range(1, len(attempts)), 1]
    steps = [each.step for each in tried]
    assert steps == ["retry"] * (len(steps) - 2) + ["delivered"] * 2


async def test_hanging_receiver_does_not_stop_other_subscriptions(
    redis_url: str, tmp_path: Path
) -> None:
    async with receiving(hang) as hanging, receiving() as healthy:
        path = write_file(tmp_path, {"bad": {"url": hanging.url}, "good": {"url": healthy.url}})
        async with running(redis_url, path, concurrency=2, timeout_s=60) as client:
            for number in range(12):
                await write(client, final(f"CA{number}", 2))
            await eventually(lambda: len(healthy.requests) == 12)
            assert len(hanging.requests) == 2  # no more than may be in flight
            await eventually(lambda: len(hanging.requests) == 2)
            hanging.respond = accept


async def test_late_response_counts_as_failed_and_is_repeated_with_the_same_id(
    redis_url: str, tmp_path: Path
) -> None:
    async with receiving(first(1, hang)) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path, timeout_s=0.2) as client:
            await write(client, final("CA1", 2))
            tried = await settled(client, "crm", 2)
    assert receiver.requests[0].id == receiver.requests[1].id
    assert [(each.step, each.reason, each.status) for each in tried] == [
        ("retry", "timeout", ""),
        ("delivered", "", "204"),
    ]


async def test_accepted_message_is_delivered_although_the_response_does_not_end(
    redis_url: str, tmp_path: Path
) -> None:
    """The attempt counted as timed out, and the message was sent again."""
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", keep_open=True) as url:
        path = write_file(tmp_path, {"crm": {"url": url}})
        async with running(redis_url, path, timeout_s=0.2) as client:
            await write(client, final("CA1", 2))
            (tried,) = await settled(client, "crm", 1)
    assert (tried.step, tried.status) == ("delivered", "200")


async def test_new_subscription_gets_no_events_from_before(redis_url: str, tmp_path: Path) -> None:
    """It got up to a day of old calls where the group's position was old."""
    async with receiving() as receiver, contextlib.aclosing(create_client(redis_url)) as client:
        types = ["transcript.final", "assist.alert"]
        path = write_file(tmp_path, {"new": {"url": receiver.url, "types": types}})
        for group in ("push-events", "push-alerts"):
            lease: Any = {"owner": "", "position": "0"}
            await client.hset(f"cs:{{p{_PARTITION:02d}}}:consumer:{group}", mapping=lease)
        for n, at_ms in ((2, 1_795_000_000_000), (3, None)):
            for source, event in (("events", final("CA1", n)), ("alerts", alert("CA1", n))):
                key = f"cs:{{p{_PARTITION:02d}}}:{source}"
                await client.xadd(key, event, id="*" if at_ms is None else f"{at_ms}-0")  # type: ignore[arg-type]
        async with running(redis_url, path):
            await settled(client, "new", 2)
        assert {each.message["data"]["n"] for each in receiver.requests} == {3}
        # A subscription that has delivered before Callscribe noted the time gets them all.
        await client.hdel("cs:push:endpoint:new", "since")
        assert await EndpointStates(client, ["new"]).since() == {"new": 0}


async def test_redirect_is_not_followed(redis_url: str, tmp_path: Path) -> None:
    async with receiving() as other, receiving() as receiver:
        receiver.respond = first(1, status(307, Location=other.url))
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path) as client:
            await write(client, final("CA1", 2))
            await eventually(lambda: len(receiver.requests) == 2)
            tried = await settled(client, "crm", 2)
    assert other.requests == []
    assert (tried[0].reason, tried[0].status) == ("redirect", "307")


async def test_message_becomes_a_dead_letter_after_the_budget_and_the_next_one_is_sent(
    redis_url: str, tmp_path: Path
) -> None:
    async def respond(request: Any) -> Any:
        return await (status(500) if request.message["data"]["n"] == 2 else accept)(request)

    async with receiving(respond) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path, budget_s=0.05) as client:
            await write(client, final("CA1", 2, text="first"))
            await write(client, final("CA1", 3))
            await eventually(lambda: 204 in receiver.statuses.values())
            tried = await settled(client, "crm", 2)
            letters = await dead(client, "crm")
    assert [(each.reason, each.status) for each in letters] == [("budget", "500")]
    assert '"first"' in letters[0].message.body
    assert "first" not in repr(letters[0])
    assert [each.step for each in tried][-2:] == ["dead", "delivered"]
    assert letters[0].attempts == len(tried) - 1


async def test_message_for_a_full_queue_is_reported(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("workers.push.assembly.limits", lambda _: Limits(queue=1))
    registry = CollectorRegistry()

    def count(name: str, **labels: str) -> float | None:
        labels |= {"subscription": "crm"}
        return registry.get_sample_value(f"callscribe_push_{name}_total", labels)

    async with receiving(hang) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path, registry=registry) as client:
            for n in (2, 3):
                await write(client, final("CA1", n, text="canary"))
            await eventually(lambda: count("attempts", step="dead") == 1)
            (letter,) = await dead(client, "crm")
    assert (letter.reason, letter.attempts) == ("queue-full", 0)
    assert count("failures", reason="queue-full") == 1
    assert f"push-dead subscription=crm partition={_PARTITION} message={letter.message.id} " in (
        caplog.text
    )
    assert "canary" not in caplog.text


async def test_attempt_that_begins_too_late_is_not_made_and_has_an_end(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was suspended left an attempt that looked unfinished, and a delay of 11 s."""
    clock = Clock()
    claim = Outbox.claim

    async def suspended(self: Outbox, call: DueCall, lifetime_s: float) -> Claim | None:
        found = await claim(self, call, lifetime_s)
        clock.ahead_s = 10.0  # the first time
        return found

    monkeypatch.setattr("workers.push.dispatcher.time", clock)
    monkeypatch.setattr(Outbox, "claim", suspended)
    async with receiving() as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path) as client:
            await write(client, final("CA1", 2))
            late, made = await settled(client, "crm", 2)
            state = await client.hgetall("cs:push:endpoint:crm")
    assert (late.step, late.reason) == ("retry", "not-sent")
    assert (made.step, made.number) == ("delivered", 2)
    assert made.begun_ms - late.begun_ms < 5000
    assert [each.attempt for each in receiver.requests] == [2]
    assert b"failing_since" not in state


class Clock:
    """The module `time`, some seconds ahead."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def time(self) -> float:
        return time.time()


async def test_retry_after_is_respected(redis_url: str, tmp_path: Path) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=1800), usegmt=True)
    async with (
        receiving(status(503, Retry_After="1800")) as one,
        receiving(status(429, Retry_After=later)) as two,
    ):
        path = write_file(tmp_path, {"one": {"url": one.url}, "two": {"url": two.url}})
        async with running(redis_url, path) as client:
            await write(client, final("CA1", 2))
            for name in ("one", "two"):
                (tried,) = await settled(client, name, 1)
                assert (tried.step, tried.reason) == ("retry", "status")
                due_ms = await client.zscore(f"cs:{{p{_PARTITION:02d}}}:push:due:{name}", "CA1")
                assert due_ms is not None
                assert 1700e3 < due_ms - tried.begun_ms < 1900e3


async def test_endpoint_that_is_gone_is_disabled_at_once_and_continues_when_enabled(
    redis_url: str, tmp_path: Path
) -> None:
    first_registry, registry = CollectorRegistry(), CollectorRegistry()
    labels = {"subscription": "crm"}

    def is_disabled() -> bool:
        return first_registry.get_sample_value("callscribe_push_disabled", labels) == 1

    def waiting() -> float | None:
        return registry.get_sample_value("callscribe_push_waiting_calls", labels)

    async with receiving(status(410)) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path, registry=first_registry) as client:
            await write(client, final("CA1", 2))
            await eventually(is_disabled)
            await write(client, final("CA1", 3))
        receiver.respond = accept
        async with running(redis_url, path, registry=registry) as client:  # after a restart, too
            await eventually(lambda: waiting() == 1)
            assert len(receiver.requests) == 1
            await client.hdel("cs:push:endpoint:crm", "disabled", "why")
            await eventually(lambda: len(receiver.requests) == 3)
            tried = await settled(client, "crm", 3)
    assert [each.step for each in tried] == ["gone", "delivered", "delivered"]
    assert [each.message["data"]["n"] for each in receiver.requests] == [2, 2, 3]


async def test_endpoint_that_fails_for_too_long_is_disabled(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving(status(500)) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path, disable_after_s=0.05) as client:
            await write(client, final("CA1", 2))
            await eventually(lambda: "push-disabled subscription=crm why=failing" in caplog.text)
            assert await client.hget("cs:push:endpoint:crm", "why") == b"failing"


@pytest.mark.parametrize(
    ("own", "calls"),
    [
        ({"tenants": ["acme"]}, ["CA1"]),
        ({"routes": ["sales"]}, ["CA1", "CA2"]),
        ({"routes": ["sales"], "tenants": ["acme"]}, ["CA1"]),
        ({"routes": ["none"]}, []),
    ],
)
async def test_subscription_gets_its_routes_and_tenants_only(
    redis_url: str, tmp_path: Path, own: dict[str, Any], calls: list[str]
) -> None:
    types = ["transcript.final", "assist.alert", "stream.ended"]
    async with receiving() as receiver, receiving() as everything:
        path = write_file(
            tmp_path,
            {
                "some": {"url": receiver.url, "types": types, **own},
                "all": {"url": everything.url, "types": types},
            },
        )
        async with running(redis_url, path) as client:
            for call, route, tenant in (
                ("CA1", "sales", "acme"),
                ("CA2", "sales", "default"),
                ("CA3", "support", "default"),
            ):
                await write(client, started(call, route=route, tenant=tenant))
                own_alert = alert(call, 1, tenant=tenant, route=route)
                await write(client, own_alert, "alerts")
                await write(client, final(call, 2, tenant=tenant))
                await write(client, ended(call, 3, tenant=tenant))
            await eventually(lambda: len(everything.requests) == 9)
            await eventually(lambda: len(receiver.requests) == 3 * len(calls))
    assert {each.call for each in receiver.requests} == set(calls)


async def test_subscription_to_redacted_text_reads_no_raw_key(
    redis_url: str, tmp_path: Path
) -> None:
    async with receiving() as receiver, contextlib.aclosing(create_client(redis_url)) as admin:
        path = write_file(
            tmp_path, {"crm": {"url": receiver.url, "text": "redacted", "types": _ALL,
                               "routes": ["sales"]}}
        )  # fmt: skip
        keys = ("~cs:{p*}:redacted", "~cs:{p*}:alerts", "~cs:{p*}:redacted-wrapups",
                "~cs:{p*}:call:*:redacted", "~cs:{p*}:push:*", "~cs:push:*",
                "~cs:{p*}:consumer:push-*", "~cs:{p*}:retry:push-*", "~cs:{p*}:dead:push-*",
                "~cs:consumers:push-*", "%R~cs:{p*}:erased")  # fmt: skip
        await admin.execute_command("ACL", "SETUSER", "push", "on", ">pw", "+@all", *keys)
        try:
            limited = redis_url.replace("redis://", "redis://push:pw@")
            async with running(limited, path):
                await write(admin, started("CA1"))
                await write(admin, final("CA1", 2, text="4111"))
                await write(admin, started("CA1"), "redacted")
                await write(admin, alert("CA1", 2, route="sales"), "alerts")
                await write(admin, final("CA1", 2, text="[card]"), "redacted")
                await write(admin, wrapup("CA1", 2, "raw", route="sales"), "wrapups")
                of_redacted = wrapup("CA1", 2, wrapup="w2", route="sales")
                await write(admin, of_redacted, "redacted-wrapups")
                await write(admin, ended("CA1", 3), "redacted")
                await eventually(lambda: len(receiver.requests) == 4)
        finally:
            await admin.execute_command("ACL", "DELUSER", "push")
    assert "4111" not in "".join(each.body for each in receiver.requests)
    assert {each.message["text"] for each in receiver.requests} == {"redacted"}
    wrapups = [each for each in receiver.requests if each.message["type"] == "assist.wrapup"]
    assert [each.message["data"]["made_from"] for each in wrapups] == ["redacted"]


async def test_two_workers_never_try_a_call_at_the_same_time(
    redis_url: str, tmp_path: Path
) -> None:
    open_calls: set[str] = set()
    overlaps: list[str] = []

    async def respond(request: Any) -> Any:
        if request.call in open_calls:
            overlaps.append(request.call)
        open_calls.add(request.call)
        await asyncio.sleep(0.01)
        open_calls.discard(request.call)
        return await first(1, status(500))(request)

    async with receiving(respond) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        async with running(redis_url, path, "w1") as client, running(redis_url, path, "w2"):
            async with asyncio.timeout(20):
                while sorted(await owners(client)) != [b"w1", b"w1", b"w2", b"w2"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            for n in (2, 3, 4):
                for number in range(6):
                    await write(client, final(f"CA{number}", n))
            await eventually(lambda: len(receiver.requests) == 2 * 18)
            tried = await settled(client, "crm", 36)
    assert overlaps == []
    assert {each.worker for each in tried} == {"w1", "w2"}
    for number in range(6):
        numbers = [each.message["data"]["n"] for each in receiver.of(f"CA{number}")]
        assert numbers == [2, 2, 3, 3, 4, 4]


async def owners(client: RedisClient) -> list[Any]:
    keys = [f"cs:{{p{partition:02d}}}:consumer:push-events" for partition in range(PARTITIONS)]
    return [await client.hget(key, "owner") or b"" for key in keys]
