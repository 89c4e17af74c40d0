"""All dialects, by the names that the routes file uses. Pure."""

from enum import StrEnum

from gateway.upstream.dialects.dialect import Dialect
from gateway.upstream.dialects.voxtral import Voxtral


class DialectName(StrEnum):
    """The dialects of an endpoint in the routes file."""

    VOXTRAL = "voxtral"


def make_dialect(name: DialectName, *, coalesce_ms: int = 0) -> Dialect:
    """Return a dialect.

    Args:
        name: its name.
        coalesce_ms: GATEWAY_COALESCE_MS, for servers behind the container's bridge.
    """
    match name:
        case DialectName.VOXTRAL:
            return Voxtral(coalesce_ms)
