"""Signs and verifies the relay's tokens: JWTs with HMAC-SHA-256. Pure.

A token is a link, a session or a sign-in that is in progress. Each kind has its own key, type and
audience, so that no token is accepted as one of another kind. The keys are derived from the relay's
secrets. The first secret signs, and all of them verify. To replace a secret, put the new one first,
and remove the old one when its tokens have expired.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAX_LIFETIME_S: Final = 30 * 24 * 3600

_ALGORITHM: Final = "HS256"
_MAX_CHARACTERS: Final = 4096  # also the size that browsers accept for a cookie
_CLOCK_SKEW_S: Final = 60  # between relays
_JWS: Final = jwt.PyJWS()


class Kind(StrEnum):
    """What a token is for."""

    LINK = "link"
    SESSION = "session"
    SIGN_IN = "sign-in"


class TokenError(Exception):
    """A token is refused.

    Attributes:
        reason: `expired`, or `invalid` for all other causes.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Claims[C](msgspec.Struct):
    aud: str
    iat: int
    exp: int
    content: C


class Keyring:
    """The keys of all kinds of tokens.

    Args:
        secrets: the relay's secrets; the first one signs.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = {kind: [_derive(secret, kind) for secret in secrets] for kind in Kind}

    def sign(self, kind: Kind, content: object, *, now_s: float, until_s: int) -> str:
        """Return a token that is valid until `until_s`, in Unix seconds."""
        claims = _Claims(_audience(kind), int(now_s), until_s, content)
        payload = msgspec.json.encode(claims)
        return _JWS.encode(payload, self._keys[kind][0], _ALGORITHM, headers={"typ": _type(kind)})

    def verify[C](self, kind: Kind, token: str, content: type[C], now_s: float) -> C:
        """Return a token's content.

        Args:
            kind: the kind that the token must be of.
            token: the token, as received.
            content: the type of the content.
            now_s: the current time, in Unix seconds.

        Raises:
            TokenError: the token is expired or invalid.
        """
        try:
            payload = self._verified(kind, token)
            claims = msgspec.json.decode(payload, type=_Claims[content])  # type: ignore[valid-type]
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise TokenError("invalid") from None
        is_timely = claims.iat <= now_s + _CLOCK_SKEW_S
        if claims.aud != _audience(kind) or not is_timely or not _is_bounded(claims):
            raise TokenError("invalid")
        if claims.exp <= now_s:
            raise TokenError("expired")
        return claims.content

    def _verified(self, kind: Kind, token: str) -> bytes:
        """Return the payload of a token whose signature and type are correct."""
        if len(token) > _MAX_CHARACTERS or not token.isascii():
            raise TokenError("invalid")
        for key in self._keys[kind]:
            try:
                found = _JWS.decode_complete(token, key, [_ALGORITHM])
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError:
                break
            if found["header"].get("typ") == _type(kind):
                return bytes(found["payload"])
        raise TokenError("invalid")


def _is_bounded(claims: _Claims[object]) -> bool:
    return claims.exp - claims.iat <= MAX_LIFETIME_S


def _audience(kind: Kind) -> str:
    return f"callscribe-relay-{kind}"


def _type(kind: Kind) -> str:
    return f"callscribe-{kind}+jwt"


def _derive(secret: str, kind: Kind) -> bytes:
    """Return the key of a kind of token (RFC 5869)."""
    hkdf = HKDF(SHA256(), length=32, salt=None, info=f"callscribe relay {kind}".encode())
    return hkdf.derive(secret.encode())
