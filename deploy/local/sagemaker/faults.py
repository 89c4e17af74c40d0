"""Ends on demand: what a platform does on its bad days, for the next streams.

    endpoint.faults.inject(faults.refused(429), streams=2)
    endpoint.faults.inject(faults.reset())                  # before the response headers
    endpoint.faults.inject(faults.reset(after_events=3))    # once the container has 3 parts
    endpoint.faults.inject(faults.slow_start(0.5))
    endpoint.faults.max_concurrent_streams = 1              # of the connections opened from now on

Each stream takes the oldest fault that is left; a stream without one runs its course.
"""

from collections import deque
from dataclasses import dataclass

from deploy.local.sagemaker import ends, parts

_ERRORS = {
    400: "InputValidationError",
    403: "AccessDeniedException",
    424: "ModelError",
    429: "ThrottlingException",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}


@dataclass(frozen=True, slots=True)
class Stalled:
    """Nothing more happens: nothing is read, written or acknowledged; the stream stays open."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one stream, and when."""

    outcome: ends.End | Stalled | None  # None: the stream runs its course
    after_events: int | None = None  # None: in place of the response headers
    delay_s: float = 0.0  # from the request until the response headers


def refused(status: int) -> Fault:
    """Answer with an error status: 400, 403, 424, 429, 500 or 503."""
    return Fault(ends.Refused(status, _ERRORS[status], "injected"))


def model_stream_error(after_events: int, code: str = "1011") -> Fault:
    """End with the exception that reports a container's close."""
    return Fault(ends.Failed(parts.MODEL_STREAM_ERROR, "injected", code), after_events)


def internal_stream_failure(after_events: int) -> Fault:
    """End with the exception that reports the platform's own failure."""
    return Fault(ends.Failed(parts.INTERNAL_STREAM_FAILURE, "injected"), after_events)


def early_end(after_events: int) -> Fault:
    """End cleanly, though the container has not finished."""
    return Fault(ends.Completed(), after_events)


def reset(after_events: int | None = None) -> Fault:
    """Reset the stream."""
    return Fault(ends.Reset(), after_events)


def drop(after_events: int | None = None) -> Fault:
    """Abort the TCP connection."""
    return Fault(ends.Dropped(), after_events)


def go_away(after_events: int | None = None) -> Fault:
    """Say GOAWAY and close the connection."""
    return Fault(ends.WentAway(), after_events)


def stall(after_events: int) -> Fault:
    """Stop reading and writing, and open no window, but keep the stream."""
    return Fault(Stalled(), after_events)


def no_headers() -> Fault:
    """Never answer."""
    return Fault(Stalled())


def slow_start(delay_s: float) -> Fault:
    """Answer late, then run the stream's course."""
    return Fault(None, delay_s=delay_s)


class Faults:
    """What is to go wrong, in order."""

    def __init__(self) -> None:
        self.max_concurrent_streams: int | None = None  # None: as set
        self._waiting: deque[Fault] = deque()

    def inject(self, fault: Fault, streams: int = 1) -> None:
        """Apply a fault to the next `streams` verified streams that have none yet."""
        self._waiting.extend([fault] * streams)

    def clear(self) -> None:
        """Let all further streams run their course."""
        self._waiting.clear()
        self.max_concurrent_streams = None

    def take(self) -> Fault | None:
        """The next stream's fault."""
        return self._waiting.popleft() if self._waiting else None
