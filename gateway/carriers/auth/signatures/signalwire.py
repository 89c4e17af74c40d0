"""Verify SignalWire's signatures: HMAC-SHA1 over the URL and the posted data. Pure.

    base64, URL + form      cXML; sorted by name, all values of a repeated field in their order
    base64, only the URL    JSON to a cXML URL, which has `bodySHA256=<hex>` in its query
    hex, URL + body         JSON of SWML and RELAY

The secret is the project's signing key. The header is X-SignalWire-Signature or has Twilio's name.
Twilio's scheme (`twilio.py`) differs where a form repeats a field. Sources:
developer.signalwire.com/guides/webhook-security; signalwire/signalwire-typescript,
WebhookValidator.ts, and its tests, which have the vendor's vectors.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from gateway.carriers.auth.signatures.checks import (
    any_equal,
    listed,
    read_header,
    require_match,
    wire_bytes,
)
from gateway.carriers.auth.signatures.twilio import SIGNATURE_HEADER as TWILIO_SIGNATURE_HEADER
from gateway.carriers.auth.signatures.twilio import port_variants

SIGNATURE_HEADER: Final = "X-SignalWire-Signature"

_MAX_CHARACTERS: Final = 40  # hex of 20 bytes; 28 in base64
_BODY_HASH: Final = "bodySHA256"


def sign(key: str, url: str, form: Sequence[tuple[str, str]] = ()) -> str:
    """Compute the signature of a form, or of JSON whose hash is in the URL's query.

    Args:
        key: the project's signing key.
        url: the full URL, with its query if any.
        form: the POST's fields, in their order.

    Returns:
        base64 of HMAC-SHA1 over the URL and the fields, sorted by name.
    """
    text = url + "".join(name + value for name, value in sorted(form, key=lambda pair: pair[0]))
    return base64.b64encode(_mac(key, wire_bytes(text))).decode()


def sign_body(key: str, url: str, body: bytes) -> str:
    """Compute the signature of JSON from SWML and RELAY: hex of the MAC over URL and body."""
    return _mac(key, wire_bytes(url) + body).hex()


def verify(
    key: str | Sequence[str],
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    form: Sequence[tuple[str, str]] | None,
) -> str:
    """Verify a webhook's signature, with and without the URL's port.

    Args:
        key: see `sign`; one key, or several of which any may have signed.
        url: see `sign`.
        headers: the request's headers.
        body: the raw body.
        form: the form's fields; None: the body is not a form.

    Returns:
        The signature, by which the caller detects replays. Neither a time nor a nonce is signed.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    shown = headers.get(SIGNATURE_HEADER) or headers.get(TWILIO_SIGNATURE_HEADER)
    given = read_header(shown, _MAX_CHARACTERS)
    expected = [sign_body(each, url, body) for each in listed(key)] if form is None else []
    if _is_body_known(url, body, is_form=form is not None):
        urls = port_variants(url)
        expected += [sign(each, to, form or ()) for each in listed(key) for to in urls]
    require_match([given], expected)
    return given


def _is_body_known(url: str, body: bytes, *, is_form: bool) -> bool:
    """Return whether a signature over the URL covers the body, by its fields or by its hash."""
    hashes = [value for name, value in parse_qsl(url.partition("?")[2]) if name == _BODY_HASH]
    if not hashes:
        return is_form
    digest = hashlib.sha256(body).hexdigest()
    return len(hashes) == 1 and any_equal([wire_bytes(hashes[0].lower())], [digest.encode()])


def _mac(key: str, text: bytes) -> bytes:
    return hmac.digest(key.encode(), text, hashlib.sha1)
