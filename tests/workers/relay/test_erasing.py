"""Erasing calls from the page: who may, what is refused, and that no relay shows them again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.redis_client.client import RedisClient, create_client
from tests.workers.governance.planting import ANN, governed
from tests.workers.relay.a_relay import PATIENCE_S, Calls, Viewer, link_token, running, viewer
from workers.governance.trail import Trail
from workers.relay import erasing
from workers.relay.derived import Source
from workers.relay.sign_in.viewer import ALL_CALLS, Role, Scope, Text
from workers.relay.store import Store

_PATH = "/api/calls/CA1"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)
        for call in ("CA1", "CA2"):
            await calls.start(call)
            await calls.close(call, "secret")
        await calls.end("CA1")
        yield client


async def until_listed(ann: Viewer, call_ids: set[str]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while {call["call_id"] for call in (await ann.json("/api/calls"))["calls"]} != call_ids:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def erase(ann: Viewer, path: str = _PATH, **body: Any) -> int:
    return await ann.status(path, "DELETE", json={"reason": "her wish", **body})


async def test_erased_call_is_shown_no_more_and_is_in_the_trail(
    redis_url: str, client: RedisClient
) -> None:
    async with (
        running(redis_url) as relay,
        viewer(relay, link_token(role=Role.ADMIN)) as ann,
    ):
        await until_listed(ann, {"CA1", "CA2"})
        assert await ann.json(_PATH)
        assert await erase(ann) == 202
        for path in (_PATH, f"{_PATH}/timeline"):
            assert await ann.status(path) == 404
        await until_listed(ann, {"CA2"})
        assert [call["call_id"] for call in await ann.search("secret")] == ["CA2"]
        assert await erase(ann) == 202, "it can be repeated"
    ledger = governed(client).governance.ledger
    assert set(await ledger.pending()) == {"CA1"}
    entries = [fields async for _, fields in Trail(client).entries()]
    (first, _) = (each for each in entries if each["action"] == "erase-requested")
    assert first["who"] == "ann"
    assert first["subject"] == "link:0123456789abcdef"
    assert first["ip"] == "127.0.0.1"
    assert first["reason"] == "her wish"
    assert "call-opened" in [each["action"] for each in entries]
    assert (await Trail(client).verify())[1] == []


@pytest.mark.parametrize(
    ("role", "scope", "path", "status"),
    [
        (Role.AGENT, ALL_CALLS, _PATH, 403),
        (Role.SUPERVISOR, ALL_CALLS, _PATH, 403),
        (Role.AUDITOR, ALL_CALLS, _PATH, 403),
        (Role.ADMIN, Scope(None, "other", None), _PATH, 404),
        (Role.ADMIN, Scope("CA2", None, None), _PATH, 404),
        (Role.ADMIN, Scope(None, "r", None), _PATH, 202),
        (Role.ADMIN, Scope(None, "r", None), "/api/calls/CA9", 404),
        (Role.ADMIN, ALL_CALLS, "/api/calls/CA9", 202),
    ],
)
async def test_role_and_scope_decide_who_erases(
    redis_url: str, client: RedisClient, role: Role, scope: Scope, path: str, status: int
) -> None:
    async with running(redis_url) as relay, viewer(relay, link_token(scope, role)) as ann:
        assert await erase(ann, path) == status
    assert bool(await governed(client).governance.ledger.pending()) == (status == 202)


async def test_request_without_a_reason_is_refused(redis_url: str, client: RedisClient) -> None:
    too_long = b'{"reason":"' + b"x" * 301 + b'"}'
    refused = [b"", b"{}", b'{"reason":""}', b'{"reason":" "}', b'{"reason":"a\\nb"}']
    refused += [b'{"reason":3}', b'{"reason":"a","other":1}', too_long, b"\xff"]
    async with running(redis_url) as relay, viewer(relay, link_token(role=Role.ADMIN)) as ann:
        for body in refused:
            assert await ann.status(_PATH, "DELETE", data=body) == 400, body
    assert await governed(client).governance.ledger.count() == 0


async def test_request_of_another_site_is_refused(redis_url: str, client: RedisClient) -> None:
    async with running(redis_url) as relay, viewer(relay, link_token(role=Role.ADMIN)) as ann:
        for headers in ({"X-Requested-With": ""}, {"Origin": "https://evil.example"}):
            assert await ann.status(_PATH, "DELETE", headers=headers, json={"reason": "a"}) == 403
    assert await governed(client).governance.ledger.count() == 0


async def test_live_and_held_calls_are_not_erased(redis_url: str, client: RedisClient) -> None:
    await governed(client).governance.hold("CA1", ANN, "case 7")
    async with running(redis_url) as relay, viewer(relay, link_token(role=Role.ADMIN)) as ann:
        assert await erase(ann) == 409
        assert await erase(ann, "/api/calls/CA2") == 409
        assert await erase(ann, "/api/calls/CA2", even_live=True) == 202


async def test_call_that_was_erased_elsewhere_leaves_the_list(
    redis_url: str, client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_CHECK_S", 0.01)
    async with running(redis_url) as relay, viewer(relay) as ann:
        await until_listed(ann, {"CA1", "CA2"})
        await governed(client).governance.request("CA1", ANN, "r")
        await until_listed(ann, {"CA2"})


async def test_feed_of_an_erased_call_ends(
    redis_url: str, client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: the page of a call continued to show it."""
    monkeypatch.setattr(erasing, "_CHECK_S", 0.01)
    async with (
        running(redis_url) as relay,
        viewer(relay) as ann,
        ann.open("/api/calls/CA2/events") as feed,
    ):
        assert len(await feed.take(2)) == 2
        await governed(client).governance.request("CA2", ANN, "r", even_live=True)
        (gone, *rest) = await feed.take(2)
        assert (gone.name, gone.data, rest) == ("gone", {"call_id": "CA2"}, [])


async def test_feed_of_all_calls_catches_up_without_erased_ones(
    redis_url: str, client: RedisClient
) -> None:
    """Symptom: their words were sent until the worker `govern` had deleted them."""
    await governed(client).governance.request("CA1", ANN, "r")
    async with (
        running(redis_url) as relay,
        viewer(relay) as ann,
        ann.open("/api/events?after=0-0-0") as feed,
    ):
        assert {each.data["call_id"] for each in await feed.take(2)} == {"CA2"}


@pytest.mark.parametrize("call_id", ["CA1", "default.twilio.CA1"])
@pytest.mark.parametrize("text", list(Text))
async def test_nothing_of_an_erased_call_is_read(
    client: RedisClient, call_id: str, text: Text
) -> None:
    """Symptom: alerts and wrap-ups were shown until the worker `govern` had deleted them."""
    store = Store(client, 64)
    suffix = ":redacted" if text is Text.REDACTED else ""
    for name in (f"call:{call_id}{suffix}", f"call:{call_id}:alerts"):
        await client.xadd(f"cs:{{p53}}:{name}", {"type": "any"})

    async def found() -> int:
        own = [each async for each in store.history(text, call_id, "0")]
        alerts = store.derived_history(text, Source.ALERTS, call_id, "0")
        return len(own) + len([each async for each in alerts])

    assert await found() == 2
    await client.hset("cs:{p53}:erased", call_id, "{}")
    assert await found() == 0
