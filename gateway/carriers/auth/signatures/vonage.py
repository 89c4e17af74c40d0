"""Vonage's signature: a JWT (HS256) with a hash of the body. Pure.

    Authorization: Bearer <JWT>    {"iss": "Vonage", "iat": ..., "jti": ..., "payload_hash": ...}

The URL is not signed. Of a GET the hash is of its query, written as a JSON object without spaces.
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

_MAX_CHARACTERS: Final = 2048  # about 450 are usual
_MIN_KEY_BYTES: Final = 32
# All times are judged by the clock that is passed in, and by `iat` alone.
_OPTIONS: Final[Options] = {"verify_iat": False, "verify_exp": False, "verify_nbf": False}


def verify(
    secret: str | Sequence[str],
    authorization: str | None,
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Check a webhook's signature.

    Args:
        secret: the account's signature secret; one, or several of which any may have signed.
        authorization: the header's value.
        body: as it came.
        now_s: Unix seconds.
        tolerance_s: how far the token's `iat` may be from it.

    Returns:
        The token's `jti`, by which the caller tells that a webhook is repeated, until twice the
        tolerance from now.

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
    """Write what is hashed of a GET: its query, in its order, as JavaScript writes JSON."""
    return json.dumps(query, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _claims(secret: str, token: str) -> dict[str, object]:
    """Read what a secret has signed; nothing if it has not."""
    # HMAC itself fills a short key up with zeros (RFC 2104, section 2): the same signatures, and no
    # warning for each of them. The secret is the account's; how long it is, is not for us to say.
    key = secret.encode().ljust(_MIN_KEY_BYTES, b"\0")
    try:
        return jwt.decode(token, key, algorithms=["HS256"], issuer="Vonage", options=_OPTIONS)
    except jwt.PyJWTError:
        return {}
