"""What SageMaker and the CRT report, as our reasons. Pure.

Nothing is quoted but codes, statuses and request ids, and of those only what looks like one: the
messages may hold what the model was sent.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from gateway.errors import UpstreamError

# Modelled by the SDK, in its spelling and in the service's, and common to all of AWS.
_BY_TYPE: Final = {
    "InputValidationError": "validation-error",
    "ValidationError": "validation-error",
    "ValidationException": "validation-error",
    "ModelError": "model-error",
    "ModelStreamError": "model-stream-error",
    "InternalStreamFailure": "internal-stream-failure",
    "InternalServerError": "internal-server-error",
    "InternalServerException": "internal-server-error",
    "InternalFailure": "internal-server-error",
    "ServiceUnavailableError": "service-unavailable",
    "ServiceUnavailable": "service-unavailable",
    "ServiceUnavailableException": "service-unavailable",
    "ThrottlingException": "throttled",
    "Throttling": "throttled",
    "ThrottledException": "throttled",
    "TooManyRequestsException": "throttled",
    "ResourceNotFound": "endpoint-not-found",
    "ResourceNotFoundException": "endpoint-not-found",
    "ExpiredToken": "credentials-expired",
    "ExpiredTokenException": "credentials-expired",
    "AccessDeniedException": "access-denied",
}
_BY_STATUS: Final = {
    400: "validation-error",
    401: "access-denied",
    403: "access-denied",
    404: "endpoint-not-found",
    424: "model-error",
    429: "throttled",
    500: "internal-server-error",
    502: "service-unavailable",
    503: "service-unavailable",
    504: "service-unavailable",
}
# Why a request was certainly not processed: it is safe to try on another connection.
NOT_SENT: Final = "closed before the request"
CRT_STREAM_LIMIT: Final = "AWS_ERROR_HTTP_MAX_CONCURRENT_STREAMS_EXCEEDED"
CRT_GOAWAY: Final = "AWS_ERROR_HTTP_GOAWAY_RECEIVED"  # our stream is newer than the last it names
NOT_PROCESSED: Final = frozenset({NOT_SENT, CRT_STREAM_LIMIT, CRT_GOAWAY})
_BY_CRT_NAME: Final = {
    CRT_STREAM_LIMIT: "throttled",
    "AWS_IO_SOCKET_CONNECTION_REFUSED": "connect-refused",
    "AWS_IO_SOCKET_TIMEOUT": "connect-timeout",
    "AWS_IO_SOCKET_NO_ROUTE_TO_HOST": "host-unreachable",
    "AWS_IO_SOCKET_NETWORK_DOWN": "host-unreachable",
    "AWS_IO_DNS_INVALID_NAME": "host-unreachable",
    "AWS_IO_DNS_QUERY_FAILED": "host-unreachable",
    "AWS_IO_DNS_NO_ADDRESS_FOR_HOST": "host-unreachable",
    # A handshake that broke off. An untrusted certificate is found by a probe of our own.
    "AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE": "connection-lost",
    "AWS_IO_TLS_NEGOTIATION_TIMEOUT": "connect-timeout",
    "AWS_ERROR_HTTP_UNSUPPORTED_PROTOCOL": "platform-protocol-error",
    "AWS_ERROR_HTTP_PROTOCOL_ERROR": "platform-protocol-error",
    "AWS_ERROR_HTTP_RST_STREAM_RECEIVED": "stream-reset",
    # The peer takes its connection down in good order: it restarts or drains.
    CRT_GOAWAY: "service-unavailable",
}
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# SageMaker reports an unknown endpoint as a validation error; only its message tells them apart.
_ENDPOINT_MISSING: Final = re.compile(r"Endpoint .* not found", re.DOTALL)


def from_crt(name: str) -> UpstreamError:
    """Why a connection or a stream of it is gone; `name` is the CRT's name of the error."""
    return UpstreamError(_BY_CRT_NAME.get(name, "connection-lost"), name)


def from_response(
    status: int, headers: Mapping[str, str], kind: str = "", message: str = ""
) -> UpstreamError:
    """Why the platform did not open the stream.

    Args:
        status: of the HTTP response, not 200.
        headers: of the response, names in lower case.
        kind: the error's type as found in the body, where no header names it.
        message: the service's text; looked at, never quoted.
    """
    kind = headers.get("x-amzn-errortype", kind).split("#")[-1].split(":")[0]
    reason = _BY_TYPE.get(kind) or _BY_STATUS.get(status, "platform-protocol-error")
    if reason == "validation-error" and _ENDPOINT_MISSING.search(message):
        reason = "endpoint-not-found"
    request_id = headers.get("x-amzn-requestid", "")
    return UpstreamError(reason, _codes(status=str(status), type=kind, request=request_id))


def from_exception_frame(headers: Mapping[str, str], payload: bytes) -> UpstreamError:
    """Why the platform ends the stream, from an event that is none."""
    kind = headers.get(":exception-type") or headers.get(":error-code", "")
    reason = _BY_TYPE.get(kind, "internal-stream-failure")
    return UpstreamError(reason, _codes(type=kind, code=_error_code(payload)))


def _error_code(payload: bytes) -> str:
    try:
        body = json.loads(payload)
    except ValueError:
        return ""
    code = body.get("ErrorCode") if isinstance(body, dict) else None
    return code if isinstance(code, str) else ""


def _codes(**named: str) -> str:
    """Those that look like codes, as "name=code"; anything else might be content."""
    return " ".join(f"{name}={code}" for name, code in named.items() if _CODE.fullmatch(code))
