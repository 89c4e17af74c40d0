"""Twilio's HTTP side: request signatures, our stream tokens. Pure.

Twilio signs the URL it was told, not the one that reached us behind a proxy: every check is against
the configured public URL. Source: twilio.com/docs/usage/security; twilio-python, RequestValidator.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from gateway.errors import CarrierError

SIGNATURE_HEADER: Final = "X-Twilio-Signature"
_DEFAULT_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """Compute the signature of a request.

    Args:
        auth_token: the account's auth token.
        url: the full URL, with its query if any. For an upgrade the scheme is wss.
        form: the POST's fields; of a repeated one each distinct value counts once.

    Returns:
        base64 of HMAC-SHA1 over the URL and the sorted fields.
    """
    text = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.digest(auth_token.encode(), _bytes(text), hashlib.sha1)
    return base64.b64encode(digest).decode()


def verify(
    auth_token: str, url: str, signature: str | None, form: Sequence[tuple[str, str]] = ()
) -> None:
    """Check a request's signature, with and without the URL's port, as Twilio's own validator does.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    if not signature:
        raise CarrierError("signature-missing")
    given = _bytes(signature)
    expected = (sign(auth_token, variant, form).encode() for variant in _port_variants(url))
    if not any(hmac.compare_digest(each, given) for each in expected):
        raise CarrierError("signature-invalid")


def mint_token(auth_token: str, call_id: str, expires_s: int) -> str:
    """Make the token that lets this call's media stream in.

    Args:
        auth_token: the account's auth token; the token's key is derived from it, so that every
            gateway of the installation accepts what one of them made.
        call_id: the CallSid it is good for.
        expires_s: Unix time after which it is not.
    """
    return f"{expires_s}.{_token_mac(auth_token, call_id, expires_s)}"


def verify_token(auth_token: str, call_id: str, token: str, now_s: float) -> None:
    """Check a stream's token.

    Raises:
        CarrierError: token-invalid, when it is forged, of another call, or too old.
    """
    expires, _, mac = token.partition(".")
    expires_s = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 12 else 0
    good = hmac.compare_digest(_bytes(mac), _token_mac(auth_token, call_id, expires_s).encode())
    if not good or now_s > expires_s:
        raise CarrierError("token-invalid")


def _token_mac(auth_token: str, call_id: str, expires_s: int) -> str:
    key = hmac.digest(auth_token.encode(), b"callscribe media token v1", hashlib.sha256)
    mac = hmac.digest(key, _bytes(f"{call_id}\n{expires_s}"), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """What came over the wire: HTTP headers may hold bytes that are no text."""
    return text.encode(errors="surrogateescape")


def _port_variants(url: str) -> list[str]:
    """The URL as it is, without its port, and with its scheme's default port."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    default = f"{host}:{_DEFAULT_PORTS[parts.scheme]}"
    return list(
        dict.fromkeys(
            urlunsplit(parts._replace(netloc=netloc)) for netloc in (parts.netloc, host, default)
        )
    )
