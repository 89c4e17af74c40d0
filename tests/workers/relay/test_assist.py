"""Alerts and wrap-ups on a real server: what viewers receive, and what they may not see."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from gateway.redis_client.client import RedisClient, create_client
from tests.redis_servers import free_port
from tests.waiting import eventually
from tests.workers.relay.a_relay import (
    Assistants,
    Calls,
    Message,
    Viewer,
    link_token,
    running,
    viewer,
)
from workers.relay.derived import Source
from workers.relay.sign_in.viewer import Role, Scope, Text

_FEED = "/api/calls/CA1/assist"


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def client(url: str) -> AsyncIterator[RedisClient]:
    made = create_client(url)
    yield made
    await made.aclose()


def names(messages: list[Message]) -> list[str]:
    return [each.data.get("alert") or each.data["wrapup"] for each in messages]


async def row_of(ann: Viewer, call: str) -> tuple[int, str | None]:
    row = (await ann.json(f"/api/calls/{call}"))["call"]
    return row["alerts"], row["severity"]


async def test_viewer_receives_history_then_new_ones_also_after_the_end(
    url: str, client: RedisClient
) -> None:
    calls, assistants = Calls(client), Assistants(client)
    await calls.start("CA1")
    await assistants.alert("CA1", "a1")
    async with running(url) as relay, viewer(relay) as ann, ann.open(_FEED) as feed:
        (first,) = await feed.take(1)
        assert (first.name, first.data["type"], first.data["segment"]) == ("", "assist.alert", 1)
        await assistants.alert("CA1", "a2", severity="critical")
        await assistants.alert("CA2", "of another call")
        await assistants.alert("CA1", "a2", state="withdrawn")
        await calls.end("CA1")
        await assistants.wrapup("CA1", "w1", "She wants a refund.")
        rest = await feed.take(3)
        assert names(rest) == ["a2", "a2", "w1"]
        assert rest[1].data["state"] == "withdrawn"
        (sentence,) = rest[2].data["summary"]
        assert sentence["text"] == "She wants a refund."
        assert sentence["citations"][0]["segment"] == 1
        assert names(await again(ann, 4)) == ["a1", "a2", "a2", "w1"]
        assert relay.metric("viewers", feed="assist") >= 1


async def again(ann: Viewer, count: int, after: str = "") -> list[Message]:
    async with ann.open(_FEED, after) as feed:
        return await feed.take(count)


async def test_viewer_resumes_at_every_message_also_at_a_restarted_relay(
    redis_url: str,
) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls, assistants, port = Calls(client), Assistants(client), free_port()
        await calls.start("CA1")
        for number in range(3):
            await assistants.alert("CA1", f"a{number}")
            await assistants.wrapup("CA1", f"w{number}", "x")
            await assistants.wrapup("CA1", f"r{number}", "x", made_from="raw")
        async with running(redis_url, port=port) as relay, viewer(relay) as ann:
            everything = await again(ann, 9)
            assert sorted(names(everything)) == sorted(
                f"{kind}{number}" for kind in "awr" for number in range(3)
            )
        async with running(redis_url, port=port) as relay, viewer(relay) as ann:
            for position, message in enumerate(everything[:-1]):
                rest = await again(ann, 8 - position, message.id)
                assert rest == everything[position + 1 :]
            async with ann.http.ws_connect(f"{_FEED}?after={everything[7].id}") as socket:
                found = await socket.receive_json()
                assert found == {"id": everything[8].id, "data": everything[8].data}
            async with ann.open(_FEED, everything[-1].id) as feed:
                await assistants.alert("CA1", "new")
                assert names(await feed.take(1)) == ["new"]


async def test_viewer_who_does_not_read_continues_from_redis(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.subscription._MAX_BYTES", 20_000)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls, assistants = Calls(client), Assistants(client)
        await calls.start("CA1")
        async with running(redis_url) as relay, viewer(relay) as ann, ann.open(_FEED) as feed:
            await assistants.alert("CA1", "a0")
            await feed.take(1)
            assert feed.response.connection
            transport = feed.response.connection.transport
            assert transport is not None
            transport.pause_reading()
            for number in range(1, 120):
                await assistants.alert("CA1", f"a{number}", title="x" * 20_000)
            transport.resume_reading()
            assert names(await feed.take(119)) == [f"a{number}" for number in range(1, 120)]
            assert relay.metric("catch_ups_total") >= 1


async def test_viewer_of_redacted_text_gets_no_wrapup_of_raw_text(redis_url: str) -> None:
    token = link_token(text=Text.REDACTED)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        assistants = Assistants(client)
        for calls in (Calls(client), Calls(client, "redacted")):
            await calls.start("CA1")
        await _write_raw(assistants)
        await assistants.wrapup("CA1", "w1", "[card]")
        async with running(redis_url, text="both") as relay:
            async with viewer(relay) as bob:
                assert names(await again(bob, 2)) == ["w1", "raw"]
            async with viewer(relay, token) as ann, ann.open(_FEED) as feed:
                assert names(await feed.take(1)) == ["w1"]
                await _write_raw(assistants)
                last_id = await assistants.wrapup("CA1", "w2", "[card]")
                assert names(await feed.take(1)) == ["w2"]
                async with ann.open(_FEED, f"0_{last_id}_0") as forged:
                    await _write_raw(assistants)
                    await assistants.wrapup("CA1", "w3", "[card]")
                    assert names(await forged.take(1)) == ["w3"]
                assert names(await feed.take(1)) == ["w3"]
        async with running(redis_url, text="redacted") as relay, viewer(relay) as bob:
            assert names(await again(bob, 3)) == ["w1", "w2", "w3"]
        async with running(redis_url, text="raw") as relay, viewer(relay, token) as ann:
            assert await ann.status(_FEED) == 403


async def _write_raw(assistants: Assistants) -> None:
    """Write raw text where it belongs, and where it does not."""
    await assistants.wrapup("CA1", "raw", "4111", made_from="raw")
    await assistants.add("CA1", "assist.wrapup", "redacted-wrapups", **_raw("misplaced"))
    await assistants.add("CA1", "transcript.final", "alerts", **_words())


def _raw(name: str) -> dict[str, str]:
    sentences = '[{"text":"4111","citations":[]}]'
    made = {"wrapup": name, "made_from": "raw", "trigger": "ended", "model": "m"}
    return {**made, "summary": sentences, "follow_ups": "[]"}


def _words() -> dict[str, Any]:
    where = {"track": "inbound", "segment": 1, "rev": 0, "start_ms": 0, "end_ms": 80}
    return {**where, "text": "4111"}


async def test_relay_of_redacted_text_reads_no_key_of_raw_text(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls, assistants = Calls(client, "redacted"), Assistants(client)
        await calls.start("CA1")
        with redis.Redis.from_url(redis_url) as admin, admin.monitor() as monitor:
            async with (
                running(redis_url, text="redacted") as relay,
                viewer(relay) as ann,
                ann.open(_FEED) as feed,
            ):
                await assistants.alert("CA1", "a1")
                await feed.take(1)
                assert await row_of(ann, "CA1") == (1, "warning")
            admin.ping()
            seen = await asyncio.to_thread(_until_ping, monitor)
    reads = [each for each in seen if each.startswith(("XREAD", "XRANGE", "XREVRANGE"))]
    keys = {word for each in reads for word in each.split() if word.startswith("cs:")}
    suffixes = {key.rpartition(":")[2] for key in keys}
    assert suffixes == {"redacted", "audit", Source.ALERTS, Source.REDACTED_WRAPUPS}


def _until_ping(monitor: Any) -> list[str]:
    seen = []
    for each in monitor.listen():
        seen.append(each["command"])
        if each["command"] == "PING":
            return seen
    return seen


async def test_calls_outside_of_the_scope_have_no_alerts(url: str, client: RedisClient) -> None:
    calls, assistants = Calls(client), Assistants(client)
    route_a = Scope(call_id=None, route="a", tenant=None)
    await calls.start("CA2", route="b")
    await assistants.alert("CA2", "secret")
    async with running(url) as relay, viewer(relay, link_token(route_a)) as ann:
        assert await ann.status("/api/calls/CA2/assist") == 404
        assert await ann.status("/api/calls/CA2/assist?after=1-0_1-0_1-0") == 404
        async with (
            ann.open("/api/calls/CA9/assist") as feed,  # neither has begun
            ann.open(_FEED) as own,
        ):
            for call, route in (("CA9", "b"), ("CA1", "a")):
                await assistants.alert(call, f"first of {call}")  # before its call is known
                await calls.start(call, route=route)
            assert await feed.take(1) == []
            assert names(await own.take(1)) == ["first of CA1"]
        async with ann.open("/api/calls/live") as listed:
            (first,) = await listed.take(1)
            assert [each["call_id"] for each in first.data["calls"]] == ["CA1"]


async def test_list_has_the_open_alerts_of_each_call(url: str, client: RedisClient) -> None:
    calls, assistants = Calls(client), Assistants(client)
    await calls.start("CA1")
    await calls.say("CA1", "x")
    await assistants.alert("CA1", "a1", severity="critical")
    await assistants.alert("CA1", "a2")
    async with (
        running(url) as relay,
        viewer(relay) as ann,
        ann.open("/api/calls/live") as feed,
    ):

        async def shows(call: str, count: int, severity: str | None) -> None:
            while True:
                (message,) = await feed.take(1)
                for row in message.data.get("calls", [message.data]):
                    if (row["call_id"], row["alerts"]) == (call, count):
                        assert row["severity"] == severity
                        return

        await shows("CA1", 2, "critical")  # from before the relay started
        await assistants.alert("CA1", "a1", state="withdrawn")
        await shows("CA1", 1, "warning")
        await calls.start("CA2")
        await assistants.alert("CA2", "a1", severity="info")
        await shows("CA2", 1, "info")
        await calls.end("CA1")
        await assistants.alert("CA1", "a2", state="withdrawn")
        await shows("CA1", 0, None)
        assert [each["alerts"] for each in await ann.search("x")] == [0]


async def test_alert_that_comes_before_the_redacted_call_is_listed(redis_url: str) -> None:
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        running(redis_url, text="redacted") as relay,
        viewer(relay) as ann,
        ann.open(_FEED),  # the relay reads alerts now
    ):
        await Assistants(client).alert("CA1", "a1")
        await eventually(lambda: relay.metric("events_total", text="derived") == 1)
        await Calls(client, "redacted").start("CA1")
        assert await row_of(ann, "CA1") == (1, "warning")


_COMMANDS = (
    "+time +get +set +exists +hexists +zrange +xread +xrange +xrevrange +xadd +eval +ping +select"
    " +client"
)
_KEYS = (
    "%R~cs:{p*}:call:CA1 %R~cs:{p*}:events %R~cs:{p*}:live %R~cs:{p*}:erased %RW~cs:relay:*"
    " %RW~cs:audit"
)
_OF_ALERTS = "%R~cs:{p*}:alerts %R~cs:{p*}:wrapups %R~cs:{p*}:redacted-wrapups %R~cs:{p*}:call:*"


@contextlib.asynccontextmanager
async def redis_user(client: Any, keys: str) -> AsyncIterator[None]:
    """Create the user `relay` with some permissions."""
    await permit(client, keys)
    try:
        yield
    finally:
        await client.execute_command("ACL", "DELUSER", "relay")


async def permit(client: Any, keys: str) -> None:
    rules = f"reset on nopass -@all {keys} {_COMMANDS}".split()
    await client.execute_command("ACL", "SETUSER", "relay", *rules)


async def test_transcripts_continue_when_redis_refuses_the_alerts(
    redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom to prevent: an upgraded relay with the former Redis user shows nothing at all."""
    monkeypatch.setattr("workers.relay.api._READY_TIMEOUT_S", 0.2)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)
        await calls.start("CA1")
        await Assistants(client).alert("CA1", "a1")
        async with (
            redis_user(client, _KEYS),
            running(redis_url.replace("://", "://relay:x@")) as relay,
            viewer(relay) as ann,
            ann.open("/api/calls/CA1/events") as feed,
        ):
            await feed.take(1)
            await calls.say("CA1", "hello")
            assert (await feed.take(1))[0].data["text"] == "hello"
            assert await row_of(ann, "CA1") == (0, None)
            assert await ann.status(_FEED) == 503
    assert _unavailable(caplog) == ["assist-unavailable"]


