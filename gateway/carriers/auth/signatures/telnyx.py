"""Verify Telnyx's signature: Ed25519 over the time and the body. Pure.

The URL is not signed, so a proxy may change it. Upgrades are not signed.
Sources: developers.telnyx.com/api-reference/callbacks; telnyx-python, telnyx/webhook.py.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.carriers.auth.signatures.checks import (
    TOLERANCE_S,
    read_header,
    read_unix_time,
    require_fresh,
)
from gateway.errors import CarrierError

SIGNATURE_HEADER: Final = "telnyx-signature-ed25519"
TIMESTAMP_HEADER: Final = "telnyx-timestamp"

_MAX_CHARACTERS: Final = 88  # base64 of 64 bytes
_MAX_TIMESTAMP_CHARACTERS: Final = 12


def read_public_key(text: str) -> Ed25519PublicKey:
    """Parse the account's public key, as shown in the portal.

    Args:
        text: base64 of 32 bytes.

    Raises:
        ValueError: the text is not that.
    """
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def verify(
    public_key: Ed25519PublicKey | Sequence[Ed25519PublicKey],
    signature: str | None,
    timestamp: str | None,
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Verify a webhook's signature.

    Args:
        public_key: the account's key, or several of which any may have signed.
        signature: the signature header's value.
        timestamp: the timestamp header's value, Unix seconds.
        body: the raw body.
        now_s: the current time, Unix seconds.
        tolerance_s: how far the timestamp may differ from it.

    Returns:
        The signature in hex, which has only one spelling. The caller has to store it for twice the
        tolerance to detect replays.

    Raises:
        CarrierError: signature-missing, signature-invalid or signature-stale.
    """
    given = read_header(signature, _MAX_CHARACTERS)
    timestamp = read_header(timestamp, _MAX_TIMESTAMP_CHARACTERS)
    signed_s = read_unix_time(timestamp)
    try:
        decoded = base64.b64decode(given, validate=True)
    except binascii.Error:
        raise CarrierError("signature-invalid") from None
    keys = [public_key] if isinstance(public_key, Ed25519PublicKey) else public_key
    if not any(_is_signed(key, decoded, timestamp.encode() + b"|" + body) for key in keys):
        raise CarrierError("signature-invalid")
    require_fresh(signed_s, now_s, tolerance_s)
    return decoded.hex()


def _is_signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True
