"""The ways an invocation ends, and what the client sees of each. Pure.

Errors before the response are JSON with `x-amzn-errortype`; afterwards they are frames.
"""

import json
from dataclasses import dataclass

from h2.errors import ErrorCodes


@dataclass(frozen=True, slots=True)
class Refused:
    """An error response in place of the stream."""

    status: int
    error: str  # AWS's name: the SDK builds its exception from it
    message: str
    original_status: int | None = None  # the container's answer, where it gave one

    @property
    def body(self) -> bytes:
        """The response's JSON."""
        fields: dict[str, str | int] = {"Message": self.message}
        if self.original_status is not None:
            fields["OriginalStatusCode"] = self.original_status
        return json.dumps(fields).encode()


@dataclass(frozen=True, slots=True)
class Failed:
    """An exception frame, then the end of the stream."""

    error: str
    message: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """A clean end of the stream."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM: this stream is gone, its connection stays."""

    code: ErrorCodes = ErrorCodes.INTERNAL_ERROR


@dataclass(frozen=True, slots=True)
class Dropped:
    """The TCP connection is aborted, with every stream on it."""


@dataclass(frozen=True, slots=True)
class WentAway:
    """GOAWAY, then the connection closes, with every stream on it."""

    code: ErrorCodes = ErrorCodes.NO_ERROR


type End = Refused | Failed | Completed | Reset | Dropped | WentAway
