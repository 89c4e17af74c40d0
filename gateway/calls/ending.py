"""Why a stream ended."""

from dataclasses import dataclass
from typing import Final

from gateway.errors import REASONS, CarrierError, Fault, GatewayError
from gateway.transcript.events import Status


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream ended, and what the carrier's socket is closed with."""

    status: Status
    reason: str
    close_code: int = 1000
    fault: Fault | None = None
    detail: str | None = None  # for the log

    @classmethod
    def failed(cls, error: GatewayError, status: Status = Status.FAILED) -> "Ending":
        """The ending that an error makes."""
        return cls(
            status, error.reason, error.meaning.close_code, error.fault, error.detail or None
        )


STOPPED: Final = Ending(Status.COMPLETED, "carrier-stopped")
CLOSED: Final = Ending(Status.COMPLETED, "carrier-closed")
TERMINATED: Final = Ending(Status.COMPLETED, "terminated")
DRAINED: Final = Ending(Status.DRAINED, "draining", REASONS["draining"].close_code)
FLOODED: Final = Ending.failed(CarrierError("message-flood"))
NONSENSE: Final = Ending.failed(CarrierError("timestamps-nonsense"))
IDLE: Final = Ending.failed(CarrierError("media-timeout"))
SILENT: Final = Ending(Status.COMPLETED, "silence")
TOO_LONG: Final = Ending(Status.COMPLETED, "max-duration")
