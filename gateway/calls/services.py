"""What a call needs from the process around it, as `app.py` puts it together once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.metrics import Metrics
from gateway.transcript.events import EventWriter
from gateway.upstream.transport import UpstreamTransport


class OpenWriter(Protocol):
    """Opens the transcript of one stream; the Redis publisher's `open_stream`."""

    def __call__(
        self, call_id: str, stream_id: str, epoch: int, on_fenced: Callable[[], None]
    ) -> EventWriter:
        """Return where the stream's events go; `on_fenced` tells that another gateway owns it."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How a call is cut and how long it waits; see the settings of the same names."""

    model: str
    chunk_ms: int
    open_timeout_s: float
    done_timeout_s: float
    unsent_ms: int
    segment_pause_ms: int
    segment_max_ms: int
    roles: dict[str, str] = field(default_factory=dict)  # track -> role; others are "unknown"


@dataclass(frozen=True, slots=True)
class CallServices:
    """The collaborators that all calls of the process share."""

    transport: UpstreamTransport
    open_writer: OpenWriter
    metrics: Metrics
    limits: CallLimits
    monotonic_s: Callable[[], float]
    wall_s: Callable[[], float]
