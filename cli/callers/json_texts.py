"""JSON that carriers post and send, and that answers them. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec


def text(message: Mapping[str, object]) -> str:
    """Write a message."""
    return msgspec.json.encode(message).decode()


def moment(unix_ms: int) -> str:
    """Write a time of day: 2024-11-15T19:16:12.925Z."""
    time = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def actions(document: bytes) -> Iterator[Mapping[str, object]]:
    """Read a webhook's answer that is a list of actions; whatever else it has is left out.

    Raises:
        ValueError: it is no list.
    """
    try:
        decoded = msgspec.json.decode(document, type=list[Any])
    except msgspec.DecodeError:
        raise ValueError("no list of actions in the answer") from None
    return (action for action in decoded if isinstance(action, dict))
