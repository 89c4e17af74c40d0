"""Shared checks: bounded headers, comparisons in constant time, timestamps. Pure."""

import hmac
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from gateway.errors import CarrierError

TOLERANCE_S: Final = 300  # both ways; the default of Telnyx's and jambonz' SDKs
MAX_SIGNATURES: Final = 4  # checked per header; there are two while a secret is being rotated

_UNIX_TIME: Final = re.compile("[0-9]{1,12}")


def read_header(value: str | None, max_characters: int) -> str:
    """Return a header's value if it can be a signature: short, and only ASCII.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    if not value:
        raise CarrierError("signature-missing")
    if len(value) > max_characters or not value.isascii():
        raise CarrierError("signature-invalid")
    return value


def read_unix_time(text: str) -> int:
    """Parse Unix seconds.

    Raises:
        CarrierError: signature-invalid.
    """
    if not _UNIX_TIME.fullmatch(text):
        raise CarrierError("signature-invalid")
    return int(text)


def any_equal[T: (str, bytes)](given: Iterable[T], expected: Collection[T]) -> bool:
    """Compare all pairs in constant time, so that timing does not reveal which pair is equal."""
    equal = [hmac.compare_digest(one, other) for one in given for other in expected]
    return any(equal)


def require_match(given: Iterable[str], expected: Collection[str]) -> None:
    """Compare ASCII strings in constant time.

    Raises:
        CarrierError: signature-invalid: no given string is expected.
    """
    if not any_equal(given, expected):
        raise CarrierError("signature-invalid")


def listed(secrets: str | Sequence[str]) -> Sequence[str]:
    """Return one or several secrets as a sequence."""
    return (secrets,) if isinstance(secrets, str) else secrets


def require_fresh(signed_s: float, now_s: float, tolerance_s: float) -> None:
    """Compare the time of a verified signature with the current time.

    Raises:
        CarrierError: signature-stale: it is too old or in the future.
    """
    if not now_s - tolerance_s <= signed_s <= now_s + tolerance_s:
        raise CarrierError("signature-stale")


def wire_bytes(text: str) -> bytes:
    """Return the bytes as received: HTTP values may contain bytes that are not valid text."""
    return text.encode(errors="surrogateescape")
