"""How a carrier presents a secret or a token at a media socket: in a header or in the URL.

Pure except for the nonces of tokens.
"""

import base64
from typing import Final

from gateway.admission.routes import DEFAULT_ROUTE
from gateway.carriers.auth.stream_authenticator import Tokens

_TOKEN_TTL_S: Final = 300


def bearer(secret: str) -> dict[str, str]:
    """Return the header with a secret as a bearer token."""
    return {"Authorization": f"Bearer {secret}"}


def basic(secret: str, name: str = "callscribe") -> dict[str, str]:
    """Return the header with a secret as the password of Basic credentials.

    A media socket accepts any user name.
    """
    pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def with_secret(media_url: str, secret: str) -> str:
    """Return the URL of a media socket with a secret in its path, after the route."""
    return f"{_with_route(media_url)}/{secret}"


def with_token(media_url: str, carrier: str, secret: str, call_id: str, now_s: float) -> str:
    """Return the URL of one stream, with a token like those that the gateway's admin API issues."""
    url = _with_route(media_url)
    route = url.rpartition("/")[2]
    return f"{url}/{Tokens(carrier, secret, _TOKEN_TTL_S).mint(route, call_id, now_s)}"


def _with_route(media_url: str) -> str:
    """Return the URL with a route: the default one if the URL names none."""
    _, _, rest = media_url.partition("/media/")
    return media_url if "/" in rest else f"{media_url}/{DEFAULT_ROUTE}"
