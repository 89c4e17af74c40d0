"""What a segment can be filtered by, as terms of the index. Pure.

A value becomes a term of fixed length, so that any text can be a value. Terms begin with an
underscore, which no word has. The case of a value does not matter; scopes, where it does, are
checked once more by value.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from workers.search.query import Field

ANY: Final = "any"  # alert:any, gap:any
_BYTES: Final = 8
_OWN: Final = (Field.TENANT, Field.CARRIER, Field.ROUTE, Field.DISPOSITION)


def facet(name: Field, value: str) -> str:
    """Return the term of a value."""
    folded = f"{name}:{value.casefold()}".encode(errors="replace")
    return f"_{blake2b(folded, digest_size=_BYTES).hexdigest()}"


def of_call(
    call_id: str,
    own: Iterable[str] = (),
    alerts: Iterable[tuple[str, str]] = (),
    gaps: Iterable[str] = (),
) -> str:
    """Return the terms that all segments of a call have, separated by spaces.

    Args:
        call_id: the call.
        own: its tenant, carrier, route and disposition; each may be empty.
        alerts: rule and severity of each alert that is raised.
        gaps: the cause of each gap.
    """
    values = [
        (Field.CALL, call_id),
        *zip(_OWN, own, strict=False),
        *((Field.ALERT, each) for alert in alerts for each in (*alert, ANY)),
        *((Field.GAP, each) for cause in gaps for each in (cause, ANY)),
    ]
    return " ".join(dict.fromkeys(facet(name, value) for name, value in values if value))
