"""Twilio's signature, which SignalWire has too: HMAC-SHA1 over the URL and the form. Pure.

SignalWire signs what is compatible with Twilio (cXML) so; its secret is the space's signing key,
and the header may have either name. Upgrades are signed by Twilio alone.

Sources: twilio.com/docs/usage/security; twilio-python, request_validator.py;
signalwire.com/docs/platform/webhooks.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from gateway.carriers.signatures.checks import read_header, require_match, wire_bytes

SIGNATURE_HEADER: Final = "X-Twilio-Signature"
SIGNALWIRE_SIGNATURE_HEADER: Final = "X-SignalWire-Signature"

_MAX_CHARACTERS: Final = 28  # base64 of 20 bytes
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
    digest = hmac.digest(auth_token.encode(), wire_bytes(text), hashlib.sha1)
    return base64.b64encode(digest).decode()


def verify(
    auth_token: str, url: str, signature: str | None, form: Sequence[tuple[str, str]] = ()
) -> None:
    """Check a request's signature, with and without the URL's port, as Twilio's own validator does.

    Neither a time nor a nonce is signed: the same request may be shown again.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    given = read_header(signature, _MAX_CHARACTERS)
    require_match([given], [sign(auth_token, each, form) for each in _port_variants(url)])


def _port_variants(url: str) -> list[str]:
    """The URL as it is, without its port, and with its scheme's default port.

    The rest stays as it came: joined again from its parts, a bare `?` would be lost.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    default = f"{host}:{_DEFAULT_PORTS[parts.scheme]}"
    rest = url[len(f"{parts.scheme}://{parts.netloc}") :]
    variants = (f"{parts.scheme}://{netloc}{rest}" for netloc in (parts.netloc, host, default))
    return list(dict.fromkeys(variants))
