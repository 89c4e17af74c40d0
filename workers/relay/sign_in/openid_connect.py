"""The authorization code flow with PKCE, without its requests. Pure.

Sources: OpenID Connect Core 1.0 (sections 3.1.2 and 3.1.3.7) and Discovery 1.0, RFC 7636 (PKCE).
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt
import msgspec
from jwt.types import Options

from workers.relay.sign_in.refusal import SignInError

KEY_KINDS: Final = ("RSA", "EC", "OKP")

_ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
_CLOCK_SKEW_S: Final = 60
_MAX_TOKEN_CHARACTERS: Final = 1 << 16  # a user may be in hundreds of groups
# `verify` checks all times itself, by the clock that is passed in.
_OPTIONS: Final[Options] = {
    "verify_iat": False,
    "verify_exp": False,
    "verify_nbf": False,
    "require": ["iss", "sub", "aud", "exp", "iat"],
}

type Keys = Mapping[str | None, jwt.PyJWK]


class UnknownKeyError(Exception):
    """A token names a key that was not published when the keys were read."""


class Metadata(msgspec.Struct, frozen=True):
    """A provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)

    @property
    def algorithms(self) -> list[str]:
        """Algorithms of ID tokens that both sides accept."""
        return sorted(_ALGORITHMS & set(self.id_token_signing_alg_values_supported))


@dataclass(frozen=True, slots=True)
class Client:
    """The relay as a client of the provider."""

    id: str
    secret: str | None = field(repr=False)  # None: a public client
    redirect_uri: str
    scopes: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in in progress; the browser keeps it in a signed cookie."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str  # where to go after signing in: a local path


def read_metadata(document: bytes, issuer: str) -> Metadata:
    """Parse a discovery document.

    Raises:
        ValueError: it is invalid, is of another issuer, names a URL with another scheme than the
            issuer's, or has no algorithm that is accepted here.
    """
    found = msgspec.json.decode(document, type=Metadata)
    if found.issuer != issuer:
        raise ValueError("the document is of another issuer")
    urls = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
    if any(urlsplit(url).scheme != urlsplit(issuer).scheme for url in urls):
        raise ValueError("a URL has another scheme")
    if not found.algorithms:
        raise ValueError("no common algorithm")
    return found


def authorization_url(metadata: Metadata, client: Client, attempt: Attempt) -> str:
    """Return the URL at which the user signs in."""
    digest = sha256(attempt.verifier.encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uri,
        "scope": client.scopes,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    endpoint = metadata.authorization_endpoint
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def token_request(
    metadata: Metadata, client: Client, code: str, verifier: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the form of the request that exchanges a code for tokens."""
    headers = {"Accept": "application/json"}
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    if client.secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
        pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"  # RFC 6749 section 2.3.1
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return headers, form
    form["client_id"] = client.id
    if client.secret:
        form["client_secret"] = client.secret
    return headers, form


def verify(
    token: str, keys: Keys, metadata: Metadata, client: Client, nonce: str, now_s: float
) -> dict[str, Any]:
    """Return the claims of an ID token.

    Raises:
        UnknownKeyError: the token names an unknown key, which may be a new one.
        SignInError: token-invalid.
    """
    claims = _claims(token, keys, metadata, client)
    match claims:
        case {"exp": int() | float() as until_s, "iat": int() | float() as issued_s}:
            from_s = claims.get("nbf", issued_s)
        case _:
            raise SignInError("token-invalid")
    if not isinstance(from_s, int | float):
        raise SignInError("token-invalid")
    is_timely = max(issued_s, from_s) - _CLOCK_SKEW_S <= now_s < until_s + _CLOCK_SKEW_S
    is_for_client = claims.get("azp", client.id) == client.id
    if not is_timely or not is_for_client or not _is_nonce(claims.get("nonce"), nonce):
        raise SignInError("token-invalid")
    return claims


def _claims(token: str, keys: Keys, metadata: Metadata, client: Client) -> dict[str, Any]:
    """Return the claims of a token whose signature, issuer and audience are correct."""
    try:
        if len(token) > _MAX_TOKEN_CHARACTERS or not token.isascii():
            raise SignInError("token-invalid")
        return jwt.decode(
            token,
            _key(token, keys),
            algorithms=metadata.algorithms,
            audience=client.id,
            issuer=metadata.issuer,
            options=_OPTIONS,
        )
    except jwt.InvalidSignatureError:
        if "kid" in jwt.get_unverified_header(token):
            raise SignInError("token-invalid") from None
        raise UnknownKeyError from None  # the only key may have been replaced
    except jwt.PyJWTError:
        raise SignInError("token-invalid") from None


def _key(token: str, keys: Keys) -> jwt.PyJWK:
    """Return the key that a token names. It may name none if only one is published."""
    kid = jwt.get_unverified_header(token).get("kid")
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    if kid not in keys:
        raise UnknownKeyError
    return keys[kid]


def _is_nonce(found: object, nonce: str) -> bool:
    return isinstance(found, str) and hmac.compare_digest(
        found.encode("utf-8", "replace"), nonce.encode()
    )
