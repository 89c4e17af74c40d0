"""Fault injection: makes the next streams fail in the ways in which the platform can fail.

    endpoint.faults.inject(faults.refused(429), streams=2)
    endpoint.faults.inject(faults.reset())                  # before the response headers
    endpoint.faults.inject(faults.reset(after_events=3))    # after 3 parts were relayed
    endpoint.faults.inject(faults.slow_start(0.5))
    endpoint.faults.max_concurrent_streams = 1              # for connections opened from now on

Each stream gets the oldest fault that is left. A stream without a fault runs normally.
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
    """Nothing is read, written or acknowledged; the stream stays open."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one stream and the time at which it occurs."""

    outcome: ends.End | Stalled | None  # None: the stream runs normally
    after_events: int | None = None  # None: instead of the response headers
    delay_s: float = 0.0  # from the request to the response headers


def refused(status: int) -> Fault:
    """Respond with an error status: 400, 403, 424, 429, 500 or 503."""
    return Fault(ends.Refused(status, _ERRORS[status], "injected"))


def model_stream_error(after_events: int, code: str = "1011") -> Fault:
    """End with the exception for a close by the container."""
    return Fault(ends.Failed(parts.MODEL_STREAM_ERROR, "injected", code), after_events)


def internal_stream_failure(after_events: int) -> Fault:
    """End with the exception for a failure of the platform."""
    return Fault(ends.Failed(parts.INTERNAL_STREAM_FAILURE, "injected"), after_events)


def early_end(after_events: int) -> Fault:
    """End normally although the container has not finished."""
    return Fault(ends.Completed(), after_events)


def reset(after_events: int | None = None) -> Fault:
    """Reset the stream."""
    return Fault(ends.Reset(), after_events)


def drop(after_events: int | None = None) -> Fault:
    """Abort the TCP connection."""
    return Fault(ends.Dropped(), after_events)


def go_away(after_events: int | None = None) -> Fault:
    """Send GOAWAY and close the connection."""
    return Fault(ends.WentAway(), after_events)


def stall(after_events: int) -> Fault:
    """Stop reading, writing and acknowledging, but keep the stream open."""
    return Fault(Stalled(), after_events)


def no_headers() -> Fault:
    """Never send response headers."""
    return Fault(Stalled())


def slow_start(delay_s: float) -> Fault:
    """Delay the response headers, then run the stream normally."""
    return Fault(None, delay_s=delay_s)


class Faults:
    """The queue of faults to inject."""

    def __init__(self) -> None:
        self.max_concurrent_streams: int | None = None  # None: the setting applies
        self._waiting: deque[Fault] = deque()

    def inject(self, fault: Fault, streams: int = 1) -> None:
        """Queue a fault for each of the next `streams` verified streams."""
        self._waiting.extend([fault] * streams)

    def clear(self) -> None:
        """Remove all queued faults."""
        self._waiting.clear()
        self.max_concurrent_streams = None

    def take(self) -> Fault | None:
        """Remove and return the next stream's fault, or None if none is queued."""
        return self._waiting.popleft() if self._waiting else None
