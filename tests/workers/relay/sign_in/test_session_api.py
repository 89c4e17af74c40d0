"""Sign in with a link, see who is signed in, sign out: over real HTTP, with a real Redis."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from datetime import datetime
from http.cookies import SimpleCookie

import pytest
import redis
from aiohttp import ClientResponse

from tests.redis_servers import valkey
from tests.workers.relay.sign_in.served import OWN, SECRET, Relay, browser, serving
from workers.relay.sign_in import sessions
from workers.relay.sign_in.links import Grant, mint
from workers.relay.sign_in.tokens import Keyring
from workers.relay.sign_in.viewer import Role, Scope, Text

PATH = "/api/session"
CALL = Scope(call_id="CA1", route=None, tenant=None)
KEYS = Keyring([SECRET])


def token(*, ago_s: float = 0, lifetime_s: int = 600, name: str = "ann") -> str:
    grant = Grant(CALL, Role.SUPERVISOR, Text.RAW, name, lifetime_s)
    return mint(KEYS, grant, link_id="l1", now_s=time.time() - ago_s).token


async def outcome(response: ClientResponse) -> tuple[int, object]:
    return response.status, await response.json()


def cookie_of(response: ClientResponse) -> str:
    return SimpleCookie(response.headers["Set-Cookie"])[sessions.COOKIE].value


async def test_link_signs_in_until_sign_out(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "workers.audit")
    async with serving(redis_url, secret=SECRET) as relay, browser(relay) as client:
        async with client.get(PATH) as response:
            assert await outcome(response) == (401, {"error": "unauthorized", "sign_in": None})
        async with client.post(PATH, json={"token": token()}, headers=OWN) as response:
            status, body = await outcome(response)
            kept = cookie_of(response)
            flags = response.headers["Set-Cookie"]
        assert status == 200
        assert isinstance(body, dict)
        assert 0 < time.time() + 600 - _unix_s(body.pop("expires")) < 5
        assert body == {
            "name": "ann",
            "role": "supervisor",
            "text": "raw",
            "scope": {"call_id": "CA1"},
            "may": ["calls", "mic", "timeline"],
        }
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= set(flags.split("; "))
        async with client.get(PATH) as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        async with client.delete(PATH, headers=OWN) as response:
            assert response.status == 204
        async with client.get(PATH) as response:
            assert response.status == 401
        async with client.get(
            "/whoami", headers={"Cookie": f"{sessions.COOKIE}={kept}"}
        ) as response:
            assert await outcome(response) == (401, {"error": "signed-out", "sign_in": None})
    slugs = [record.getMessage().split()[0] for record in caplog.records]
    assert slugs == ["refused", "signed-in", "signed-out", "refused"]
    assert kept not in caplog.text
    assert "who=ann subject=link:l1 role=supervisor text=raw ip=127.0.0.1" in caplog.text


def _unix_s(rfc3339: object) -> float:
    assert isinstance(rfc3339, str)
    return datetime.fromisoformat(rfc3339).timestamp()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"token": token(ago_s=700)}, "expired"),
        ({"token": token()[:-4]}, "invalid"),
        ({"token": 7}, "invalid"),
        ({}, "invalid"),
        ([], "invalid"),
    ],
)
async def test_wrong_link_is_refused(redis_url: str, body: object, error: str) -> None:
    async with (
        serving(redis_url, secret=SECRET) as relay,
        browser(relay) as client,
        client.post(PATH, json=body, headers=OWN) as response,
    ):
        assert await outcome(response) == (401, {"error": error})
        assert "Set-Cookie" not in response.headers


async def test_body_is_bounded(redis_url: str) -> None:
    async with serving(redis_url, secret=SECRET) as relay, browser(relay) as client:
        for size, status in ((8192, 401), (8193, 413)):
            async with client.post(PATH, data=b"x" * size, headers=OWN) as response:
                assert response.status == status


async def test_failures_are_limited_but_valid_links_are_not(redis_url: str) -> None:
    async with serving(redis_url, secret=SECRET) as relay, browser(relay) as client:
        statuses = []
        for _ in range(12):
            async with client.post(PATH, json={"token": "x"}, headers=OWN) as response:
                statuses.append(response.status)
        assert statuses.count(429) >= 1  # 2, unless a minute ended meanwhile
        async with client.post(PATH, json={"token": token()}, headers=OWN) as response:
            assert response.status == 200


async def test_without_settings_no_one_is_admitted(redis_url: str) -> None:
    async with serving(redis_url) as relay, browser(relay) as client:
        unsigned = {"Cookie": f"{sessions.COOKIE}={token()}"}
        for headers in ({}, unsigned):
            async with client.get("/whoami", headers=headers) as response:
                assert response.status == 401
        async with client.post(PATH, json={"token": token()}, headers=OWN) as response:
            assert await outcome(response) == (401, {"error": "invalid"})
        async with client.get("/sign-in") as response:
            assert "WORKER_RELAY_SECRET" in await response.text()
        for path in ("/sign-in/oidc", "/sign-in/oidc/callback"):
            async with client.get(path) as response:
                assert response.status == 404


async def test_session_ends_at_its_time(redis_url: str) -> None:
    async with serving(redis_url, secret=SECRET) as relay, browser(relay) as client:
        async with client.post(PATH, json={"token": token(lifetime_s=2)}, headers=OWN) as response:
            kept = cookie_of(response)
        await asyncio.sleep(2)
        async with client.get(
            "/whoami", headers={"Cookie": f"{sessions.COOKIE}={kept}"}
        ) as response:
            assert await outcome(response) == (401, {"error": "expired", "sign_in": None})


@pytest.mark.parametrize("path", [PATH, "/whoami", "/none"])
async def test_requests_of_other_sites_are_refused(redis_url: str, path: str) -> None:
    foreign = {**OWN, "Origin": "https://evil.example.com"}
    async with serving(redis_url, secret=SECRET) as relay, browser(relay) as client:
        for headers in ({}, foreign):
            async with client.post(path, json={"token": token()}, headers=headers) as response:
                assert await outcome(response) == (403, {"error": "cross-site"})
        own = {**OWN, "Origin": relay.url, "Sec-Fetch-Site": "same-origin"}
        async with client.post(PATH, json={"token": token()}, headers=own) as response:
            assert response.status == 200


async def signed_in(relay: Relay) -> str:
    async with (
        browser(relay) as client,
        client.post(PATH, json={"token": token()}, headers=OWN) as response,
    ):
        return f"{sessions.COOKIE}={cookie_of(response)}"


async def test_sign_out_is_effective_at_other_relays_and_expires(redis_url: str) -> None:
    async with (
        serving(redis_url, secret=SECRET) as first,
        serving(redis_url, secret=SECRET) as other,
    ):
        headers = {"Cookie": await signed_in(first)}
        own = OWN | headers
        async with browser(first) as client, client.delete(PATH, headers=own) as response:
            assert response.status == 204
        async with browser(other) as client, client.get("/whoami", headers=headers) as response:
            assert response.status == 401
    with redis.Redis.from_url(redis_url) as server:
        (key,) = server.keys("cs:relay:signed-out:*")
        assert 590 < server.ttl(key) <= 600


async def test_sessions_are_refused_while_redis_is_unavailable() -> None:
    async with AsyncExitStack() as relays:
        with valkey() as url:
            relay = await relays.enter_async_context(serving(url, secret=SECRET))
            headers = {"Cookie": await signed_in(relay)}
        client = await relays.enter_async_context(browser(relay))
        async with client.get("/whoami", headers=headers) as response:
            assert await outcome(response) == (503, {"error": "sessions-unavailable"})
        async with client.delete(PATH, headers=OWN | headers) as response:
            assert response.status == 503
            assert "Set-Cookie" not in response.headers
        async with client.get("/whoami") as response:
            assert response.status == 401
