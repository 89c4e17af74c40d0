"""Mapping of the platform's errors to reasons, which never quote its texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.sagemaker.errors import from_crt, from_exception_frame, from_response


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, "InputValidationError", "validation-error"),
        (400, "com.amazonaws.sagemaker#ValidationException:http://x", "validation-error"),
        (400, "ThrottlingException", "throttled"),
        (403, "ExpiredTokenException", "credentials-expired"),
        (403, "AccessDeniedException", "access-denied"),
        (403, "InvalidSignatureException", "access-denied"),
        (403, "", "access-denied"),
        (404, "", "endpoint-not-found"),
        (424, "ModelError", "model-error"),
        (429, "", "throttled"),
        (500, "InternalServerError", "internal-server-error"),
        (503, "ServiceUnavailableError", "service-unavailable"),
        (504, "", "service-unavailable"),
        (302, "", "platform-protocol-error"),
    ],
)
def test_error_response_maps_to_a_reason(status: int, kind: str, reason: str) -> None:
    headers = {"x-amzn-errortype": kind} if kind else {}
    assert from_response(status, headers).reason == reason


def test_type_from_the_body_is_used_without_a_header() -> None:
    assert from_response(400, {}, kind="ModelError").reason == "model-error"


def test_missing_endpoint_is_distinguished_from_a_bad_request() -> None:
    message = "Endpoint voices of account 111122223333 not found."
    error = from_response(400, {"x-amzn-errortype": "ValidationError"}, message=message)
    assert error.reason == "endpoint-not-found"
    assert "111122223333" not in str(error)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("ModelStreamError", "model-stream-error"),
        ("InternalStreamFailure", "internal-stream-failure"),
        ("ThrottlingException", "throttled"),
        ("SomethingNew", "internal-stream-failure"),
    ],
)
def test_exception_frame_maps_to_a_reason(kind: str, reason: str) -> None:
    headers = {":message-type": "exception", ":exception-type": kind}
    assert from_exception_frame(headers, b"{}").reason == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"Message": "closed by the container", "ErrorCode": "1013"}, "model-at-capacity"),
        ({"Message": "closed by the container: 1013 at capacity"}, "model-at-capacity"),
        ({"Message": "closed by the container: 1012 restarting"}, "model-stream-error"),
        ({"Message": "10130 events", "ErrorCode": "StreamBroken"}, "model-stream-error"),
    ],
)
def test_close_code_of_a_full_container_maps_to_its_reason(
    body: dict[str, str], reason: str
) -> None:
    headers = {":message-type": "exception", ":exception-type": "ModelStreamError"}
    assert from_exception_frame(headers, json.dumps(body).encode()).reason == reason


def test_error_frame_maps_its_code_to_a_reason() -> None:
    headers = {":message-type": "error", ":error-code": "InternalServerError"}
    assert from_exception_frame(headers, b"").reason == "internal-server-error"


@given(st.text(min_size=1), st.text())
def test_texts_are_never_quoted(code: str, words: str) -> None:
    secret = f"the caller said {words}"
    body = json.dumps({"Message": secret, "ErrorCode": f"{code} {secret}"}).encode()
    headers = {":message-type": "exception", ":exception-type": secret}
    assert secret not in str(from_exception_frame(headers, body))
    errors = {"x-amzn-errortype": secret, "x-amzn-requestid": secret}
    assert secret not in str(from_response(400, errors, message=secret))


@given(st.binary())
def test_exception_frame_may_have_any_body(body: bytes) -> None:
    headers = {":message-type": "exception", ":exception-type": "ModelStreamError"}
    assert from_exception_frame(headers, body).reason == "model-stream-error"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("AWS_IO_SOCKET_CONNECTION_REFUSED", "connect-refused"),
        ("AWS_IO_DNS_NO_ADDRESS_FOR_HOST", "host-unreachable"),
        ("AWS_ERROR_HTTP_GOAWAY_RECEIVED", "service-unavailable"),
        ("AWS_ERROR_HTTP_RST_STREAM_RECEIVED", "stream-reset"),
        ("AWS_ERROR_HTTP_CONNECTION_CLOSED", "connection-lost"),
        ("NoneType", "connection-lost"),
    ],
)
def test_crt_error_maps_to_a_reason(name: str, reason: str) -> None:
    assert from_crt(name).reason == reason
