"""A failing upstream: its log lines, their throttling, its metric and readiness."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.admission.breaker import THRESHOLD
from gateway.admission.endpoint_health import EndpointHealth
from gateway.errors import REASONS, UpstreamError
from tests.gateway.admission.admission_harness import AdmissionHarness, endpoint

UPSTREAM = [
    *("no-credentials", "credentials-expired", "access-denied"),
    *("connect-refused", "connect-timeout", "host-unreachable", "tls-untrusted"),
    *("throttled", "service-unavailable", "response-timeout", "endpoint-not-found"),
    *("model-error", "model-not-found", "created-timeout", "session-mute", "realtime-error"),
]


async def fail(harness: AdmissionHarness, reason: str, times: int = 1, detail: str = "") -> None:
    for _ in range(times):
        async with harness.admission.enter("twilio") as reservation:
            slot = await reservation.acquire_slot()
            slot.failed(UpstreamError(reason, detail))
            slot.release()


def warnings(logs: list[Any], event: str = "upstream-failing") -> list[Any]:
    return [line for line in logs if line["event"] == event and line["log_level"] == "warning"]


@pytest.mark.parametrize("reason", UPSTREAM)
async def test_first_failure_is_logged_with_cause_and_hint(reason: str) -> None:
    """Symptom: without AWS credentials 35 sessions failed, without a log line for 87 s."""
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, reason, detail="the chain found none")
    [line] = warnings(logs)
    assert (line["endpoint"], line["reason"]) == ("a", reason)
    assert line["fault"] is REASONS[reason].fault
    assert line["detail"] == "the chain found none"
    assert line["hint"]
    assert line["suppressed"] == 0


async def test_the_same_reason_is_logged_once_a_minute_with_a_count() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, "no-credentials", 35)
        harness.now_s = 59
        await fail(harness, "no-credentials")
        harness.now_s = 61
        await fail(harness, "no-credentials", 2)
    assert [line["suppressed"] for line in warnings(logs)] == [0, 35]


async def test_each_reason_and_endpoint_is_logged_separately() -> None:
    harness = AdmissionHarness(
        {"a": endpoint(), "b": endpoint()},
        [
            {"name": "one", "endpoints": ["a"], "carrier": "twilio"},
            {"name": "two", "endpoints": ["b"], "carrier": "telnyx"},
        ],
    )
    with capture_logs() as logs:
        await fail(harness, "no-credentials", 2)
        await fail(harness, "access-denied", 2)
        async with harness.admission.enter("telnyx") as reservation:
            (await reservation.acquire_slot()).failed(UpstreamError("no-credentials"))
    lines = [(line["endpoint"], line["reason"]) for line in warnings(logs)]
    assert lines == [("a", "no-credentials"), ("a", "access-denied"), ("b", "no-credentials")]


@pytest.mark.parametrize("reason", ["context-full", "model-rut"])
async def test_failure_caused_by_the_call_does_not_count(reason: str) -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, reason, THRESHOLD - 1)
    assert not warnings(logs)
    assert harness.metric("endpoint_failing", endpoint="a") == 0


async def test_breaker_opened_logs_the_last_cause() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, "model-error", THRESHOLD - 1)
        await fail(harness, "connect-refused", detail="ECONNREFUSED")
    [line] = warnings(logs, "breaker-opened")
    assert (line["endpoint"], line["reason"]) == ("a", "connect-refused")
    assert (line["fault"], line["detail"]) == ("network", "ECONNREFUSED")
    assert line["hint"]


async def test_missing_credentials_are_reported_without_opening_the_breaker() -> None:
    """Symptom: no session could open, but the breaker metric was 0."""
    harness = AdmissionHarness()
    await fail(harness, "no-credentials", 2)
    # May be one short failure that hit both tracks of a call.
    assert harness.admission.failing_endpoints() == {}
    await fail(harness, "no-credentials")
    assert {
        name: error.reason for name, error in harness.admission.failing_endpoints().items()
    } == {"a": "no-credentials"}
    assert harness.metric("endpoint_failing", endpoint="a") == 1
    assert harness.metric("breaker_state", endpoint="a") == 0


@pytest.mark.parametrize("reason", ["access-denied", "endpoint-not-found", "tls-untrusted"])
async def test_error_without_retry_is_reported_at_once(reason: str) -> None:
    harness = AdmissionHarness()
    await fail(harness, reason)
    assert harness.admission.failing_endpoints()["a"].reason == reason


async def test_recovery_is_logged_once() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, "no-credentials", 3)
        for _ in range(2):
            async with harness.admission.enter("twilio") as reservation:
                (await reservation.acquire_slot()).worked()
    assert harness.admission.failing_endpoints() == {}
    assert harness.metric("endpoint_failing", endpoint="a") == 0
    [line] = [line for line in logs if line["event"] == "upstream-recovered"]
    assert (line["endpoint"], line["failures"]) == ("a", 3)


async def test_flapping_endpoint_is_not_logged_per_failure() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        for _ in range(20):
            await fail(harness, "connection-lost")
            async with harness.admission.enter("twilio") as reservation:
                (await reservation.acquire_slot()).worked()
    assert len(logs) == 2  # failing, recovered


def test_last_error_expires() -> None:
    now_s = 0.0
    health = EndpointHealth("a", lambda: now_s)
    health.failed(UpstreamError("access-denied"))
    now_s = 299
    assert health.current_error
    now_s = 301
    assert health.current_error is None
