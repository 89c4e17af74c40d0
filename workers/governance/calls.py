"""Call ids as people give them, by the partitions that may contain their keys. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from gateway.transcript.keys import MAX_ID_CHARACTERS, encode_id, homes

# Those of two calls with one id are longer than others by the names of a tenant and a carrier.
_LONGEST: Final = 4 * MAX_ID_CHARACTERS
_ENCODED: Final = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+")


class CallIdError(ValueError):
    """A text that can't be the id of a call."""


def as_in_events(text: str) -> str:
    """Return a call id as it is in events, from that or from the carrier's own form.

    Raises:
        CallIdError: it is empty or too long.
    """
    if not text or len(text) > _LONGEST:
        raise CallIdError(f"a call id has 1 to {_LONGEST} characters")
    return text if _ENCODED.fullmatch(text) else encode_id(text)


def by_partition(call_ids: Iterable[str], partitions: int) -> dict[int, list[str]]:
    """Return the calls that may have keys in each partition."""
    found: dict[int, list[str]] = {}
    for call_id in call_ids:
        for home in homes(call_id, partitions):
            found.setdefault(home, []).append(call_id)
    return found
