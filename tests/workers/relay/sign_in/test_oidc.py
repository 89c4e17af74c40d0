"""Sign in at an OpenID provider: a complete mock of one, and one that misbehaves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from tests.workers.relay.sign_in.scripted_provider import (
    ScriptedProvider,
    mock_provider,
    scripted_provider,
)
from tests.workers.relay.sign_in.served import SECRET, Relay, browser, serving

ROLES = json.dumps({"claim": "groups", "values": {"leads": "supervisor", "agents": "agent"}})
ANN = {"sub": "ann", "name": "Ann", "groups": ["agents"], "org": "b"}
LEE = {"sub": "lee", "name": "Lee", "groups": "leads"}
EVE = {"sub": "eve", "groups": ["guests"], "org": "b"}
START = "/sign-in/oidc"
CALLBACK = "/sign-in/oidc/callback"


@asynccontextmanager
async def relay_of(redis_url: str, issuer: str, **values: Any) -> AsyncIterator[Relay]:
    async with serving(
        redis_url,
        secret=SECRET,
        oidc_issuer=issuer,
        oidc_client_id="relay",
        oidc_client_secret="hush",
        oidc_roles=ROLES,
        **values,
    ) as relay:
        yield relay


async def redirect(response: ClientResponse) -> URL:
    """Return where a response redirects to."""
    assert response.status in (302, 303), await response.text()
    return URL(response.headers["Location"])


async def callback_of(client: ClientSession, sub: str, start: str = START) -> URL:
    """Start a sign-in and consent at the mock; return the URL that it redirects to."""
    async with client.get(start, allow_redirects=False) as response:
        at_provider = await redirect(response)
    async with client.post(at_provider, data={"sub": sub}, allow_redirects=False) as response:
        return await redirect(response)


async def text_of(client: ClientSession, url: URL | str) -> tuple[int, str]:
    async with client.get(url) as response:
        return response.status, await response.text()


async def test_user_signs_in_with_role_tenant_and_name(redis_url: str) -> None:
    async with (
        mock_provider(ANN, LEE, EVE) as issuer,
        relay_of(redis_url, issuer, oidc_tenant_claim="org") as relay,
    ):
        async with browser(relay) as client:
            async with client.get("/whoami") as response:
                body = await response.json()
                assert body == {"error": "unauthorized", "sign_in": "/sign-in"}
            assert "/sign-in/oidc?next=%2Fa%3Fb" in (await text_of(client, "/sign-in?next=/a?b"))[1]
            callback = await callback_of(client, "ann", f"{START}?next=/whoami%3Fa")
            async with client.get(callback, allow_redirects=False) as response:
                assert await redirect(response) == URL("/whoami?a")
            assert await text_of(client, "/whoami") == (200, "Ann")
            async with client.get("/api/session") as response:
                session = await response.json()
            assert (session["role"], session["text"]) == ("agent", "redacted")
            assert session["scope"] == {"tenant": "b"}

        async with browser(relay) as client:
            callback = await callback_of(client, "eve")
            status, text = await text_of(client, callback)
            assert (status, "no role here" in text) == (403, True)
        async with browser(relay) as client:
            callback = await callback_of(client, "lee")
            status, text = await text_of(client, callback)
            assert (status, "no tenant" in text) == (403, True)
            assert (await text_of(client, "/whoami"))[0] == 401


async def test_callback_belongs_to_one_browser_and_is_used_once(redis_url: str) -> None:
    async with (
        mock_provider(LEE) as issuer,
        relay_of(redis_url, issuer) as relay,
        browser(relay) as client,
        browser(relay) as other,
    ):
        callback = await callback_of(client, "lee")
        assert (await text_of(other, callback))[0] == 400
        cookies = client.cookie_jar.filter_cookies(URL(relay.url))
        kept = "; ".join(f"{name}={each.value}" for name, each in cookies.items())
        async with client.get(callback, allow_redirects=False) as response:
            assert await redirect(response) == URL("/")
        assert (await text_of(client, callback))[0] == 400  # the cookie is deleted
        async with ClientSession(headers={"Cookie": kept}) as again:
            status, text = await text_of(again, callback)
            assert (status, "did not confirm" in text) == (403, True)


CHANGES: tuple[Callable[[URL], URL], ...] = (
    lambda url: url.update_query(state="x"),
    lambda url: url.update_query(state="é"),
    lambda url: url.without_query_params("state"),
    lambda url: url.without_query_params("code"),
    lambda url: url.update_query(iss="https://evil.example.com"),
    lambda url: url.update_query(code="c" * 5000),
)


async def test_changed_callback_is_refused(redis_url: str) -> None:
    async with (
        mock_provider(LEE) as issuer,
        relay_of(redis_url, issuer) as relay,
        browser(relay) as client,
    ):
        for change in CHANGES:
            status, text = await text_of(client, change(await callback_of(client, "lee")))
            assert (status, "another window" in text) == (400, True)
        denied = (await callback_of(client, "lee")).without_query_params("code")
        status, text = await text_of(client, denied.update_query(error="access_denied"))
        assert (status, "did not sign you in" in text) == (403, True)
        assert (await text_of(client, "/whoami"))[0] == 401


async def test_expired_id_token_is_refused(redis_url: str) -> None:
    async with (
        mock_provider(LEE, token_max_age_s=-120) as issuer,
        relay_of(redis_url, issuer) as relay,
        browser(relay) as client,
    ):
        status, text = await text_of(client, await callback_of(client, "lee"))
        assert (status, "incorrectly" in text) == (403, True)


async def sign_in(relay: Relay) -> int:
    """Sign in at the scripted provider; return the status of the last page."""
    async with browser(relay) as client, client.get(f"{START}?next=/whoami") as response:
        return response.status


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with scripted_provider() as made:
        yield made


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "other"},
        {"aud": "other"},
        {"iss": "https://evil.example.com"},
        {"exp": 1},
        {"iat": int(time.time()) + 10_000},
        {"azp": "other"},
        {"sub": ""},
    ],
)
async def test_wrong_claims_are_refused(
    redis_url: str, provider: ScriptedProvider, claims: dict[str, Any]
) -> None:
    async with relay_of(redis_url, provider.url) as relay:
        provider.claims = claims
        assert await sign_in(relay) == 403
        provider.claims = {}
        assert await sign_in(relay) == 200


async def test_keys_are_fetched_once_and_unknown_keys_cause_few_requests(
    redis_url: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relay_of(redis_url, provider.url) as relay:
        assert await asyncio.gather(*(sign_in(relay) for _ in range(5))) == [200] * 5
        assert provider.fetched == {"/.well-known/openid-configuration": 1, "/keys": 1}
        provider.kid = "unknown"
        assert await asyncio.gather(*(sign_in(relay) for _ in range(10))) == [403] * 10
        assert provider.fetched["/keys"] == 1  # not within 30 s
        monkeypatch.setattr("workers.relay.sign_in.provider._MIN_INTERVAL_S", 0.0)
        provider.kid, provider.published = "k2", ["k1", "k2"]
        assert await sign_in(relay) == 200
        assert provider.fetched["/keys"] == 2


@pytest.mark.parametrize("fault", ["down", "slow", "huge", "issuer", "no keys"])
async def test_unusable_provider_is_reported_and_retried(
    redis_url: str, provider: ScriptedProvider, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.sign_in.provider._TIMEOUT_S", 0.3)
    monkeypatch.setattr("workers.relay.sign_in.provider._RETRY_S", 1.0)
    match fault:
        case "issuer":
            provider.document = {"issuer": "https://evil.example.com"}
        case "no keys":
            provider.published = []
        case _:
            provider.fault = fault
    async with relay_of(redis_url, provider.url) as relay:
        began_s = time.monotonic()
        assert await asyncio.gather(*(sign_in(relay) for _ in range(10))) == [503] * 10
        assert time.monotonic() - began_s < 2.0  # not 0.3 s for each
        assert provider.fetched["/.well-known/openid-configuration"] == 1
        provider.document, provider.fault, provider.published = {}, "", ["k1"]
        await asyncio.sleep(1.1)
        assert await sign_in(relay) == 200


@pytest.mark.parametrize("target", ["//evil.example.com", "/\\evil.example.com", "https:evil", "x"])
async def test_other_sites_are_no_target(
    redis_url: str, provider: ScriptedProvider, target: str
) -> None:
    async with relay_of(redis_url, provider.url) as relay, browser(relay) as client:
        start = URL(START).with_query(next=target)
        async with client.get(start, allow_redirects=False) as response:
            at_provider = await redirect(response)
        assert at_provider.query["redirect_uri"] == f"{relay.url}{CALLBACK}"
        async with client.get(at_provider, allow_redirects=False) as response:
            callback = await redirect(response)
        async with client.get(callback, allow_redirects=False) as response:
            assert response.headers["Location"] == "/"


async def test_stored_cookie_without_sign_in_is_not_enough(
    redis_url: str, provider: ScriptedProvider
) -> None:
    """The verifier must be the one of the browser's sign-in: codes of others are refused."""
    async with relay_of(redis_url, provider.url) as relay, browser(relay) as thief:
        async with browser(relay) as victim:
            async with victim.get(START, allow_redirects=False) as response:
                at_provider = await redirect(response)
            async with victim.get(at_provider, allow_redirects=False) as response:
                stolen = (await redirect(response)).query["code"]
        async with thief.get(START, allow_redirects=False) as response:
            state = (await redirect(response)).query["state"]
        async with thief.get(URL(CALLBACK).with_query(code=stolen, state=state)) as response:
            assert response.status == 403
