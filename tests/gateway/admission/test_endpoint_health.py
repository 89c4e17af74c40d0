"""A broken upstream: what is logged, how often, what the metric and readiness say."""

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
async def test_first_failure_is_a_warning_with_its_cause_and_what_to_do(reason: str) -> None:
    """Symptom: without AWS credentials 35 sessions failed, and no line for 87 s."""
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


async def test_another_reason_and_another_endpoint_have_lines_of_their_own() -> None:
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
async def test_what_any_endpoint_would_have_done_is_no_trouble(reason: str) -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, reason, THRESHOLD - 1)
    assert not warnings(logs)
    assert harness.metric("endpoint_failing", endpoint="a") == 0


async def test_breaker_names_its_last_cause() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, "model-error", THRESHOLD - 1)
        await fail(harness, "connect-refused", detail="ECONNREFUSED")
    [line] = warnings(logs, "breaker-opened")
    assert (line["endpoint"], line["reason"]) == ("a", "connect-refused")
    assert (line["fault"], line["detail"]) == ("network", "ECONNREFUSED")
    assert line["hint"]


async def test_metric_and_readiness_show_credentials_that_the_breaker_does_not_count() -> None:
    """Symptom: breaker metric 0 and nothing else while no session could open."""
    harness = AdmissionHarness()
    await fail(harness, "no-credentials", 2)
    assert harness.admission.troubles() == {}  # one call's two tracks may have met a blip
    await fail(harness, "no-credentials")
    assert {name: error.reason for name, error in harness.admission.troubles().items()} == {
        "a": "no-credentials"
    }
    assert harness.metric("endpoint_failing", endpoint="a") == 1
    assert harness.metric("breaker_state", endpoint="a") == 0


@pytest.mark.parametrize("reason", ["access-denied", "endpoint-not-found", "tls-untrusted"])
async def test_what_no_retry_mends_is_trouble_at_once(reason: str) -> None:
    harness = AdmissionHarness()
    await fail(harness, reason)
    assert harness.admission.troubles()["a"].reason == reason


async def test_a_session_that_answers_ends_the_trouble_and_is_logged_once() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        await fail(harness, "no-credentials", 3)
        for _ in range(2):
            async with harness.admission.enter("twilio") as reservation:
                (await reservation.acquire_slot()).worked()
    assert harness.admission.troubles() == {}
    assert harness.metric("endpoint_failing", endpoint="a") == 0
    [line] = [line for line in logs if line["event"] == "upstream-recovered"]
    assert (line["endpoint"], line["failures"]) == ("a", 3)


async def test_flapping_is_not_a_line_per_failure() -> None:
    harness = AdmissionHarness()
    with capture_logs() as logs:
        for _ in range(20):
            await fail(harness, "connection-lost")
            async with harness.admission.enter("twilio") as reservation:
                (await reservation.acquire_slot()).worked()
    assert len(logs) == 2  # failing, recovered


def test_an_endpoint_that_nobody_tried_for_long_is_not_known_to_fail() -> None:
    now_s = 0.0
    health = EndpointHealth("a", lambda: now_s)
    health.failed(UpstreamError("access-denied"))
    now_s = 299
    assert health.trouble
    now_s = 301
    assert health.trouble is None
