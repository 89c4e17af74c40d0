"""A result of a search as JSON, for programs: docs/search.md describes its fields. Pure."""

from typing import Any

import msgspec

from gateway.transcript.encode import rfc3339_ms
from workers.search.index import Hit
from workers.search.snippets import Snippet


def result_of(hit: Hit, shown: Snippet) -> dict[str, Any]:
    """Return a segment that was found, with the part of its text that is shown."""
    values = msgspec.structs.asdict(hit)
    at = rfc3339_ms(values.pop("at_ms") / 1000)
    return values | {"at": at, "text": shown.text, "highlights": shown.highlights}
