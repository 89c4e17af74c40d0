"""The token that lets one call's media stream in, where the carrier signs nothing on the upgrade.

    <expires>.<nonce>.<call>.<mac>

It stands in the stream's URL, as a segment of the path: many carriers take no query. The mac binds
all before it to carrier and route; `call` binds it to a call, whose id only the start message
tells, and is empty where that was not known yet. A token that is bound to a call is good for that
call until its stream has ended, so that a carrier may connect again; one that is not is good once.
The key is one that all gateways of an installation have, so that each accepts what another made.
Pure.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import CarrierError

_NONCE: Final = "[A-Za-z0-9_-]{16,64}"
_MAC: Final = "[A-Za-z0-9_-]{43}"  # base64url of 32 bytes
_TOKEN: Final = re.compile(rf"([1-9][0-9]{{0,11}})\.({_NONCE})\.({_MAC}|)\.({_MAC})")


@dataclass(frozen=True, slots=True)
class StreamToken:
    """A token that is ours, for this carrier and route, and not too old.

    Attributes:
        once: its id, by which the caller tells whether it was used.
        expires_s: Unix seconds; until then the id has to be remembered.
        call: the mac of the call it is good for; empty: any.
        key: what the macs are made with.
    """

    once: str = field(repr=False)
    expires_s: int
    call: str = field(repr=False)
    key: bytes = field(repr=False)

    def check(self, call_id: str) -> None:
        """Check that the stream is that of the token's call, if it has one.

        Raises:
            CarrierError: token-invalid.
        """
        expected = _mac(self.key, "call", self.once, call_id)
        if self.call and not hmac.compare_digest(self.call, expected):
            raise CarrierError("token-invalid")


def mint(
    key: bytes, carrier: str, route: str, call_id: str | None, expires_s: int, nonce: str
) -> str:
    """Make a token.

    Args:
        key: a secret of the installation.
        carrier: whose stream is let in.
        route: the route that the stream's URL names; empty if none.
        call_id: the call it is good for; None: any of this carrier and route.
        expires_s: Unix time after which it is not.
        nonce: never used before, 16 to 64 characters of base64url.

    Returns:
        Letters, digits, `.`, `_` and `-`: about 120 with a call.

    Raises:
        ValueError: the nonce is something else.
    """
    if not re.fullmatch(_NONCE, nonce):
        raise ValueError("nonce: 16 to 64 of A-Z a-z 0-9 _ - expected")
    call = "" if call_id is None else _mac(key, "call", nonce, call_id)
    return f"{expires_s}.{nonce}.{call}.{_stream_mac(key, carrier, route, expires_s, nonce, call)}"


def nonce_of(key: bytes, *parts: str) -> str:
    """Derive a nonce from what makes a token one of a kind; the same parts give the same nonce."""
    return _mac(key, "nonce", *parts)


def read(
    keys: bytes | Sequence[bytes], carrier: str, route: str, token: str, now_s: float
) -> StreamToken:
    """Check all of a token that can be checked before the stream says which call it is.

    Args:
        keys: see `mint`; one, or several of which any may have made it.
        carrier: whose stream asks.
        route: that of its URL; empty if it names none.
        token: that of its URL.
        now_s: Unix seconds.

    Raises:
        CarrierError: token-invalid: it is not ours, of another carrier or route, or too old.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise CarrierError("token-invalid")
    digits, nonce, call, mac = found.groups()
    expires_s = int(digits)
    keys = [keys] if isinstance(keys, bytes) else keys
    expected = [_stream_mac(key, carrier, route, expires_s, nonce, call) for key in keys]
    matches = [hmac.compare_digest(mac, each) for each in expected]  # all: no early exit
    if not any(matches) or now_s > expires_s:
        raise CarrierError("token-invalid")
    return StreamToken(nonce, expires_s, call, keys[matches.index(True)])


def _stream_mac(key: bytes, carrier: str, route: str, expires_s: int, nonce: str, call: str) -> str:
    return _mac(key, "stream", carrier, route, str(expires_s), nonce, call)


def _mac(key: bytes, *parts: str) -> str:
    """Each part is preceded by its length: none can be taken for the beginning of the next."""
    mac = hmac.new(key, b"callscribe stream token v1", hashlib.sha256)
    for part in parts:
        data = part.encode(errors="surrogatepass")
        mac.update(b"%d:%b" % (len(data), data))
    return base64.urlsafe_b64encode(mac.digest()).decode().rstrip("=")
