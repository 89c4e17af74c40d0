"""The tokens that let the media streams of Twilio's calls in. Pure."""

import base64
import hashlib
import hmac

from gateway.carriers.signatures.checks import wire_bytes
from gateway.errors import CarrierError


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
    good = hmac.compare_digest(wire_bytes(mac), _token_mac(auth_token, call_id, expires_s).encode())
    if not good or now_s > expires_s:
        raise CarrierError("token-invalid")


def _token_mac(auth_token: str, call_id: str, expires_s: int) -> str:
    key = hmac.digest(auth_token.encode(), b"callscribe media token v1", hashlib.sha256)
    mac = hmac.digest(key, wire_bytes(f"{call_id}\n{expires_s}"), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