async def test_nothing_is_lost_while_redis_refuses_the_alerts(
    redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.tail._RETRY_S", 0.02)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        assistants = Assistants(client)
        await Calls(client).start("CA1")
        async with (
            redis_user(client, f"{_KEYS} {_OF_ALERTS}"),
            running(redis_url.replace("://", "://relay:x@")) as relay,
            viewer(relay) as ann,
            ann.open(_FEED) as feed,
        ):
            await assistants.alert("CA1", "a1")
            assert names(await feed.take(1)) == ["a1"]
            await permit(client, _KEYS)
            await assistants.alert("CA1", "a2")
            await eventually(lambda: _unavailable(caplog) == ["assist-unavailable"])
            await permit(client, f"{_KEYS} {_OF_ALERTS}")
            await assistants.alert("CA1", "a3")
            assert names(await feed.take(2)) == ["a2", "a3"]
            assert await row_of(ann, "CA1") == (3, "warning")
    assert _unavailable(caplog) == ["assist-unavailable", "assist-back"]


def _unavailable(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [each.getMessage() for each in caplog.records if each.name == "workers.relay"]
    return [line for line in lines if line.startswith("assist")]


@pytest.mark.parametrize("after", ["x", "1-0", "1-0_1-0", "1-0_1-0_x", "1_2_3_4", "9" * 99])
async def test_bad_place_gets_a_clear_error(redis_url: str, after: str) -> None:
    async with (
        running(redis_url) as relay,
        viewer(relay) as ann,
        ann.http.get(f"{_FEED}?after={after}") as response,
    ):
        assert response.status == 400
        assert "this feed" in (await response.json())["error"]


async def test_who_may_read_transcripts_may_read_alerts(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        await Calls(client).start("CA1")
        await Assistants(client).alert("CA1", "a1")
        async with running(redis_url) as relay:
            for role in Role:
                async with viewer(relay, link_token(role=role)) as ann:
                    assert names(await again(ann, 1)) == ["a1"]
            async with viewer(relay) as ann:
                ann.http.cookie_jar.clear()
                assert await ann.status(_FEED) == 401


async def test_reading_is_audited_and_content_is_not_logged(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        await Calls(client).start("CA1")
        await Assistants(client).wrapup("CA1", "w1", "canary", model="canary")
        await Assistants(client).add("CA1", "assist.wrapup", "wrapups", summary="canary [")
        async with running(redis_url) as relay, viewer(relay) as ann:
            assert names(await again(ann, 1)) == ["w1"]
    lines = [each.getMessage() for each in caplog.records if each.name == "workers.audit"]
    (opened,) = [line for line in lines if line.startswith("assist-opened")]
    assert "who=ann" in opened
    assert "call_id=CA1" in opened
    assert "canary" not in caplog.text
