"""Verify Twilio's signature: HMAC-SHA1 over the URL and the form. Pure.

Sources: twilio.com/docs/usage/security; twilio-python, request_validator.py.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from gateway.carriers.auth.signatures.checks import listed, read_header, require_match, wire_bytes

SIGNATURE_HEADER: Final = "X-Twilio-Signature"

_MAX_CHARACTERS: Final = 28  # base64 of 20 bytes
_DEFAULT_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """Compute the signature of a request.

    Args:
        auth_token: the account's auth token.
        url: the full URL, with its query if any. For an upgrade the scheme is wss.
        form: the POST's fields; equal fields count once.

    Returns:
        base64 of HMAC-SHA1 over the URL and the sorted fields.
    """
    text = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.digest(auth_token.encode(), wire_bytes(text), hashlib.sha1)
    return base64.b64encode(digest).decode()


def verify(
    auth_token: str | Sequence[str],
    url: str,
    signature: str | None,
    form: Sequence[tuple[str, str]] = (),
) -> str:
    """Verify a request's signature, with and without the URL's port, as Twilio's SDK does.

    Args:
        auth_token: see `sign`; one token, or several of which any may have signed.
        url: see `sign`.
        signature: the signature header's value.
        form: see `sign`.

    Returns:
        The signature, by which the caller detects replays. Neither a time nor a nonce is signed.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    given = read_header(signature, _MAX_CHARACTERS)
    urls = port_variants(url)
    require_match([given], [sign(key, each, form) for key in listed(auth_token) for each in urls])
    return given


def port_variants(url: str) -> list[str]:
    """Return the URL unchanged, without its port, and with its scheme's default port.

    The path and query are copied unchanged: if the URL were parsed and joined, a bare `?` would be
    lost.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    default = f"{host}:{_DEFAULT_PORTS[parts.scheme]}"
    rest = url[len(f"{parts.scheme}://{parts.netloc}") :]
    variants = (f"{parts.scheme}://{netloc}{rest}" for netloc in (parts.netloc, host, default))
    return list(dict.fromkeys(variants))
