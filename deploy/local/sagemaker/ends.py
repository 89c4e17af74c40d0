"""The ways in which an invocation ends, and what the client receives for each. Pure.

Before the response headers, an error is a JSON body with `x-amzn-errortype`; after them, it is an
event stream frame.
"""

import json
from dataclasses import dataclass

from h2.errors import ErrorCodes


@dataclass(frozen=True, slots=True)
class Refused:
    """An error response instead of the stream."""

    status: int
    error: str  # AWS's error name, from which the SDK builds its exception
    message: str
    original_status: int | None = None  # the container's HTTP status, if it responded

    @property
    def body(self) -> bytes:
        """JSON body of the response."""
        fields: dict[str, str | int] = {"Message": self.message}
        if self.original_status is not None:
            fields["OriginalStatusCode"] = self.original_status
        return json.dumps(fields).encode()


@dataclass(frozen=True, slots=True)
class Failed:
    """An exception frame, followed by the end of the stream."""

    error: str
    message: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """A clean end of the stream."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM: resets this stream; the connection stays open."""

    code: ErrorCodes = ErrorCodes.INTERNAL_ERROR


@dataclass(frozen=True, slots=True)
class Dropped:
    """Aborts the TCP connection and every stream on it."""


@dataclass(frozen=True, slots=True)
class WentAway:
    """Sends GOAWAY, then closes the connection and every stream on it."""

    code: ErrorCodes = ErrorCodes.NO_ERROR


type End = Refused | Failed | Completed | Reset | Dropped | WentAway
