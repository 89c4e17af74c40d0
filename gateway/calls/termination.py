"""Why a stream ended."""

from dataclasses import dataclass
from typing import Final

from gateway.errors import REASONS, CarrierError, Fault, GatewayError
from gateway.transcript.events import Status


@dataclass(frozen=True, slots=True)
class Termination:
    """Why a stream ended, and how the carrier's socket is closed."""

    status: Status
    reason: str
    close_code: int = 1000
    fault: Fault | None = None
    detail: str | None = None  # for the log

    @classmethod
    def failed(cls, error: GatewayError, status: Status = Status.FAILED) -> "Termination":
        """Return the termination that an error causes."""
        return cls(status, error.reason, error.info.close_code, error.fault, error.detail or None)


STOPPED: Final = Termination(Status.COMPLETED, "carrier-stopped")
CLOSED: Final = Termination(Status.COMPLETED, "carrier-closed")
TERMINATED: Final = Termination(Status.COMPLETED, "terminated")
DRAINED: Final = Termination(Status.DRAINED, "draining", REASONS["draining"].close_code)
FLOODED: Final = Termination.failed(CarrierError("message-flood"))
UNUSABLE_TIMESTAMPS: Final = Termination.failed(CarrierError("timestamps-nonsense"))
IDLE: Final = Termination.failed(CarrierError("media-timeout"))
SILENT: Final = Termination(Status.COMPLETED, "silence")
TOO_LONG: Final = Termination(Status.COMPLETED, "max-duration")
