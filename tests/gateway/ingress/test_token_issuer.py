"""Stream tokens on demand: which requests get one, and which streams it admits."""

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


def issuer(**settings: Any) -> TokenIssuer:
    values = {
        "public_url": PUBLIC_URL,
        "upstream": "websocket",
        "realtime_url": "ws://127.0.0.1:1/v1/realtime",
    }
    read = Settings(_env_file=None, **values | settings)
    return TokenIssuer(CARRIERS, read, lambda: load_routes(read), lambda: NOW_S)


async def tried(url: str, call_id: str) -> tuple[bool, int | None]:
    """Connect to a URL as a page; return whether the call started, and the close code."""
    start = {"type": "start", "call_id": call_id, "stream_id": "s1", "rate": 16000}
    async with serving(Served(BROWSER)) as served:
        socket = await served.connect(url.removeprefix("wss://gw.example.com/prefix"))
        await socket.send_str(json.dumps(start))
        await socket.send_str('{"type": "stop"}')
        await socket.receive(timeout=10)
        is_started = any(isinstance(event, StreamStarted) for event in served.events)
        return is_started, socket.close_code


async def test_token_admits_only_its_call() -> None:
    issued = issuer().issue(TokenRequest("browser", call_id="c1"))
    assert (issued.route, issued.expires_s) == ("default", NOW_S + 300)
    assert issued.url == f"wss://gw.example.com/prefix/media/browser/default/{issued.token}"
    assert issued.token not in repr(issued)
    assert await tried(issued.url, "c1") == (True, 1000)
    assert await tried(issued.url, "c2") == (False, 1008)


async def test_token_without_call_admits_any_call() -> None:
    issued = issuer().issue(TokenRequest("browser"))
    assert await tried(issued.url, "c2") == (True, 1000)


def test_every_token_is_unique() -> None:
    requests = [TokenRequest("browser", call_id="c1")] * 2
    assert len({issuer().issue(request).token for request in requests}) == 2


@pytest.mark.parametrize("carrier", ["twilio", "asterisk", "nobody", ""])
def test_carrier_without_tokens_is_refused(carrier: str) -> None:
    """Twilio signs its upgrades; Asterisk is disabled here."""
    with pytest.raises(LookupError, match="accepts no tokens"):
        issuer().issue(TokenRequest(carrier))


class TestRoutes:
    @pytest.fixture
    def routed(self, tmp_path: Path) -> TokenIssuer:
        path = tmp_path / "routes.toml"
        path.write_text(ROUTES)
        return issuer(routes_file=path)

    @pytest.mark.parametrize("route", ["vip", "rest"])
    def test_route_is_found_by_name(self, routed: TokenIssuer, route: str) -> None:
        assert f"/browser/{route}/" in routed.issue(TokenRequest("browser", route)).url

    @pytest.mark.parametrize("route", [None, "phones", "none", ""])
    def test_ambiguous_or_unknown_route_is_refused(
        self, routed: TokenIssuer, route: str | None
    ) -> None:
        """The route depends on the call's parameters, is another carrier's or does not exist."""
        with pytest.raises(LookupError, match="no such route"):
            routed.issue(TokenRequest("browser", route))


@pytest.mark.parametrize("secret", [None, "a-secret-of-the-operator"])
def test_carrier_with_openid_is_refused(secret: str | None) -> None:
    """Symptom: a URL that is never accepted, because its token was signed with an empty key."""
    acs = Acs(Acs.Settings(_env_file=None, secret=secret, resource_id="r"))
    settings = Settings(
        _env_file=None,
        public_url=PUBLIC_URL,
        upstream="websocket",
        realtime_url="ws://127.0.0.1:1/v1/realtime",
    )
    with pytest.raises(LookupError):
        TokenIssuer([acs], settings, lambda: load_routes(settings), lambda: NOW_S).issue(
            TokenRequest("acs")
        )
