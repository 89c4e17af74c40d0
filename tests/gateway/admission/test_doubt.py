"""An endpoint whose server merges deltas: its next sessions use another dialect."""

from structlog.testing import capture_logs

from gateway.app import _upstream_conditions
from gateway.readiness import degraded
from gateway.upstream.dialects.dialect import Clock
from tests.gateway.admission.admission_harness import AdmissionHarness, endpoint


async def test_doubted_endpoint_falls_back_to_turns() -> None:
    harness = AdmissionHarness({"a": endpoint(), "b": endpoint()})
    with capture_logs() as logs:
        async with harness.admission.enter("twilio") as reservation:
            slot = await reservation.acquire_slot()
            assert slot.dialect.capabilities.clock is Clock.AUDIO
            slot.doubted()
            slot.doubted()
            slot.release()
            doubted = slot.endpoint
            again = await reservation.acquire_slot()
            assert (again.endpoint, again.dialect.capabilities.clock) == (doubted, Clock.TURNS)
    assert [line["event"] for line in logs] == ["token-clock-doubted"]
    assert logs[0]["endpoint"] == doubted
    assert harness.metric("token_clock_doubted", endpoint=doubted) == 1
    [other] = {"a", "b"} - {doubted}
    assert harness.metric("token_clock_doubted", endpoint=other) == 0
    reason = f"token-clock-doubted (endpoint {doubted})"
    assert list(_upstream_conditions(harness.admission)) == [degraded(reason)]
