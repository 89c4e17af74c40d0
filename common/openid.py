"""Parses the signing keys that an OpenID issuer publishes: a JSON Web Key Set. Pure."""

from collections.abc import Mapping
from typing import Any

import jwt
import msgspec


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def read_keys(document: bytes, *kinds: str) -> Mapping[str | None, jwt.PyJWK]:
    """Return an issuer's keys by their id.

    Args:
        document: the key set.
        kinds: the types of keys to return: RSA, EC, OKP.

    Raises:
        ValueError: the document is invalid, or has no such key.
    """
    found = msgspec.json.decode(document, type=_KeySet).keys
    try:
        keys = jwt.PyJWKSet(found).keys
    except jwt.PyJWTError:
        raise ValueError("no keys") from None
    usable = {key.key_id: key for key in keys if key.key_type in kinds}
    if not usable:
        raise ValueError(f"no key of the type {' or '.join(kinds)}")
    return usable
