"""The relay on real servers: what viewers receive, and what they may not see."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMsgType

from gateway.redis_client.client import RedisClient, create_client
from tests.redis_servers import free_port
from tests.waiting import eventually
from tests.workers.relay.a_relay import (
    PATIENCE_S,
    Calls,
    Message,
    link_token,
    running,
    viewer,
)
from workers.relay import streaming
from workers.relay.sign_in.cross_site import HEADER
from workers.relay.sign_in.viewer import Role, Scope, Text


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def client(url: str) -> AsyncIterator[RedisClient]:
    made = create_client(url)
    yield made
    await made.aclose()


def texts(messages: list[Message]) -> list[str]:
    return [each.data["text"] for each in messages if "text" in each.data]


def route(name: str) -> Scope:
    return Scope(call_id=None, route=name, tenant=None)


async def test_viewer_receives_history_then_new_events_then_the_end(
    url: str, client: RedisClient
) -> None:
    calls = Calls(client)
    await calls.start("CA1")
    await calls.say("CA1", "one")
    async with (
        running(url) as relay,
        viewer(relay) as ann,
        ann.open("/api/calls/CA1/events") as feed,
    ):
        assert [each.data["n"] for each in await feed.take(2)] == [1, 2]
        await calls.say("CA1", " two")
        final_id = await calls.close("CA1", "one two")
        await calls.end("CA1")
        rest = await feed.take(4)
        assert [each.data.get("n") for each in rest] == [3, 4, 5, None]
        assert (rest[1].id, rest[1].data["id"]) == (final_id, final_id)
        assert (rest[3].name, rest[3].data) == ("end", {"events": 5, "missing": 0})
        assert await feed.take(1) == []


async def test_call_that_has_not_begun_is_awaited(url: str, client: RedisClient) -> None:
    calls = Calls(client)
    async with running(url) as relay, viewer(relay) as ann:
        async with ann.open("/api/calls/CA2/events") as feed:
            await asyncio.sleep(0.1)
            await calls.start("CA2")
            assert [each.data["type"] for each in await feed.take(1)] == ["stream.started"]
        assert await ann.status("/api/calls/CA3") == 404


async def test_viewer_resumes_without_loss_or_repetition_at_every_event(
    url: str, client: RedisClient
) -> None:
    calls = Calls(client)
    await calls.start("CA1")
    for number in range(20):
        await calls.say("CA1", f" w{number}")
    await calls.end("CA1")
    async with running(url) as relay, viewer(relay) as ann:
        everything = await ann.read("/api/calls/CA1/events")
        ids = [each.id for each in everything[:-1]]
        assert len(ids) == 22
        for position, entry_id in enumerate(ids):
            rest = await ann.read("/api/calls/CA1/events", after=entry_id)
            assert rest == everything[position + 1 :]
        assert await ann.read(f"/api/calls/CA1/events?after={ids[4]}") == everything[5:]


async def test_ended_call_is_opened_by_many_viewers_at_once(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)
        await calls.start("CA1")
        await calls.end("CA1")  # days ago, by its events, so it is not in the list
        async with running(redis_url) as relay, viewer(relay) as ann:
            feeds = await asyncio.gather(*(ann.read("/api/calls/CA1/events") for _ in range(20)))
        assert all([each.name for each in feed] == ["", "", "end"] for feed in feeds)


async def test_relay_that_is_restarted_in_mid_call_loses_and_repeats_nothing(
    url: str, client: RedisClient
) -> None:
    calls, port = Calls(client), free_port()
    await calls.start("CA1")
    done = asyncio.Event()

    async def talk() -> None:
        for number in range(150):
            await calls.say("CA1", f" w{number}")
            await asyncio.sleep(0.01)
        await calls.end("CA1")
        done.set()

    talking = asyncio.create_task(talk())
    received: list[Message] = []
    while not received or received[-1].name != "end":
        async with running(url, port=port) as relay, viewer(relay) as ann:
            after = received[-1].id if received else ""
            async with ann.open("/api/calls/CA1/events", after) as feed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_S if done.is_set() else 0.4):
                        async for message in feed.messages():
                            received.append(message)  # noqa: PERF401 - kept when time is up
    await talking
    assert [each.data.get("n") for each in received] == [*range(1, 153), None]
    assert received[-1].data == {"events": 152, "missing": 0}


async def test_hole_in_the_numbering_is_declared(url: str, client: RedisClient) -> None:
    calls = Calls(client)
    await calls.start("CA1")
    async with (
        running(url) as relay,
        viewer(relay) as ann,
        ann.open("/api/calls/CA1/events") as feed,
    ):
        await feed.take(1)
        await calls.say("CA1", "late", n=5)
        await calls.end("CA1")
        found = await feed.take(4)
        assert [each.name for each in found] == ["hole", "", "", "end"]
        assert (found[0].data["first"], found[0].data["last"]) == (2, 4)
        assert found[3].data == {"events": 3, "missing": 3}


async def test_viewer_of_all_calls_resumes_exactly(url: str, client: RedisClient) -> None:
    calls = Calls(client)
    names = [f"CA{number}" for number in range(12)]
    async with running(url) as relay, viewer(relay) as ann:
        async with ann.open("/api/events") as feed:
            await asyncio.sleep(0.1)
            for name in names:
                await calls.start(name)
            for number in range(5):
                for name in names:
                    await calls.say(name, f" {number}")
            received = await feed.take(72)
        assert [each.id for each in received] == sorted(
            (each.id for each in received), key=lambda each: tuple(map(int, each.split("-")))
        )
        for position in (0, 7, 33, 70):
            async with ann.open("/api/events", received[position].id) as feed:
                assert await feed.take(71 - position) == received[position + 1 :]
        async with ann.open("/api/events", received[70].id) as feed:
            await feed.take(1)
            await calls.say("CA1", " live")
            assert texts(await feed.take(1)) == [" live"]


async def test_viewer_who_does_not_read_costs_bounded_memory_and_continues(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.subscription._MAX_BYTES", 20_000)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)
        await calls.start("CA1")
        async with (
            running(redis_url) as relay,
            viewer(relay) as ann,
            viewer(relay) as bob,
            ann.open("/api/calls/CA1/events") as slow,
            bob.open("/api/calls/CA1/events") as fast,
        ):
            assert (await slow.take(1)) == (await fast.take(1))
            assert slow.response.connection
            transport = slow.response.connection.transport
            assert transport is not None
            transport.pause_reading()
            for number in range(300):
                await calls.say("CA1", f"{number} " + "x" * 20_000)
                if number % 10 == 0:
                    await asyncio.sleep(0)
            assert [each.data["n"] for each in await fast.take(300)] == [*range(2, 302)]
            transport.resume_reading()
            assert [each.data["n"] for each in await slow.take(300)] == [*range(2, 302)]
            assert relay.metric("catch_ups_total") >= 1


async def test_websocket_has_the_same_messages(url: str, client: RedisClient) -> None:
    calls = Calls(client)
    await calls.start("CA1")
    await calls.end("CA1")
    async with running(url) as relay, viewer(relay) as ann:
        expected = await ann.read("/api/calls/CA1/events")
        async with ann.http.ws_connect("/api/calls/CA1/events") as socket:
            found = [message.json() async for message in socket if message.type is WSMsgType.TEXT]
        assert [(each.get("id", ""), each.get("event", ""), each["data"]) for each in found] == [
            (each.id, each.name, each.data) for each in expected
        ]
        async with ann.http.ws_connect(f"/api/calls/CA1/events?after={expected[0].id}") as socket:
            assert (await socket.receive_json())["data"]["n"] == 2


async def test_list_shows_changes_and_search_finds_words(url: str, client: RedisClient) -> None:
    calls = Calls(client)
    await calls.start("CA1")
    await calls.say("CA1", "About the Invoice of May")
    async with running(url, ended_s=1) as relay, viewer(relay) as ann:
        async with ann.open("/api/calls/live") as feed:
            first = (await feed.take(1))[0]
            if not first.data["calls"]:  # the relay has just started
                first = (await feed.take(1))[0]
                first.data = {"calls": [first.data]}
            (row,) = first.data["calls"]
            assert (row["call_id"], row["state"], row["roles"]) == ("CA1", "live", ["customer"])
            assert row["last"] == {
                "role": "customer",
                "text": "About the Invoice of May",
                "final": False,
            }
            (found,) = await ann.search("invoice")
            assert found["match"] == "About the Invoice of May"
            assert await ann.search("refund") == []
            await calls.end("CA1")
            ended, gone = await feed.take(2)
            assert (ended.name, ended.data["state"]) == ("call", "completed")
            assert (gone.name, gone.data) == ("gone", {"call_id": "CA1"})
        assert (await ann.json("/api/calls/CA1"))["call"]["events"] == 3


async def test_calls_outside_of_the_scope_do_not_exist(url: str, client: RedisClient) -> None:
    calls = Calls(client)
    await calls.start("CA1", route="a", tenant="t1")
    await calls.start("CA2", route="b", tenant="t2")
    scopes = {
        "route": route("a"),
        "tenant": Scope(call_id=None, route=None, tenant="t1"),
        "call": Scope(call_id="CA1", route=None, tenant=None),
    }
    async with running(url) as relay:
        for scope in scopes.values():
            async with viewer(relay, link_token(scope)) as ann:
                assert (await ann.json("/api/calls/CA1"))["call"]["route"] == "a"
                listed = (await ann.json("/api/calls"))["calls"]
                assert [each["call_id"] for each in listed] == ["CA1"]
                for path in ("", "/events", "/timeline"):
                    assert await ann.status(f"/api/calls/CA2{path}") == 404
                async with ann.open("/api/events", "1-0-0") as feed:
                    await calls.say("CA2", "secret", tenant="t2")
                    await calls.say("CA1", "mine", tenant="t1")
                    received = await feed.take(1)
                    while not texts(received):
                        received += await feed.take(1)
                    assert {each.data["call_id"] for each in received} == {"CA1"}


async def test_call_that_begins_outside_of_the_scope_is_not_shown(
    url: str, client: RedisClient
) -> None:
    calls = Calls(client)
    async with (
        running(url) as relay,
        viewer(relay, link_token(route("a"))) as ann,
        ann.open("/api/calls/CA9/events") as feed,
    ):
        await asyncio.sleep(0.1)
        await calls.start("CA9", route="b")
        await calls.say("CA9", "secret")
        assert await feed.take(1) == []


async def test_session_that_ends_ends_its_feeds(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_CHECK_S", 0.05)
    monkeypatch.setattr("workers.relay.sign_in.signed_out._CACHED_S", 0.05, raising=False)
    async with contextlib.aclosing(create_client(redis_url)) as client, running(redis_url) as relay:
        await Calls(client).start("CA1")
        short = link_token(lifetime_s=60, now_s=time.time() - 58)
        for token in (short, link_token()):
            async with (
                viewer(relay, token) as ann,
                ann.open("/api/calls/CA1/events") as feed,
                ann.open("/api/calls/live") as listed,
                ann.http.ws_connect("/api/events") as socket,
            ):
                await feed.take(1)
                if token != short:
                    assert await ann.status("/api/session", "DELETE") == 204
                assert [each.name for each in await feed.take(2)] == ["expired"]
                assert (await listed.take(9))[-1].name == "expired"
                assert (await socket.receive_json()) == {"event": "expired", "data": {}}
                assert await ann.status("/api/calls") == 401


async def test_viewer_who_leaves_is_not_counted_any_more(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_CHECK_S", 0.05)
    async with running(redis_url, max_viewers=1) as relay, viewer(relay) as ann:
        async with ann.open("/api/events"):
            assert relay.metric("viewers", feed="all") == 1
            assert await ann.status("/api/events") == 503
        await eventually(lambda: relay.metric("viewers", feed="all") == 0)
        async with ann.open("/api/events"):
            pass


async def test_redacted_viewer_never_receives_raw_text(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        raw, redacted = Calls(client), Calls(client, "redacted")
        for calls, text in ((raw, "4111"), (redacted, "[card]")):
            await calls.start("CA1")
            await calls.close("CA1", text)
            await calls.end("CA1")
        tokens = {text: link_token(text=text) for text in Text}
        shown = {
            "both": {"raw": "4111", "redacted": "[card]"},
            "redacted": {"raw": "[card]", "redacted": "[card]"},
        }
        for served, expected in shown.items():
            async with running(redis_url, text=served) as relay:
                for text, words in expected.items():
                    async with viewer(relay, tokens[Text(text)]) as ann:
                        assert texts(await ann.read("/api/calls/CA1/events")) == [words]
                        detail = await ann.json("/api/calls/CA1")
                        assert [each["text"] for each in detail["segments"]] == [words]
        async with (
            running(redis_url, text="raw") as relay,
            viewer(relay, tokens[Text.REDACTED]) as ann,
        ):
            for path in ("calls", "calls/CA1", "calls/CA1/events", "events"):
                assert await ann.status(f"/api/{path}") == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/calls/CA1/events?after=x", 400),
        ("/api/calls/CA1/events?after=1-2-3", 400),
        (f"/api/calls/CA1/events?after={'9' * 40}", 400),
        ("/api/events?after=1-0", 400),
        (f"/api/calls/{'x' * 500}", 404),
        ("/api/calls/%00%ff", 404),
        ("/api/nothing", 404),
    ],
)
async def test_bad_requests_get_a_clear_error(redis_url: str, path: str, status: int) -> None:
    async with running(redis_url) as relay, viewer(relay) as ann, ann.http.get(path) as response:
        assert response.status == status
        if path != "/api/nothing":
            assert (await response.json())["error"]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"q": ""}', '{"q": 1}', f'{{"q": "{"x" * 201}"}}']
)
async def test_bad_search_gets_a_clear_error(redis_url: str, body: str) -> None:
    async with running(redis_url) as relay, viewer(relay) as ann:
        async with ann.http.post("/api/search", data=body) as response:
            assert response.status == 400
            assert "200 characters" in (await response.json())["error"]
        assert await ann.status("/api/search", "POST", headers={HEADER: ""}) == 403


async def test_nothing_is_shown_to_anyone_who_is_not_signed_in(redis_url: str) -> None:
    async with running(redis_url) as relay, viewer(relay) as ann:
        ann.http.cookie_jar.clear()
        for name in ("", "/live", "/CA1", "/CA1/events", "/CA1/timeline"):
            assert await ann.status(f"/api/calls{name}") == 401
        assert await ann.status("/api/events") == 401
        assert await ann.status("/api/microphone", "POST") == 401


async def test_role_decides_what_is_open(redis_url: str) -> None:
    async with running(redis_url) as relay:
        async with viewer(relay, link_token(role=Role.AGENT)) as ann:
            assert await ann.status("/api/calls/CA1/timeline") == 403
        async with viewer(relay, link_token(role=Role.AUDITOR)) as bob:
            assert await bob.status("/api/microphone", "POST") == 403
            assert await bob.status("/api/calls/CA1/timeline") == 404
