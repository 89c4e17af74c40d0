"""Make and verify the tokens in the URLs of media streams. Pure.

    <expires>.<nonce>.<call>.<mac>

A token is a segment of the path of the stream's URL, because many carriers accept no query. `mac`
authenticates the fields before it, the carrier and the route. `call` binds the token to a call and
is checked when the start message brings the call's id; it is empty if the id was unknown when the
token was made. A token that is bound to a call is valid until the call's stream has ended, so that
the carrier may reconnect. A token that is not bound to a call is valid once. All gateways of an
installation share the key, so that each accepts the tokens of the others.
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
    """A token whose mac, carrier, route and expiry have been verified.

    Attributes:
        once: the token's id, by which the caller detects that it was used before.
        expires_s: Unix seconds; the id has to be stored until then.
        call: the mac of the call's id; empty: the token is valid for any call.
        key: the key of the macs.
    """

    once: str = field(repr=False)
    expires_s: int
    call: str = field(repr=False)
    key: bytes = field(repr=False)

    def check(self, call_id: str) -> None:
        """Check that the stream belongs to the token's call, if the token is bound to one.

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
        carrier: the carrier whose stream the token admits.
        route: the route in the stream's URL; empty if it has none.
        call_id: the call that the token is valid for; None: any call of this carrier and route.
        expires_s: Unix time after which the token is invalid.
        nonce: 16 to 64 characters of base64url, never used before.

    Returns:
        A string of letters, digits, `.`, `_` and `-`; about 120 characters if bound to a call.

    Raises:
        ValueError: the nonce has another format.
    """
    if not re.fullmatch(_NONCE, nonce):
        raise ValueError("nonce: must be 16 to 64 of A-Z a-z 0-9 _ -")
    call = "" if call_id is None else _mac(key, "call", nonce, call_id)
    return f"{expires_s}.{nonce}.{call}.{_stream_mac(key, carrier, route, expires_s, nonce, call)}"


def nonce_of(key: bytes, *parts: str) -> str:
    """Derive a nonce from parts that identify the token; the same parts give the same nonce."""
    return _mac(key, "nonce", *parts)


def read(
    keys: bytes | Sequence[bytes], carrier: str, route: str, token: str, now_s: float
) -> StreamToken:
    """Verify a token, except for its call, which is known only from the start message.

    Args:
        keys: see `mint`; one key, or several of which any may have made the token.
        carrier: the carrier of the stream.
        route: the route in the stream's URL; empty if it has none.
        token: the token in the stream's URL.
        now_s: the current time, Unix seconds.

    Raises:
        CarrierError: token-invalid: the mac is wrong for this carrier and route, or the token has
            expired.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise CarrierError("token-invalid")
    digits, nonce, call, mac = found.groups()
    expires_s = int(digits)
    keys = [keys] if isinstance(keys, bytes) else keys
    expected = [_stream_mac(key, carrier, route, expires_s, nonce, call) for key in keys]
    matches = [hmac.compare_digest(mac, each) for each in expected]  # all keys, for constant time
    if not any(matches) or now_s > expires_s:
        raise CarrierError("token-invalid")
    return StreamToken(nonce, expires_s, call, keys[matches.index(True)])


def _stream_mac(key: bytes, carrier: str, route: str, expires_s: int, nonce: str, call: str) -> str:
    return _mac(key, "stream", carrier, route, str(expires_s), nonce, call)


def _mac(key: bytes, *parts: str) -> str:
    """Compute a mac. Each part is preceded by its length, so that parts cannot run together."""
    mac = hmac.new(key, b"callscribe stream token v1", hashlib.sha256)
    for part in parts:
        data = part.encode(errors="surrogatepass")
        mac.update(b"%d:%b" % (len(data), data))
    return base64.urlsafe_b64encode(mac.digest()).decode().rstrip("=")
