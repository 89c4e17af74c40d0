"""Verify Plivo's signature, version 3: HMAC-SHA256 over the URL, the form and a nonce. Pure.

    https://host/path                       GET or upgrade
    https://host/path?a=1&b=2               the query decoded and sorted
    https://host/path?CallUUIDuFrom1        POST: the form's names and values, sorted
    https://host/path?a=1&b=2.CallUUIDuFrom1

Each is followed by `.` and the nonce. Sources: docs.plivo.com/docs/voice/xml/request/validation;
plivo-python, plivo/utils/signature_v3.py.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from gateway.carriers.auth.signatures.checks import (
    MAX_SIGNATURES,
    listed,
    read_header,
    require_match,
    wire_bytes,
)
from gateway.errors import CarrierError

SIGNATURE_HEADER: Final = "X-Plivo-Signature-V3"
NONCE_HEADER: Final = "X-Plivo-Signature-V3-Nonce"

_MAX_CHARACTERS: Final = 256  # 44 for one signature
_MAX_NONCE_CHARACTERS: Final = 128  # usually 20 digits
# No `.`: else the end of a form's last value could be moved to the beginning of the nonce.
_NONCE: Final = re.compile("[A-Za-z0-9_+/=-]+")


def sign(auth_token: str, url: str, nonce: str, form: Sequence[tuple[str, str]] = ()) -> str:
    """Compute the signature of a request.

    Args:
        auth_token: the token of the account or subaccount that the application belongs to.
        url: the full URL, with its query if any.
        nonce: the nonce header's value.
        form: the POST's fields.

    Returns:
        base64 of the HMAC-SHA256.
    """
    text = f"{_canonical(url, form)}.{nonce}"
    digest = hmac.digest(auth_token.encode(), wire_bytes(text), hashlib.sha256)
    return base64.b64encode(digest).decode()


def verify(
    auth_token: str | Sequence[str],
    url: str,
    signature: str | None,
    nonce: str | None,
    form: Sequence[tuple[str, str]] = (),
) -> str:
    """Verify a request's signature.

    An upgrade's signature is accepted for the wss and the https spelling of the URL: the vendor's
    page says "full URI including protocol", and the SDK signs any URL that it is given.

    Args:
        auth_token: see `sign`; one token, or several of which any may have signed.
        url: see `sign`; for an upgrade the scheme is wss.
        signature: the signature header's value; if it lists several, one has to match.
        nonce: the nonce header's value.
        form: the POST's fields.

    Returns:
        The nonce, by which the caller detects replays. No time is signed.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    given = read_header(signature, _MAX_CHARACTERS).split(",")[:MAX_SIGNATURES]
    nonce = read_header(nonce, _MAX_NONCE_CHARACTERS)
    if not _NONCE.fullmatch(nonce):
        raise CarrierError("signature-invalid")
    urls = _scheme_variants(url)
    expected = [sign(key, each, nonce, form) for key in listed(auth_token) for each in urls]
    require_match((each.strip() for each in given), expected)
    return nonce


def _canonical(url: str, form: Sequence[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    address = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    fields = "".join(name + value for name, value in sorted(form))
    question = "?" if query or form else ""
    dot = "." if query and form else ""
    return f"{address}{question}{query}{dot}{fields}"


def _scheme_variants(url: str) -> list[str]:
    return [url, "http" + url.removeprefix("ws")] if url.startswith("ws") else [url]
