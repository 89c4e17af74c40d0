"""Refuses requests that another site's page makes, and redirects to other sites. Pure."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

HEADER: Final = "X-Requested-With"  # a page of another site can't add it
VALUE: Final = "callscribe"

_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})
# Browsers read "//" and "/\" as the beginning of another site's URL, and skip tabs and newlines.
_LOCAL_PATH: Final = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,1022})?")


def is_allowed(method: str, headers: Mapping[str, str], public_url: str) -> bool:
    """Return whether a request may be made with a session.

    A request that changes something needs the header `X-Requested-With: callscribe`. It, and an
    upgrade to a WebSocket, must come from the relay's own pages or from a program.

    Args:
        method: the request's method.
        headers: the request's headers, with names in any case.
        public_url: the relay's URL, as browsers see it.
    """
    if method not in _SAFE_METHODS:
        return headers.get(HEADER) == VALUE and _is_own(headers, public_url)
    return "Upgrade" not in headers or _is_own(headers, public_url)


def local_path(text: str) -> str:
    """Return a path of this site unchanged, and `/` for everything else."""
    return text if _LOCAL_PATH.fullmatch(text) else "/"


def _is_own(headers: Mapping[str, str], public_url: str) -> bool:
    if headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        return False
    origin = headers.get("Origin")
    return origin is None or origin == public_url or _host(origin) == headers.get("Host", "")


def _host(origin: str) -> str | None:
    """Return the host and port of an origin; None if it has none, as `null`."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
