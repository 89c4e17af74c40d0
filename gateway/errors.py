"""The gateway's errors, with a reason and its consequences for each failure.

    GatewayError
    +-- CarrierError    a carrier's request or stream was refused, or failed
    +-- UpstreamError   a transcription session failed or did not open
    +-- PublishError    Redis refused or lost a write

Every error has a `reason`: a stable slug that appears in logs, metrics and `stream.ended`.
`REASONS` defines for each reason whose fault it is, which WebSocket close code is sent, and whether
a retry may succeed. Error messages never quote what a peer sent, because they are logged and call
content must not be.
"""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Who has to act to prevent a failure."""

    CARRIER = "carrier"
    MODEL = "model"
    PLATFORM = "platform"
    NETWORK = "network"
    CREDENTIALS = "credentials"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """The consequences of a reason."""

    fault: Fault
    close_code: int = 1011  # RFC 6455 section 7.4.1; sent to the carrier at the end of the stream
    retry: bool = False  # whether the same attempt may succeed later


REASONS: dict[str, ReasonInfo] = {
    # The carrier's protocol
    "malformed-message": ReasonInfo(Fault.CARRIER, 1007),
    "message-too-big": ReasonInfo(Fault.CARRIER, 1009),
    "start-timeout": ReasonInfo(Fault.CARRIER, 1008),
    "media-before-start": ReasonInfo(Fault.CARRIER, 1002),
    "undecodable-media": ReasonInfo(Fault.CARRIER, 1007),  # none of the media could be decoded
    "second-start": ReasonInfo(Fault.CARRIER, 1002),
    "out-of-sequence": ReasonInfo(Fault.CARRIER, 1002),
    "unknown-track": ReasonInfo(Fault.CARRIER, 1002),
    "unsupported-encoding": ReasonInfo(Fault.CARRIER, 1003),
    "binary-message": ReasonInfo(Fault.CARRIER, 1003),
    "identity-mismatch": ReasonInfo(Fault.CARRIER, 1008),  # differs from what was authenticated
    "token-missing": ReasonInfo(Fault.CARRIER, 1008),
    "token-invalid": ReasonInfo(Fault.CARRIER, 1008),
    "signature-missing": ReasonInfo(Fault.CARRIER),  # 401 or 403, before the upgrade
    "signature-invalid": ReasonInfo(Fault.CARRIER),
    "signature-stale": ReasonInfo(Fault.CARRIER),  # or one of the clocks is wrong
    "replayed": ReasonInfo(Fault.CARRIER, 1008),
    # The carrier connected again with the same token.
    "superseded": ReasonInfo(Fault.CARRIER, 1008),
    "keys-unavailable": ReasonInfo(Fault.PLATFORM, 1013),  # 503: the token issuer's keys
    "not-an-upgrade": ReasonInfo(Fault.CARRIER),  # 400: often a proxy that drops the headers
    "unknown-path": ReasonInfo(Fault.CARRIER),  # 404
    "wrong-method": ReasonInfo(Fault.CARRIER),  # 405
    "carrier-not-open": ReasonInfo(Fault.OURS),  # 404: the carrier lacks a setting
    "webhook-not-open": ReasonInfo(Fault.OURS),  # 404: the webhook lacks a setting
    "body-timeout": ReasonInfo(Fault.CARRIER),  # 408
    "body-too-big": ReasonInfo(Fault.CARRIER),  # 413
    "unsupported-body": ReasonInfo(Fault.CARRIER),  # 415
    "malformed-body": ReasonInfo(Fault.CARRIER),  # 400
    "socket-lost": ReasonInfo(Fault.CARRIER),
    "replies-unread": ReasonInfo(Fault.CARRIER, 1008),
    "media-timeout": ReasonInfo(Fault.CARRIER),
    "message-flood": ReasonInfo(Fault.CARRIER, 1008),  # far more messages than its audio needs
    "timestamps-nonsense": ReasonInfo(Fault.CARRIER, 1008),  # timestamps jump again and again
    "too-fast": ReasonInfo(Fault.CARRIER, 1008),  # audio is over a minute ahead of real time
    # The network to the model
    "connect-refused": ReasonInfo(Fault.NETWORK, retry=True),
    "connect-timeout": ReasonInfo(Fault.NETWORK, retry=True),
    "host-unreachable": ReasonInfo(Fault.NETWORK, retry=True),
    "tls-untrusted": ReasonInfo(Fault.NETWORK),
    "connection-lost": ReasonInfo(Fault.NETWORK, retry=True),
    "send-timeout": ReasonInfo(Fault.NETWORK, retry=True),
    # SageMaker, or the WebSocket server
    "throttled": ReasonInfo(Fault.PLATFORM, retry=True),
    # The container that the platform chose serves as many sessions as it can (close code 1013).
    "model-at-capacity": ReasonInfo(Fault.PLATFORM, 1013, retry=True),
    "service-unavailable": ReasonInfo(Fault.PLATFORM, retry=True),
    "internal-server-error": ReasonInfo(Fault.PLATFORM, retry=True),
    "internal-stream-failure": ReasonInfo(Fault.PLATFORM, retry=True),
    "response-timeout": ReasonInfo(Fault.PLATFORM, retry=True),
    "stream-reset": ReasonInfo(Fault.PLATFORM, retry=True),
    "validation-error": ReasonInfo(Fault.OURS),
    "endpoint-not-found": ReasonInfo(Fault.OURS),
    "platform-protocol-error": ReasonInfo(Fault.PLATFORM, retry=True),
    # Credentials
    "no-credentials": ReasonInfo(Fault.CREDENTIALS, retry=True),  # or no metadata service answers
    "credentials-expired": ReasonInfo(Fault.CREDENTIALS, retry=True),
    "access-denied": ReasonInfo(Fault.CREDENTIALS),
    "payment-required": ReasonInfo(Fault.CREDENTIALS),  # the vendor's account has no credit
    # The model and its server
    "model-error": ReasonInfo(Fault.MODEL, retry=True),
    "model-stream-error": ReasonInfo(Fault.MODEL, retry=True),
    "model-not-found": ReasonInfo(Fault.OURS),
    "model-mismatch": ReasonInfo(Fault.OURS),  # it is not the model of the endpoint's dialect
    "realtime-error": ReasonInfo(Fault.MODEL, retry=True),
    "realtime-protocol-error": ReasonInfo(Fault.MODEL, retry=True),
    "created-timeout": ReasonInfo(Fault.MODEL, retry=True),
    "done-timeout": ReasonInfo(Fault.MODEL, retry=True),
    "ended-without-done": ReasonInfo(Fault.MODEL, retry=True),
    "context-full": ReasonInfo(Fault.MODEL, retry=True),
    "session-mute": ReasonInfo(Fault.MODEL, retry=True),  # the session sent no delta at all
    "session-stalled": ReasonInfo(Fault.MODEL, retry=True),  # the session stopped sending deltas
    "model-rut": ReasonInfo(Fault.MODEL, retry=True),  # a silent model: empty deltas during speech
    "finish-timeout": ReasonInfo(Fault.PLATFORM),  # the final transcripts did not come in time
    # Admission
    "endpoint-at-capacity": ReasonInfo(Fault.PLATFORM, 1013, retry=True),
    "circuit-open": ReasonInfo(Fault.PLATFORM, 1013, retry=True),
    "route-at-capacity": ReasonInfo(Fault.OURS, 1013, retry=True),
    "no-route": ReasonInfo(Fault.OURS, 1008),
    # Redis
    "redis-unavailable": ReasonInfo(Fault.NETWORK, retry=True),
    "redis-refused": ReasonInfo(Fault.OURS),
    "call-erased": ReasonInfo(Fault.OURS),  # an operator erased the call; it is not written again
    "redis-lost-writes": ReasonInfo(Fault.PLATFORM),
    "redis-stream-vanished": ReasonInfo(Fault.PLATFORM),  # a live call's events were deleted
    "fenced": ReasonInfo(Fault.OURS),
    "spool-full": ReasonInfo(Fault.PLATFORM),  # GATEWAY_SPOOL_MAX_MB is used up
    "spool-failed": ReasonInfo(Fault.PLATFORM),
    "spool-expired": ReasonInfo(Fault.PLATFORM),  # the events are older than Redis's retention
    "gateway-lost": ReasonInfo(Fault.OURS),  # the lease expired; written by the janitor
    # This process
    "draining": ReasonInfo(Fault.OURS, 1012),
    "at-capacity": ReasonInfo(Fault.OURS, 1013, retry=True),
    "overloaded": ReasonInfo(Fault.OURS, 1013, retry=True),  # not enough CPU for another call
    "internal-error": ReasonInfo(Fault.OURS),
}


class GatewayError(Exception):
    """A failure with a documented reason.

    Args:
        reason: a key of `REASONS`.
        detail: further information for the operator; must never contain call content or secrets.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.info = REASONS[reason]
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)

    @property
    def fault(self) -> Fault:
        """Who has to act to prevent the failure."""
        return self.info.fault


class CarrierError(GatewayError):
    """A carrier's request or stream was refused, or failed; it ends with `info.close_code`."""


class UpstreamError(GatewayError):
    """A transcription session failed or did not open."""


class PublishError(GatewayError):
    """Redis refused or lost a write."""
