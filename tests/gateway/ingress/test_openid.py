"""Fetching keys from their issuer, and upgrades with its tokens, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.carriers.auth.signatures.openid import OpenIdKeys
from gateway.carriers.vendors.acs import Acs
from gateway.errors import CarrierError
from gateway.ingress.openid import refreshing_keys
from tests.gateway.carriers.auth.signatures.test_openid import (
    KEY,
    NOW_S,
    OTHER_KEY,
    RESOURCE,
    configuration,
    key_set,
    shown,
)
from tests.gateway.ingress.served import Served, serving
from tests.waiting import eventually


class Issuer:
    """Publishes keys, unless the test makes it fail."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = key_set(k1=KEY)
        self.status = 200
        self.asked = 0
        self.piece = 100_000  # bytes of an answer written at once

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        body = self.keys if request.path == "/keys" else configuration(self.url)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for at in range(0, len(body), self.piece):
            await response.write(body[at : at + self.piece])
            await asyncio.sleep(0)
        return response


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    made, app = Issuer(), web.Application()
    app.router.add_get("/{what}", made.respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def kept(issuer: Issuer) -> AsyncIterator[OpenIdKeys]:
    keys = OpenIdKeys(issuer.url + "/configuration", RESOURCE)
    async with refreshing_keys(keys, "acs"):
        yield keys


def accepts(keys: OpenIdKeys, authorization: str) -> bool:
    try:
        keys.verify(authorization, NOW_S)
    except CarrierError:
        return False
    return True


async def test_keys_are_fetched_at_once(issuer: Issuer) -> None:
    async with kept(issuer) as keys:
        await eventually(lambda: accepts(keys, shown()))
        assert issuer.asked == 2


async def test_keys_received_in_pieces_are_accepted(issuer: Issuer) -> None:
    """Symptom: a response in several packets was taken as too long, and all tokens were refused."""
    issuer.piece = 7
    async with kept(issuer) as keys:
        await eventually(lambda: accepts(keys, shown()))


@pytest.mark.parametrize("fault", ["status", "too long", "too deep", "no keys"])
async def test_failed_fetch_is_retried(
    issuer: Issuer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingress.openid._MIN_INTERVAL_S", 0.01)
    good = issuer.keys
    match fault:
        case "status":
            issuer.status = 503
        case "too long":
            issuer.keys = good + b" " * 300_000
        case "too deep":
            issuer.keys = b'{"keys":' + b"[" * 100_000
        case _:
            issuer.keys = b"{}"
    async with kept(issuer) as keys:
        await eventually(lambda: issuer.asked > 4)
        assert not accepts(keys, shown())
        issuer.status, issuer.keys = 200, good
        await eventually(lambda: accepts(keys, shown()))


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingress.openid._MIN_INTERVAL_S", 0.01)
    async with kept(issuer) as keys:
        await eventually(lambda: accepts(keys, shown()))
        issuer.keys = key_set(k1=KEY, k2=OTHER_KEY)
        await eventually(lambda: accepts(keys, shown(OTHER_KEY, kid="k2")))


async def test_forged_tokens_cause_no_fetch(issuer: Issuer) -> None:
    async with kept(issuer) as keys:
        await eventually(lambda: accepts(keys, shown()))
        for n in range(100):
            assert not accepts(keys, shown(OTHER_KEY, kid=str(n)))
            await asyncio.sleep(0)
        assert issuer.asked == 2


async def test_upgrade_requires_a_valid_microsoft_token(issuer: Issuer) -> None:
    settings = Acs.Settings(
        _env_file=None, resource_id=RESOURCE, openid_url=issuer.url + "/configuration"
    )
    acs = Acs(settings)
    assert acs.openid
    async with serving(Served(acs, now_s=float(NOW_S))) as gateway:
        assert await gateway.refusal("/media/acs", {"Authorization": shown()}) == 503
        async with refreshing_keys(acs.openid, "acs"):
            await eventually(lambda: accepts(acs.openid, shown()) if acs.openid else False)
            for forged in (shown(OTHER_KEY), shown(aud="another"), shown(exp=NOW_S - 400), ""):
                headers = {"Authorization": forged} if forged else {}
                assert await gateway.refusal("/media/acs", headers) == 403
            assert gateway.events == []
            assert gateway.slots_held == gateway.streams.admitted == 0
            socket = await gateway.connect("/media/acs", {"Authorization": shown()})
            assert not socket.closed
            assert await gateway.refusal("/media/acs", {"Authorization": shown()}) == 403
            assert gateway.metric("refused_requests_total", carrier="acs", reason="replayed") == 1
