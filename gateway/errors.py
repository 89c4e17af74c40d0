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
class Meaning:
    """What follows from a reason."""

    fault: Fault
    close_code: int = 1011  # RFC 6455 section 7.4.1, sent to the carrier when its stream ends so
    retry: bool = False  # may the same attempt succeed later?


REASONS: dict[str, Meaning] = {
    # The carrier's protocol
    "malformed-message": Meaning(Fault.CARRIER, 1007),
    "message-too-big": Meaning(Fault.CARRIER, 1009),
    "start-timeout": Meaning(Fault.CARRIER, 1008),
    "media-before-start": Meaning(Fault.CARRIER, 1002),
    "undecodable-media": Meaning(Fault.CARRIER, 1007),  # media came, and none could be decoded
    "second-start": Meaning(Fault.CARRIER, 1002),
    "out-of-sequence": Meaning(Fault.CARRIER, 1002),
    "unknown-track": Meaning(Fault.CARRIER, 1002),
    "unsupported-encoding": Meaning(Fault.CARRIER, 1003),
    "binary-message": Meaning(Fault.CARRIER, 1003),
    "identity-mismatch": Meaning(Fault.CARRIER, 1008),  # what was signed is not who speaks
    "token-missing": Meaning(Fault.CARRIER, 1008),
    "token-invalid": Meaning(Fault.CARRIER, 1008),
    "signature-missing": Meaning(Fault.CARRIER),  # 401 or 403, before there is a socket to close
    "signature-invalid": Meaning(Fault.CARRIER),
    "signature-stale": Meaning(Fault.CARRIER),  # or one of the clocks is wrong
    "replayed": Meaning(Fault.CARRIER, 1008),
    "superseded": Meaning(Fault.CARRIER, 1008),  # the carrier connected again with the same token
    "keys-unavailable": Meaning(Fault.PLATFORM, 1013),  # of an issuer of tokens; 503
    "not-an-upgrade": Meaning(Fault.CARRIER),  # 400; often a proxy that drops the headers
    "unknown-path": Meaning(Fault.CARRIER),  # 404
    "wrong-method": Meaning(Fault.CARRIER),  # 405
    "carrier-not-open": Meaning(Fault.OURS),  # 404: its settings do not open it
    "webhook-not-open": Meaning(Fault.OURS),  # 404: likewise
    "body-timeout": Meaning(Fault.CARRIER),  # 408
    "body-too-big": Meaning(Fault.CARRIER),  # 413
    "unsupported-body": Meaning(Fault.CARRIER),  # 415
    "malformed-body": Meaning(Fault.CARRIER),  # 400
    "socket-lost": Meaning(Fault.CARRIER),
    "replies-unread": Meaning(Fault.CARRIER, 1008),
    "media-timeout": Meaning(Fault.CARRIER),
    "message-flood": Meaning(Fault.CARRIER, 1008),  # more messages than audio needs
    "timestamps-nonsense": Meaning(Fault.CARRIER, 1008),  # they leap without end
    "too-fast": Meaning(Fault.CARRIER, 1008),  # more audio than time has passed, and a minute
    # The way to the model
    "connect-refused": Meaning(Fault.NETWORK, retry=True),
    "connect-timeout": Meaning(Fault.NETWORK, retry=True),
    "host-unreachable": Meaning(Fault.NETWORK, retry=True),
    "tls-untrusted": Meaning(Fault.NETWORK),
    "connection-lost": Meaning(Fault.NETWORK, retry=True),
    "send-timeout": Meaning(Fault.NETWORK, retry=True),
    # SageMaker, or the server in its place
    "throttled": Meaning(Fault.PLATFORM, retry=True),
    "service-unavailable": Meaning(Fault.PLATFORM, retry=True),
    "internal-server-error": Meaning(Fault.PLATFORM, retry=True),
    "internal-stream-failure": Meaning(Fault.PLATFORM, retry=True),
    "response-timeout": Meaning(Fault.PLATFORM, retry=True),
    "stream-reset": Meaning(Fault.PLATFORM, retry=True),
    "validation-error": Meaning(Fault.OURS),
    "endpoint-not-found": Meaning(Fault.OURS),
    "platform-protocol-error": Meaning(Fault.PLATFORM, retry=True),
    # Who we are to the platform
    "no-credentials": Meaning(Fault.CREDENTIALS, retry=True),  # a metadata service may be away
    "credentials-expired": Meaning(Fault.CREDENTIALS, retry=True),
    "access-denied": Meaning(Fault.CREDENTIALS),
    # The model and its server
    "model-error": Meaning(Fault.MODEL, retry=True),
    "model-stream-error": Meaning(Fault.MODEL, retry=True),
    "model-not-found": Meaning(Fault.OURS),
    "realtime-error": Meaning(Fault.MODEL, retry=True),
    "realtime-protocol-error": Meaning(Fault.MODEL, retry=True),
    "created-timeout": Meaning(Fault.MODEL, retry=True),
    "done-timeout": Meaning(Fault.MODEL, retry=True),
    "ended-without-done": Meaning(Fault.MODEL, retry=True),
    "context-full": Meaning(Fault.MODEL, retry=True),
    "session-mute": Meaning(Fault.MODEL, retry=True),  # open, but no delta ever came
    "session-stalled": Meaning(Fault.MODEL, retry=True),  # deltas came, and come no more
    "model-rut": Meaning(Fault.MODEL, retry=True),  # empty deltas over speech
    "finish-timeout": Meaning(Fault.PLATFORM),  # the last words did not come in time
    # Places for sessions
    "endpoint-at-capacity": Meaning(Fault.PLATFORM, 1013, retry=True),
    "circuit-open": Meaning(Fault.PLATFORM, 1013, retry=True),
    "route-at-capacity": Meaning(Fault.OURS, 1013, retry=True),
    "no-route": Meaning(Fault.OURS, 1008),
    # Redis
    "redis-unavailable": Meaning(Fault.NETWORK, retry=True),
    "redis-refused": Meaning(Fault.OURS),
    "redis-lost-writes": Meaning(Fault.PLATFORM),
    "redis-stream-vanished": Meaning(Fault.PLATFORM),  # a live call's events were deleted
    "fenced": Meaning(Fault.OURS),
    "spool-full": Meaning(Fault.PLATFORM),  # the disk's share of an outage of Redis is used up
    "spool-failed": Meaning(Fault.PLATFORM),
    "spool-expired": Meaning(Fault.PLATFORM),  # left behind for longer than Redis remembers
    "gateway-lost": Meaning(Fault.OURS),  # the process died; the janitor says so
    # This process
    "draining": Meaning(Fault.OURS, 1012),
    "at-capacity": Meaning(Fault.OURS, 1013, retry=True),
    "overloaded": Meaning(Fault.OURS, 1013, retry=True),  # no CPU for another call
    "internal-error": Meaning(Fault.OURS),
}


class GatewayError(Exception):
    """A failure with a documented reason.

    Args:
        reason: a key of `REASONS`.
        detail: what else helps whoever reads it; must never hold content or secrets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.meaning = REASONS[reason]
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)

    @property
    def fault(self) -> Fault:
        """Who has to act."""
        return self.meaning.fault


class CarrierError(GatewayError):
    """The carrier's side broke its protocol; the stream ends with `meaning.close_code`."""


class UpstreamError(GatewayError):
    """A transcription session failed, or could not be opened."""


class PublishError(GatewayError):
    """Redis refused or lost a write."""
