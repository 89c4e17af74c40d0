"""Tokens on demand: for whom they are made, and that the stream they were made for is let in."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.admission.routes import load_routes
from gateway.carriers.vendors.acs import Acs
from gateway.carriers.vendors.asterisk import Asterisk
from gateway.carriers.vendors.browser import Browser
from gateway.carriers.vendors.twilio import Twilio
from gateway.ingress.token_issuer import TokenIssuer, TokenRequest
from gateway.settings import Settings
from gateway.transcript.events import StreamStarted
from tests.gateway.ingress.served import NOW_S, PUBLIC_URL, Served, serving

SECRET = "a-secret-of-the-operator"
BROWSER = Browser(Browser.Settings(_env_file=None, secret=SECRET))
CARRIERS = [
    BROWSER,
    Asterisk(Asterisk.Settings(_env_file=None)),
    Twilio(Twilio.Settings(_env_file=None, auth_token=SECRET)),
]
ROUTES = """
[endpoints.main]
url = "ws://127.0.0.1:1/v1/realtime"
[[routes]]
name = "vip"
params = {level = "gold"}
endpoints = ["main"]
[[routes]]
name = "phones"
carrier = "asterisk"
endpoints = ["main"]
[[routes]]
name = "rest"
endpoints = ["main"]
"""


def mint(**settings: Any) -> TokenIssuer:
    values = {
        "public_url": PUBLIC_URL,
        "upstream": "websocket",
        "realtime_url": "ws://127.0.0.1:1/v1/realtime",
    }
    read = Settings(_env_file=None, **values | settings)
    return TokenIssuer(CARRIERS, read, load_routes(read), lambda: NOW_S)


async def tried(url: str, call_id: str) -> tuple[bool, int | None]:
    """Connect to a URL as a page; say whether the call started, and how we closed."""
    start = {"type": "start", "call_id": call_id, "stream_id": "s1", "rate": 16000}
    async with serving(Served(BROWSER)) as served:
        socket = await served.connect(url.removeprefix("wss://gw.example.com/prefix"))
        await socket.send_str(json.dumps(start))
        await socket.send_str('{"type": "stop"}')
        await socket.receive(timeout=10)
        is_started = any(isinstance(event, StreamStarted) for event in served.events)
        return is_started, socket.close_code


async def test_a_page_is_let_in_by_it_for_its_call() -> None:
    minted = mint().make(TokenRequest("browser", call_id="c1"))
    assert (minted.route, minted.expires_s) == ("default", NOW_S + 300)
    assert minted.url == f"wss://gw.example.com/prefix/media/browser/default/{minted.token}"
    assert minted.token not in repr(minted)
    assert await tried(minted.url, "c1") == (True, 1000)
    assert await tried(minted.url, "c2") == (False, 1008)


async def test_without_a_call_it_is_good_for_any() -> None:
    minted = mint().make(TokenRequest("browser"))
    assert await tried(minted.url, "c2") == (True, 1000)


def test_every_token_is_another() -> None:
    orders = [TokenRequest("browser", call_id="c1")] * 2
    assert len({mint().make(order).token for order in orders}) == 2


@pytest.mark.parametrize("carrier", ["twilio", "asterisk", "nobody", ""])
def test_carriers_that_take_none(carrier: str) -> None:
    """Twilio signs; Asterisk is closed here."""
    with pytest.raises(LookupError, match="no such carrier"):
        mint().make(TokenRequest(carrier))


class TestRoutes:
    @pytest.fixture
    def routed(self, tmp_path: Path) -> TokenIssuer:
        path = tmp_path / "routes.toml"
        path.write_text(ROUTES)
        return mint(routes_file=path)

    @pytest.mark.parametrize("route", ["vip", "rest"])
    def test_by_name_whatever_its_conditions(self, routed: TokenIssuer, route: str) -> None:
        assert f"/browser/{route}/" in routed.make(TokenRequest("browser", route)).url

    @pytest.mark.parametrize("route", [None, "phones", "none", ""])
    def test_none_for_sure(self, routed: TokenIssuer, route: str | None) -> None:
        """Which route the call takes depends on its parameters; one is another carrier's."""
        with pytest.raises(LookupError, match="no such route"):
            routed.make(TokenRequest("browser", route))


@pytest.mark.parametrize("secret", [None, "a-secret-of-the-operator"])
def test_none_where_the_vendors_own_tokens_decide(secret: str | None) -> None:
    """Symptom: a URL that nobody is let in by, its token made with an empty key."""
    acs = Acs(Acs.Settings(_env_file=None, secret=secret, resource_id="r"))
    settings = Settings(
        _env_file=None,
        public_url=PUBLIC_URL,
        upstream="websocket",
        realtime_url="ws://127.0.0.1:1/v1/realtime",
    )
    with pytest.raises(LookupError):
        TokenIssuer([acs], settings, load_routes(settings), lambda: NOW_S).make(TokenRequest("acs"))
