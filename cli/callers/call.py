"""A call to place, and its progress."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

RATE_HZ: Final = 8000  # of a call's tracks, which are G.711 mu-law
MULAW_SILENCE: Final = b"\xff"

type Message = str | bytes  # a WebSocket message, text or binary


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class Call:
    """One call; its tracks are mu-law at 8 kHz, and shorter ones are padded with silence."""

    tracks: Mapping[str, bytes] = field(repr=False)
    call_id: str = field(default_factory=_new_id)  # its events are stored under this
    stream_id: str = field(default_factory=_new_id)
    prepared: Sequence[Sequence[str]] | None = field(default=None, repr=False)  # media messages
    first_frame_s: float | None = None  # monotonic time when the first media message was sent
    frames: int = 0  # media messages sent
    refused_with: int | None = None  # close code, if the gateway ended a stream
