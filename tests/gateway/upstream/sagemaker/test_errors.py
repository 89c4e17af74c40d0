"""What the platform reports, as reasons; and that nothing of its texts gets out."""

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
def test_a_refusal_s_reason(status: int, kind: str, reason: str) -> None:
    headers = {"x-amzn-errortype": kind} if kind else {}
    assert from_response(status, headers).reason == reason


def test_a_type_from_the_body_serves_where_no_header_names_one() -> None:
    assert from_response(400, {}, kind="ModelError").reason == "model-error"


def test_an_endpoint_that_is_missing_is_told_from_a_bad_request() -> None:
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
def test_an_exception_event_s_reason(kind: str, reason: str) -> None:
    headers = {":message-type": "exception", ":exception-type": kind}
    assert from_exception_frame(headers, b"{}").reason == reason


def test_an_error_event_s_code_is_its_type() -> None:
    headers = {":message-type": "error", ":error-code": "InternalServerError"}
    assert from_exception_frame(headers, b"").reason == "internal-server-error"


@given(st.text(min_size=1), st.text())
def test_words_are_never_quoted(code: str, words: str) -> None:
    secret = f"the caller said {words}"
    body = json.dumps({"Message": secret, "ErrorCode": f"{code} {secret}"}).encode()
    headers = {":message-type": "exception", ":exception-type": secret}
    assert secret not in str(from_exception_frame(headers, body))
    errors = {"x-amzn-errortype": secret, "x-amzn-requestid": secret}
    assert secret not in str(from_response(400, errors, message=secret))


@given(st.binary())
def test_any_body_of_an_exception_is_survived(body: bytes) -> None:
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
def test_the_crt_s_errors(name: str, reason: str) -> None:
    assert from_crt(name).reason == reason
