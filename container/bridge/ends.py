"""The ways in which a session ends, and what the platform receives for each. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """Reason for which a session ended."""

    COMPLETED = "completed"  # the platform closed, and all replies were relayed
    DRAIN_TIMEOUT = "drain_timeout"  # the platform closed, but the engine was not done in time
    PLATFORM_LOST = "platform_lost"
    ENGINE_CLOSED = "engine_closed"
    ENGINE_LOST = "engine_lost"
    ENGINE_UNREACHABLE = "engine_unreachable"
    ENGINE_REFUSED = "engine_refused"
    NOT_TEXT = "not_text"  # the platform sent a frame that is not UTF-8
    TOO_BIG = "too_big"
    AT_CAPACITY = "at_capacity"  # refused: BRIDGE_MAX_SESSIONS are live
    RESTART = "restart"  # this process stops


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a session and the Close frame to send to the platform."""

    end: End
    code: int
    reason: bytes = b""
