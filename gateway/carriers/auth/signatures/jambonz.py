"""Verify jambonz' signature: HMAC-SHA256 over the time and the body, like Stripe's. Pure.

    Jambonz-Signature: t=1700000000,v1=<hex>[,v1=<hex>]

The URL is not signed. Upgrades are not signed either, but may have Basic credentials.
Sources: jambonz.org, "Webhooks: overview"; jambonz-feature-server, lib/utils/base-requestor.js.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from gateway.carriers.auth.signatures.checks import (
    MAX_SIGNATURES,
    TOLERANCE_S,
    listed,
    read_header,
    read_unix_time,
    require_fresh,
    require_match,
)
from gateway.errors import CarrierError

SIGNATURE_HEADER: Final = "Jambonz-Signature"

_MAX_CHARACTERS: Final = 512  # 81 with one v1


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Compute the signature of a request.

    Args:
        secret: the account's webhook secret.
        timestamp: Unix seconds, as in the header.
        body: the raw body.

    Returns:
        Lower-case hex, for the header's `v1`.
    """
    return hmac.digest(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()


def verify(
    secret: str | Sequence[str],
    signature: str | None,
    body: bytes,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Verify a webhook's signature.

    Args:
        secret: see `sign`; one secret, or several of which any may have signed.
        signature: the header's value; if it has several `v1`, one has to match.
        body: the raw body.
        now_s: the current time, Unix seconds.
        tolerance_s: how far the header's time may differ from it.

    Returns:
        The signature by the first secret. The caller has to store it for twice the tolerance to
        detect replays. (The header itself can be spelled in several ways.)

    Raises:
        CarrierError: signature-missing, signature-invalid or signature-stale.
    """
    items = read_header(signature, _MAX_CHARACTERS).split(",")
    pairs = [(name.strip(), value.strip()) for name, _, value in (i.partition("=") for i in items)]
    times = [value for name, value in pairs if name == "t"]
    if len(times) != 1:
        raise CarrierError("signature-invalid")
    signed_s = read_unix_time(times[0])
    given = [value for name, value in pairs if name == "v1"][:MAX_SIGNATURES]
    expected = [sign(each, times[0], body) for each in listed(secret)]
    require_match(given, expected)
    require_fresh(signed_s, now_s, tolerance_s)
    return expected[0]
