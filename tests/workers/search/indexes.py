"""Indexes for tests, and what is in them."""

from datetime import UTC, datetime
from typing import Any, Final

from workers.search.index import CallSeen, Page, Said, Search, SearchReader
from workers.search.query import parse

NOW: Final = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NOON_MS: Final = int(NOW.timestamp() * 1000)
TIMEOUT_S: Final = 20.0


def seen(call: str = "CA1", **own: str) -> CallSeen:
    """Return a call."""
    return CallSeen(call, **{"tenant": "acme", "carrier": "twilio", "route": "berlin", **own})


def said(text: str, segment: int = 1, call: str = "CA1", **own: Any) -> Said:
    """Return a segment; the n-th one of a call was closed n seconds after noon."""
    values: dict[str, Any] = {
        "stream_id": "MZ1",
        "owner": 1,
        "track": "inbound",
        "rev": 0,
        "role": "customer",
        "at_ms": NOON_MS + 1000 * segment,
        "start_ms": 1000 * segment,
        "end_ms": 1000 * segment + 800,
        **own,
    }
    return Said(call_id=call, segment=segment, text=text, **values)


async def find(index: SearchReader, query: str, **more: Any) -> Page:
    """Return the first page of a search."""
    return await index.search(Search(parse(query, NOW), **more))


async def texts(index: SearchReader, query: str, **more: Any) -> list[str]:
    """Return the texts that a search finds."""
    return [each.text for each in (await find(index, query, **more)).hits]
