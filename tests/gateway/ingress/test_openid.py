"""Keys fetched from their issuer, and upgrades that show its tokens, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.carriers.auth.signatures.openid import OpenIdKeys
from gateway.carriers.vendors.acs import Acs
from gateway.errors import CarrierError
from gateway.ingress.openid import keeping
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
    """Publishes keys, as long as it is well."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = key_set(k1=KEY)
        self.status = 200
        self.asked = 0
        self.piece = 100_000  # bytes of an answer written at once

    async def tell(self, request: web.Request) -> web.StreamResponse:
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
    app.router.add_get("/{what}", made.tell)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def kept(issuer: Issuer) -> AsyncIterator[OpenIdKeys]:
    keys = OpenIdKeys(issuer.url + "/configuration", RESOURCE)
    async with keeping(keys, "acs"):
        yield keys


def lets_in(keys: OpenIdKeys, authorization: str) -> bool:
    try:
        keys.verify(authorization, NOW_S)
    except CarrierError:
        return False
    return True


async def test_keys_are_there_soon(issuer: Issuer) -> None:
    async with kept(issuer) as keys:
        await eventually(lambda: lets_in(keys, shown()))
        assert issuer.asked == 2


async def test_keys_that_come_in_pieces(issuer: Issuer) -> None:
    """Symptom: what came in more than one packet was taken for too long, and nobody let in."""
    issuer.piece = 7
    async with kept(issuer) as keys:
        await eventually(lambda: lets_in(keys, shown()))


@pytest.mark.parametrize("fault", ["status", "too long", "too deep", "no keys"])
async def test_an_issuer_that_is_not_well_is_asked_again(
    issuer: Issuer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingress.openid._AGAIN_S", 0.01)
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
        assert not lets_in(keys, shown())
        issuer.status, issuer.keys = 200, good
        await eventually(lambda: lets_in(keys, shown()))


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingress.openid._AGAIN_S", 0.01)
    async with kept(issuer) as keys:
        await eventually(lambda: lets_in(keys, shown()))
        issuer.keys = key_set(k1=KEY, k2=OTHER_KEY)
        await eventually(lambda: lets_in(keys, shown(OTHER_KEY, kid="k2")))


async def test_made_up_tokens_do_not_make_us_ask(issuer: Issuer) -> None:
    async with kept(issuer) as keys:
        await eventually(lambda: lets_in(keys, shown()))
        for n in range(100):
            assert not lets_in(keys, shown(OTHER_KEY, kid=str(n)))
            await asyncio.sleep(0)
        assert issuer.asked == 2


async def test_microsofts_token_decides_at_the_upgrade(issuer: Issuer) -> None:
    settings = Acs.Settings(
        _env_file=None, resource_id=RESOURCE, openid_url=issuer.url + "/configuration"
    )
    acs = Acs(settings)
    assert acs.openid
    async with serving(Served(acs, now_s=float(NOW_S))) as gateway:
        assert await gateway.refusal("/media/acs", {"Authorization": shown()}) == 503
        async with keeping(acs.openid, "acs"):
            await eventually(lambda: lets_in(acs.openid, shown()) if acs.openid else False)
            for forged in (shown(OTHER_KEY), shown(aud="another"), shown(exp=NOW_S - 400), ""):
                headers = {"Authorization": forged} if forged else {}
                assert await gateway.refusal("/media/acs", headers) == 403
            assert gateway.events == []
            assert gateway.places_held == gateway.streams.admitted == 0
            socket = await gateway.connect("/media/acs", {"Authorization": shown()})
            assert not socket.closed
            assert await gateway.refusal("/media/acs", {"Authorization": shown()}) == 403
            assert gateway.metric("refused_requests_total", carrier="acs", reason="replayed") == 1
