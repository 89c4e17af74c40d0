"""What the two indexes have in common: positions of segments, cursors, digests. Pure."""

import re
from hashlib import sha256
from typing import Final

from workers.search.index import MAX_LIMIT, CursorError, Limits, Search

# A segment's position orders the index: its time in ms, then a number that makes it unique. So the
# newest segments are read first, and a time is a range of positions.
PER_MS: Final = 1024
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
LAST: Final = _LAST_MS * PER_MS + PER_MS - 1
_CURSOR: Final = re.compile(r"[0-9]{1,18}")
PURGE_PENDING: Final = "purge_pending"  # in `meta`, while words of removed calls are in the files
VERSION: Final = "1"  # of the tables and of `words`; an index of another one is built anew


def position(at_ms: int) -> int:
    """Return the first position of a time."""
    return min(max(at_ms, 0), _LAST_MS) * PER_MS


def span(search: Search) -> tuple[int, int]:
    """Return the first and the last position that a search may return.

    Raises:
        CursorError: `after` is not a cursor.
    """
    query = search.query
    first = 0 if query.from_ms is None else position(query.from_ms)
    last = LAST if query.to_ms is None else position(query.to_ms) - 1
    if search.after:
        if not _CURSOR.fullmatch(search.after):
            raise CursorError
        last = min(last, int(search.after) - 1)
    return first, last


def limit_of(search: Search) -> int:
    """Return how many results a page has."""
    return min(max(search.limit, 1), MAX_LIMIT)


def admits(limits: Limits, call_id: str, route: str, tenant: str) -> bool:
    """Return whether a call may be found."""
    return (
        limits.call_id in (None, call_id)
        and limits.route in (None, route)
        and limits.tenant in (None, tenant)
    )


def digest(call_id: str) -> str:
    """Return what stands for a call that was removed."""
    return sha256(call_id.encode()).hexdigest()
