"""Build carriers' requests for tests of authentication."""

import base64
from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict

from gateway.carriers.carrier import Request, StreamLink

NOW_S = 1_700_000_000.0
SECRET = "a-secret-of-the-operator"
OPEN: dict[str, Any] = {
    "_env_file": None,
    "secret": SECRET,
}  # settings of a carrier with a StreamAuthenticator


def upgrade(
    carrier: str,
    *,
    route: str | None = None,
    token: str | None = None,
    query: str = "",
    now_s: float = NOW_S,
    **headers: str,
) -> Request:
    """Build the upgrade request of a media socket."""
    path = "".join(f"/{part}" for part in (route, token) if part is not None)
    url = f"wss://gw.example.com/media/{carrier}{path}{query and '?'}{query}"
    return Request(url, CIMultiDict(headers), b"", token, route, now_s)


def upgrade_of(url: str, now_s: float = NOW_S) -> Request:
    """Build the upgrade request for a URL that the gateway made."""
    path, _, query = url.removeprefix("wss://gw.example.com/media/").partition("?")
    carrier, route, token = path.split("/")
    return upgrade(carrier, route=route, token=token, query=query, now_s=now_s)


def webhook(carrier: str, body: bytes, headers: Mapping[str, str], now_s: float = NOW_S) -> Request:
    """Build a webhook request, with a JSON body unless the headers say otherwise."""
    url = f"https://gw.example.com/voice/{carrier}"
    given = CIMultiDict({"Content-Type": "application/json", **headers})
    return Request(url, given, body, None, None, now_s)


def link(carrier: str) -> StreamLink:
    """Build the link of a call's media, with a route that the URL has to name."""
    media_url = f"wss://gw.example.com/media/{carrier}"
    return StreamLink(media_url=media_url, route="support", is_certain=False)


def basic(password: str, username: str = "callscribe") -> str:
    """Return Basic credentials as a header value."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
