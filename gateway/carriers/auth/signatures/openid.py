"""Verify a JWT (RS256) with the rotating keys that its issuer publishes: OpenID Connect. Pure.

    Authorization: Bearer <JWT>    {"iss": ..., "aud": ..., "exp": ..., "nbf": ...}

The issuer's configuration contains its name and the URL of its keys. The caller fetches both
documents and passes them to `OpenIdKeys`. Source: OpenID Connect Discovery 1.0, section 4.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import jwt
import msgspec
from jwt.types import Options

from common.openid import read_keys
from gateway.carriers.auth.signatures.checks import TOLERANCE_S, read_header
from gateway.errors import CarrierError

SIGNATURE_HEADER: Final = "Authorization"

_MAX_CHARACTERS: Final = 8192  # usually about 1000
# `verify` checks all times itself, by the clock that is passed in.
_OPTIONS: Final[Options] = {
    "verify_iat": False,
    "verify_exp": False,
    "verify_nbf": False,
    "require": ["iss", "aud", "exp"],
}


class _Configuration(msgspec.Struct):
    issuer: str
    jwks_uri: str


class OpenIdKeys:
    """The keys of one issuer, as read last.

    Args:
        url: the URL of the issuer's configuration.
        audience: the audience that tokens must have.

    Attributes:
        on_unknown: called when a token names an unknown key, which may be a new one.
    """

    def __init__(self, url: str, audience: str) -> None:
        self.url = url
        self._audience = audience
        self.on_unknown: Callable[[], None] = lambda: None
        self._issuer = ""
        self._keys: Mapping[str | None, jwt.PyJWK] = {}

    @property
    def source(self) -> tuple[str, str]:
        """URL of the issuer's configuration, and the required audience."""
        return self.url, self._audience

    def read_configuration(self, document: bytes) -> str:
        """Parse the issuer's configuration.

        Returns:
            The URL of its keys.

        Raises:
            ValueError: the document is invalid, or the URL's scheme differs from that of `url`.
        """
        found = msgspec.json.decode(document, type=_Configuration)
        if urlsplit(found.jwks_uri).scheme != urlsplit(self.url).scheme:
            raise ValueError("the URL of the keys has another scheme")
        self._issuer = found.issuer
        return found.jwks_uri

    def read_keys(self, document: bytes) -> None:
        """Parse the issuer's keys, a JSON Web Key Set, and replace the previous keys.

        Raises:
            ValueError: the document is invalid, or has no RSA key.
        """
        self._keys = read_keys(document, "RSA")

    def verify(self, authorization: str | None, now_s: float) -> tuple[str, float]:
        """Verify a request's token.

        Args:
            authorization: the header's value.
            now_s: the current time, Unix seconds; the token's times may be off by `TOLERANCE_S`.

        Returns:
            A digest of the signed text, which the caller must accept only once, and the Unix time
            until which it has to be stored.

        Raises:
            CarrierError: signature-missing, signature-invalid, signature-stale, or
                keys-unavailable: no keys have been read yet.
        """
        scheme, _, rest = read_header(authorization, _MAX_CHARACTERS).partition(" ")
        if scheme.lower() != "bearer":
            raise CarrierError("signature-invalid")
        if not self._keys:
            raise CarrierError("keys-unavailable")
        token = rest.strip()
        match self._claims(token):
            case {"exp": int() | float() as until_s, "nbf": int() | float() as from_s}:
                pass
            case {"exp": int() | float() as until_s}:
                from_s = 0
            case _:
                raise CarrierError("signature-invalid")
        if not from_s - TOLERANCE_S <= now_s <= until_s + TOLERANCE_S:
            raise CarrierError("signature-stale")
        signed = token.rpartition(".")[0]  # the signature itself can be spelled in several ways
        return sha256(signed.encode()).hexdigest(), until_s + TOLERANCE_S

    def _claims(self, token: str) -> dict[str, object]:
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                self.on_unknown()
                raise CarrierError("signature-invalid")
            return jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuer,
                options=_OPTIONS,
            )
        except jwt.PyJWTError:
            raise CarrierError("signature-invalid") from None
