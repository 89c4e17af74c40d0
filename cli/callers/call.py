"""A call to place, and how far it came."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

type Message = str | bytes  # of a WebSocket: text or binary


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class Call:
    """One call; its tracks are mu-law, 8 kHz, the shorter ones padded with silence."""

    tracks: Mapping[str, bytes] = field(repr=False)
    call_id: str = field(default_factory=_new_id)  # by which its events are found
    stream_id: str = field(default_factory=_new_id)
    prepared: Sequence[Sequence[str]] | None = field(default=None, repr=False)  # media, if written
    first_frame_s: float | None = None  # monotonic, when the first media message went out
    frames: int = 0  # media messages sent
    refused_with: int | None = None  # close code, if the gateway ended a stream
