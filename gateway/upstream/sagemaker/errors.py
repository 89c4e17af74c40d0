"""Map errors of SageMaker and of the CRT to the gateway's reasons. Pure.

Only codes, statuses and request ids are quoted, and only if they look like one. Messages are never
quoted, because they may contain what was sent to the model.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from gateway.errors import UpstreamError

# Errors modeled by the SDK, in its spelling and in the service's, and errors common to all of AWS.
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
# Details of requests that were certainly not processed, and can be retried on another connection.
NOT_SENT: Final = "closed before the request"
CRT_STREAM_LIMIT: Final = "AWS_ERROR_HTTP_MAX_CONCURRENT_STREAMS_EXCEEDED"
CRT_GOAWAY: Final = "AWS_ERROR_HTTP_GOAWAY_RECEIVED"  # the stream is newer than the last it names
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
    # The handshake broke off. An untrusted certificate is detected by a separate probe.
    "AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE": "connection-lost",
    "AWS_IO_TLS_NEGOTIATION_TIMEOUT": "connect-timeout",
    "AWS_ERROR_HTTP_UNSUPPORTED_PROTOCOL": "platform-protocol-error",
    "AWS_ERROR_HTTP_PROTOCOL_ERROR": "platform-protocol-error",
    "AWS_ERROR_HTTP_RST_STREAM_RECEIVED": "stream-reset",
    # The peer closes its connection in an orderly way: it restarts or drains.
    CRT_GOAWAY: "service-unavailable",
}
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# SageMaker reports an unknown endpoint as a validation error; only the message distinguishes it.
_ENDPOINT_MISSING: Final = re.compile(r"Endpoint .* not found", re.DOTALL)
# The container's close code for "no free session". The SDK documents an error code and a message,
# but not in which of them a close code is: both are searched.
_AT_CAPACITY: Final = re.compile(r"\b1013\b")


def from_crt(name: str) -> UpstreamError:
    """Return why a connection or a stream ended; `name` is the CRT's name of the error."""
    return UpstreamError(_BY_CRT_NAME.get(name, "connection-lost"), name)


def from_response(
    status: int, headers: Mapping[str, str], kind: str = "", message: str = ""
) -> UpstreamError:
    """Return why the platform did not open the stream.

    Args:
        status: status of the HTTP response, not 200.
        headers: headers of the response, with names in lower case.
        kind: the error's type from the body, used if no header has it.
        message: the service's text; searched, but never quoted.
    """
    kind = headers.get("x-amzn-errortype", kind).split("#")[-1].split(":")[0]
    reason = _BY_TYPE.get(kind) or _BY_STATUS.get(status, "platform-protocol-error")
    if reason == "validation-error" and _ENDPOINT_MISSING.search(message):
        reason = "endpoint-not-found"
    request_id = headers.get("x-amzn-requestid", "")
    return UpstreamError(reason, _codes(status=str(status), type=kind, request=request_id))


def from_exception_frame(headers: Mapping[str, str], payload: bytes) -> UpstreamError:
    """Return why the platform ends the stream, from an exception or error frame."""
    kind = headers.get(":exception-type") or headers.get(":error-code", "")
    reason = _BY_TYPE.get(kind, "internal-stream-failure")
    code, message = _texts(payload, "ErrorCode", "Message")
    if reason == "model-stream-error" and _AT_CAPACITY.search(f"{code} {message}"):
        reason = "model-at-capacity"
    return UpstreamError(reason, _codes(type=kind, code=code))


def _texts(payload: bytes, *names: str) -> list[str]:
    """Return fields of a JSON object; "" for each that is missing or no text."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        body = None
    values = [body.get(name) if isinstance(body, dict) else None for name in names]
    return [value if isinstance(value, str) else "" for value in values]


def _codes(**named: str) -> str:
    """Format values that look like codes as "name=code"; other values may be content."""
    return " ".join(f"{name}={code}" for name, code in named.items() if _CODE.fullmatch(code))
