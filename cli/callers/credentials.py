"""How an upgrade shows a secret, in its headers or its URL. Pure but for tokens' nonces."""

import base64
from typing import Final

from cli.callers.gateway import with_route
from gateway.carriers.auth.stream_authenticator import Tokens

_TOKEN_TTL_S: Final = 300


def bearer(secret: str) -> dict[str, str]:
    """Show it as a bearer token."""
    return {"Authorization": f"Bearer {secret}"}


def basic(secret: str, name: str = "callscribe") -> dict[str, str]:
    """Show it as the password of Basic credentials; at a media socket the name is anybody's."""
    pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def with_token(media_url: str, carrier: str, secret: str, call_id: str, now_s: float) -> str:
    """Give the URL of one stream, with a token as the gateway's admin API mints them."""
    url = with_route(media_url)
    route = url.rpartition("/")[2]
    return f"{url}/{Tokens(carrier, secret, _TOKEN_TTL_S).mint(route, call_id, now_s)}"
