"""Verify Vonage's signature: a JWT (HS256) with a hash of the body. Pure.

    Authorization: Bearer <JWT>    {"iss": "Vonage", "iat": ..., "jti": ..., "payload_hash": ...}

The URL is not signed. The hash of a GET is that of its query as a JSON object without spaces.
Sources: developer.vonage.com/en/getting-started/concepts/webhooks, "Signed webhooks";
api.support.vonage.com, "How do I verify that the Voice API Webhook request and it's payload has not
been tampered during transit".
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final

import jwt
from jwt.types import Options

from gateway.carriers.auth.signatures.checks import (
    TOLERANCE_S,
    listed,
    read_header,
    require_fresh,
    require_match,
)
from gateway.errors import CarrierError

SIGNATURE_HEADER: Final = "Authorization"

_MAX_CHARACTERS: Final = 2048  # usually about 450
_MIN_KEY_BYTES: Final = 32
# `verify` checks only `iat`, by the clock that is passed in.
_OPTIONS: Final[Options] = {"verify_iat": False, "verify_exp": False, "verify_nbf": False}


def verify(
    secret: str | Sequence[str],
    authorization: str | None,
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Verify a webhook's signature.

    Args:
        secret: the account's signature secret, or several of which any may have signed.
        authorization: the header's value.
        body: the raw body.
        now_s: the current time, Unix seconds.
        tolerance_s: how far the token's `iat` may differ from it.

    Returns:
        The token's `jti`. The caller has to store it for twice the tolerance to detect replays.

    Raises:
        CarrierError: signature-missing, signature-invalid or signature-stale.
    """
    scheme, _, token = read_header(authorization, _MAX_CHARACTERS).partition(" ")
    if scheme.lower() != "bearer":
        raise CarrierError("signature-invalid")
    claims = [_claims(each, token.strip()) for each in listed(secret)]
    match next((found for found in claims if found), {}):
        case {"iat": int() | float() as signed_s, "jti": str(jti), "payload_hash": str(given)} if (
            jti and jti.isascii() and given.isascii()
        ):
            require_match([given], [hashlib.sha256(body).hexdigest()])
            require_fresh(signed_s, now_s, tolerance_s)
            return jti
        case _:
            raise CarrierError("signature-invalid")


def payload_of_get(query: Mapping[str, str]) -> bytes:
    """Return the hashed text of a GET: its query, in order, as JavaScript encodes JSON."""
    return json.dumps(query, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _claims(secret: str, token: str) -> dict[str, object]:
    """Return the claims of a token; an empty dict if it was not signed with this secret."""
    # Padding avoids PyJWT's warning about short keys on every request. The signature is the same,
    # because HMAC pads short keys with zeros itself (RFC 2104, section 2). Vonage determines the
    # length of the secret.
    key = secret.encode().ljust(_MIN_KEY_BYTES, b"\0")
    try:
        return jwt.decode(token, key, algorithms=["HS256"], issuer="Vonage", options=_OPTIONS)
    except jwt.PyJWTError:
        return {}
