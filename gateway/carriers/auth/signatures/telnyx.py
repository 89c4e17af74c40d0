"""Telnyx's signature: Ed25519 over the time and the body. Pure.

The URL is not signed: proxies do no harm. Upgrades are not signed.
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
    """Read the account's public key, as the portal shows it.

    Args:
        text: base64 of 32 bytes.

    Raises:
        ValueError: it is something else.
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
    """Check a webhook's signature.

    Args:
        public_key: the account's; one, or several of which any may have signed.
        signature: its header's value.
        timestamp: its header's value, Unix seconds.
        body: as it came.
        now_s: Unix seconds.
        tolerance_s: how far the timestamp may be from it.

    Returns:
        The signature in the one spelling it has in hex, by which the caller tells that a webhook is
        repeated, until twice the tolerance from now.

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
