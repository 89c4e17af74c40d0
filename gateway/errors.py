"""Every failure the gateway knows, and what follows from it.

    GatewayError
    +-- CarrierError    the media socket or webhook broke its protocol
    +-- UpstreamError   the transcription session failed, or never opened
    +-- PublishError    Redis refused or lost a write

An error carries a `reason`: a stable slug that appears in logs, metrics and `stream.ended`. What a
reason means (whose fault, which WebSocket close code, worth a retry) stands once, in `REASONS`.
Messages never quote what a peer sent: a message may be logged, content may not.
"""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Who has to act for a failure not to come back."""

    CARRIER = "carrier"
    MODEL = "model"
    PLATFORM = "platform"
    NETWORK = "network"
    CREDENTIALS = "credentials"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """What follows from a reason."""

    fault: Fault
    close_code: int = 1011  # RFC 6455 section 7.4.1, sent to the carrier when its stream ends so
    retry: bool = False  # may the same attempt succeed later?


REASONS: dict[str, ReasonInfo] = {
    # The carrier's protocol
    "malformed-message": ReasonInfo(Fault.CARRIER, 1007),
    "message-too-big": ReasonInfo(Fault.CARRIER, 1009),
    "start-timeout": ReasonInfo(Fault.CARRIER, 1008),
    "media-before-start": ReasonInfo(Fault.CARRIER, 1002),
    "undecodable-media": ReasonInfo(Fault.CARRIER, 1007),  # media came, and none could be decoded
    "second-start": ReasonInfo(Fault.CARRIER, 1002),
    "out-of-sequence": ReasonInfo(Fault.CARRIER, 1002),
    "unknown-track": ReasonInfo(Fault.CARRIER, 1002),
    "unsupported-encoding": ReasonInfo(Fault.CARRIER, 1003),
    "binary-message": ReasonInfo(Fault.CARRIER, 1003),
    "identity-mismatch": ReasonInfo(Fault.CARRIER, 1008),  # what was signed is not who speaks
    "token-missing": ReasonInfo(Fault.CARRIER, 1008),
    "token-invalid": ReasonInfo(Fault.CARRIER, 1008),
    "signature-missing": ReasonInfo(Fault.CARRIER),  # 401 or 403, before there is a socket to close
    "signature-invalid": ReasonInfo(Fault.CARRIER),
    "signature-stale": ReasonInfo(Fault.CARRIER),  # or one of the clocks is wrong
    "replayed": ReasonInfo(Fault.CARRIER, 1008),
    "superseded": ReasonInfo(
        Fault.CARRIER, 1008
    ),  # the carrier connected again with the same token
    "keys-unavailable": ReasonInfo(Fault.PLATFORM, 1013),  # of an issuer of tokens; 503
    "not-an-upgrade": ReasonInfo(Fault.CARRIER),  # 400; often a proxy that drops the headers
    "unknown-path": ReasonInfo(Fault.CARRIER),  # 404
    "wrong-method": ReasonInfo(Fault.CARRIER),  # 405
    "carrier-not-open": ReasonInfo(Fault.OURS),  # 404: its settings do not open it
    "webhook-not-open": ReasonInfo(Fault.OURS),  # 404: likewise
    "body-timeout": ReasonInfo(Fault.CARRIER),  # 408
    "body-too-big": ReasonInfo(Fault.CARRIER),  # 413
    "unsupported-body": ReasonInfo(Fault.CARRIER),  # 415
    "malformed-body": ReasonInfo(Fault.CARRIER),  # 400
    "socket-lost": ReasonInfo(Fault.CARRIER),
    "replies-unread": ReasonInfo(Fault.CARRIER, 1008),
    "media-timeout": ReasonInfo(Fault.CARRIER),
    "message-flood": ReasonInfo(Fault.CARRIER, 1008),  # more messages than audio needs
    "timestamps-nonsense": ReasonInfo(Fault.CARRIER, 1008),  # they leap without end
    "too-fast": ReasonInfo(Fault.CARRIER, 1008),  # more audio than time has passed, and a minute
    # The way to the model
    "connect-refused": ReasonInfo(Fault.NETWORK, retry=True),
    "connect-timeout": ReasonInfo(Fault.NETWORK, retry=True),
    "host-unreachable": ReasonInfo(Fault.NETWORK, retry=True),
    "tls-untrusted": ReasonInfo(Fault.NETWORK),
    "connection-lost": ReasonInfo(Fault.NETWORK, retry=True),
    "send-timeout": ReasonInfo(Fault.NETWORK, retry=True),
    # SageMaker, or the server in its place
    "throttled": ReasonInfo(Fault.PLATFORM, retry=True),
    "service-unavailable": ReasonInfo(Fault.PLATFORM, retry=True),
    "internal-server-error": ReasonInfo(Fault.PLATFORM, retry=True),
    "internal-stream-failure": ReasonInfo(Fault.PLATFORM, retry=True),
    "response-timeout": ReasonInfo(Fault.PLATFORM, retry=True),
    "stream-reset": ReasonInfo(Fault.PLATFORM, retry=True),
    "validation-error": ReasonInfo(Fault.OURS),
    "endpoint-not-found": ReasonInfo(Fault.OURS),
    "platform-protocol-error": ReasonInfo(Fault.PLATFORM, retry=True),
    # Who we are to the platform
    "no-credentials": ReasonInfo(Fault.CREDENTIALS, retry=True),  # a metadata service may be away
    "credentials-expired": ReasonInfo(Fault.CREDENTIALS, retry=True),
    "access-denied": ReasonInfo(Fault.CREDENTIALS),
    # The model and its server
    "model-error": ReasonInfo(Fault.MODEL, retry=True),
    "model-stream-error": ReasonInfo(Fault.MODEL, retry=True),
    "model-not-found": ReasonInfo(Fault.OURS),
    "realtime-error": ReasonInfo(Fault.MODEL, retry=True),
    "realtime-protocol-error": ReasonInfo(Fault.MODEL, retry=True),
    "created-timeout": ReasonInfo(Fault.MODEL, retry=True),
    "done-timeout": ReasonInfo(Fault.MODEL, retry=True),
    "ended-without-done": ReasonInfo(Fault.MODEL, retry=True),
    "context-full": ReasonInfo(Fault.MODEL, retry=True),
    "session-mute": ReasonInfo(Fault.MODEL, retry=True),  # open, but no delta ever came
    "session-stalled": ReasonInfo(Fault.MODEL, retry=True),  # deltas came, and come no more
    "model-rut": ReasonInfo(Fault.MODEL, retry=True),  # empty deltas over speech
    "finish-timeout": ReasonInfo(Fault.PLATFORM),  # the last words did not come in time
    # Places for sessions
    "endpoint-at-capacity": ReasonInfo(Fault.PLATFORM, 1013, retry=True),
    "circuit-open": ReasonInfo(Fault.PLATFORM, 1013, retry=True),
    "route-at-capacity": ReasonInfo(Fault.OURS, 1013, retry=True),
    "no-route": ReasonInfo(Fault.OURS, 1008),
    # Redis
    "redis-unavailable": ReasonInfo(Fault.NETWORK, retry=True),
    "redis-refused": ReasonInfo(Fault.OURS),
    "redis-lost-writes": ReasonInfo(Fault.PLATFORM),
    "redis-stream-vanished": ReasonInfo(Fault.PLATFORM),  # a live call's events were deleted
    "fenced": ReasonInfo(Fault.OURS),
    "spool-full": ReasonInfo(Fault.PLATFORM),  # the disk's share of an outage of Redis is used up
    "spool-failed": ReasonInfo(Fault.PLATFORM),
    "spool-expired": ReasonInfo(Fault.PLATFORM),  # left behind for longer than Redis remembers
    "gateway-lost": ReasonInfo(Fault.OURS),  # the process died; the janitor says so
    # This process
    "draining": ReasonInfo(Fault.OURS, 1012),
    "at-capacity": ReasonInfo(Fault.OURS, 1013, retry=True),
    "overloaded": ReasonInfo(Fault.OURS, 1013, retry=True),  # no CPU for another call
    "internal-error": ReasonInfo(Fault.OURS),
}


class GatewayError(Exception):
    """A failure with a documented reason.

    Args:
        reason: a key of `REASONS`.
        detail: what else helps whoever reads it; must never hold content or secrets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.info = REASONS[reason]
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)

    @property
    def fault(self) -> Fault:
        """Who has to act."""
        return self.info.fault


class CarrierError(GatewayError):
    """The carrier's side broke its protocol; the stream ends with `info.close_code`."""


class UpstreamError(GatewayError):
    """A transcription session failed, or could not be opened."""


class PublishError(GatewayError):
    """Redis refused or lost a write."""
