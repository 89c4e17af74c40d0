"""The slots of a live call: kept between sessions, endpoint choice, reports to the breaker."""

from contextlib import AsyncExitStack
from typing import Any, ClassVar

import pytest

from common.settings import SettingsError
from gateway.admission.breaker import LONE_THRESHOLD, PROBE_S
from gateway.calls.services import SessionSlot
from gateway.errors import REASONS, UpstreamError
from tests.gateway.admission.admission_harness import (
    BROKEN,
    AdmissionHarness,
    endpoint,
    refusal,
    start,
)


class TestSlots:
    async def test_slot_has_endpoint_model_and_transport(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(), "b": endpoint(model="other")})
        async with harness.admission.enter("twilio") as reservation:
            slot: SessionSlot = await reservation.acquire_slot()
            assert (slot.endpoint, slot.options.model) == ("a", "voxtral")
            assert slot.transport is harness.transports["a"]

    async def test_rollover_holds_one_additional_slot(self) -> None:
        harness = AdmissionHarness()
        async with harness.admission.enter("twilio") as reservation:
            old = await reservation.acquire_slot()
            await reservation.acquire_slot()
            assert harness.held() == 2
            await old.acquire_replacement()
            assert harness.held() == 3
            old.release()
            old.release()
            assert harness.held() == 2

    async def test_rollover_does_not_take_the_other_tracks_slot(self) -> None:
        """Symptom: the rollover of one track took the slot of the other, which was backing off."""
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=2)})
        async with harness.admission.enter("twilio") as reservation:
            rolling, failed = await reservation.acquire_slot(), await reservation.acquire_slot()
            failed.release()
            with pytest.raises(UpstreamError, match="endpoint-at-capacity"):
                await rolling.acquire_replacement()
            await reservation.acquire_slot()

    async def test_other_tracks_slot_is_kept_during_rollover(self) -> None:
        harness = AdmissionHarness()
        async with harness.admission.enter("twilio") as reservation:
            rolling, other = await reservation.acquire_slot(), await reservation.acquire_slot()
            new = await rolling.acquire_replacement()
            other.release()
            assert harness.held() == 3
            rolling.release()
            assert harness.held() == 2
            newer = await new.acquire_replacement()
            assert harness.held() == 3
            newer.release()
            assert harness.held() == 2

    async def test_replacement_of_an_ended_session_reuses_its_slot(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=2)})
        async with harness.admission.enter("twilio") as reservation:
            old, _ = await reservation.acquire_slot(), await reservation.acquire_slot()
            old.release()
            await old.acquire_replacement()
            assert harness.held() == 2

    async def test_call_keeps_its_slots_between_sessions(self, calls: AsyncExitStack) -> None:
        """Symptom: a new call took the slot of a call that was reconnecting."""
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=2)})
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        slot = await reservation.acquire_slot()
        slot.failed(BROKEN)
        slot.release()
        assert await refusal(harness) == "endpoint-at-capacity"
        assert (await reservation.acquire_slot()).endpoint == "a"

    async def test_late_release_after_the_call_is_ignored(self) -> None:
        harness = AdmissionHarness()
        async with harness.admission.enter("twilio") as first:
            slot = await first.acquire_slot()
        async with harness.admission.enter("twilio"):
            slot.release()
            assert harness.held() == 2

    async def test_sessions_of_a_live_call_may_use_reserved_slots(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=3, reserved=1)})
        async with harness.admission.enter("twilio") as reservation:
            for _ in range(3):
                await reservation.acquire_slot()
            with pytest.raises(UpstreamError, match="endpoint-at-capacity"):
                await reservation.acquire_slot()


class TestTheNextSession:
    async def test_next_session_avoids_the_failed_endpoint(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(), "b": endpoint()})
        async with harness.admission.enter("twilio") as reservation:
            first = await reservation.acquire_slot()
            first.failed(BROKEN)
            first.release()
            second = await reservation.acquire_slot()
            assert (first.endpoint, second.endpoint) == ("a", "b")
            assert harness.held("a") + harness.held("b") == 2
            second.worked()

    async def test_sessions_rotate_over_failed_endpoints(self) -> None:
        """Symptom: a call alternated between two failing endpoints."""
        harness = AdmissionHarness(
            endpoints={name: endpoint(8) for name in "abc"},
            routes=[{"name": "all", "endpoints": ["a", "b", "c"], "spread": "in-order"}],
        )
        went = []
        async with harness.admission.enter("twilio") as reservation:
            for _ in range(6):
                slot = await reservation.acquire_slot()
                went.append(slot.endpoint)
                slot.failed(BROKEN)
                slot.release()
        assert went == list("abcabc")

    async def test_success_clears_only_its_own_endpoints_penalty(self) -> None:
        """Symptom: one track's success sent the other track back to a failing endpoint."""
        harness = AdmissionHarness(
            endpoints={name: endpoint(8) for name in "abc"},
            routes=[{"name": "all", "endpoints": ["a", "b", "c"], "spread": "in-order"}],
        )
        async with harness.admission.enter("twilio") as reservation:
            first = await reservation.acquire_slot()
            first.failed(BROKEN)
            first.release()
            second = await reservation.acquire_slot()
            second.worked()
            assert (second.endpoint, (await reservation.acquire_slot()).endpoint) == ("b", "b")

    @pytest.mark.parametrize("reason", ["context-full", "model-rut"])
    async def test_failure_caused_by_the_call_does_not_penalize_the_endpoint(
        self, reason: str
    ) -> None:
        """Symptom: long calls moved to the fallback endpoint at every full context."""
        harness = AdmissionHarness(
            endpoints={"a": endpoint(8), "fallback": endpoint(8)},
            routes=[{"name": "all", "endpoints": ["a", "fallback"], "spread": "in-order"}],
        )
        async with harness.admission.enter("twilio") as reservation:
            slot = await reservation.acquire_slot()
            slot.worked()
            slot.failed(UpstreamError(reason))
            slot.release()
            assert (await reservation.acquire_slot()).endpoint == "a"

    async def test_quarantine_applies_to_other_calls(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(
            endpoints={"a": endpoint(8), "b": endpoint(8)},
            routes=[{"name": "all", "endpoints": ["a", "b"], "spread": "in-order"}],
        )
        first = await calls.enter_async_context(harness.admission.enter("twilio"))
        second = await calls.enter_async_context(harness.admission.enter("twilio"))
        (await first.acquire_slot()).failed(UpstreamError("access-denied"))
        slot = await second.acquire_slot()
        assert (slot.endpoint, harness.held("a"), harness.held("b")) == ("b", 3, 1)


class TestBreaker:
    async def test_only_one_probe_is_allowed(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness()
        await harness.break_endpoint()
        harness.now_s = 100
        first = await calls.enter_async_context(harness.admission.enter("twilio"))
        second = await calls.enter_async_context(harness.admission.enter("twilio"))
        probe = await first.acquire_slot()
        with pytest.raises(UpstreamError, match="circuit-open"):
            await second.acquire_slot()
        probe.release()  # without a result: another probe is allowed
        probe = await second.acquire_slot()
        probe.failed(BROKEN)
        with pytest.raises(UpstreamError, match="circuit-open"):
            await first.acquire_slot()
        harness.now_s = 200
        probe = await first.acquire_slot()
        probe.worked()
        await second.acquire_slot()
        assert harness.metric("breaker_state", endpoint="a") == 0

    async def test_probe_of_a_silent_call_is_replaced(self, calls: AsyncExitStack) -> None:
        """Symptom: all calls were refused while the probe's call was silent."""
        harness = AdmissionHarness(endpoints={"a": endpoint(None)})
        await harness.break_endpoint()
        harness.now_s = 100
        silent = await calls.enter_async_context(harness.admission.enter("twilio"))
        await silent.acquire_slot()
        assert await refusal(harness) == "circuit-open"
        harness.now_s += PROBE_S
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        (await reservation.acquire_slot()).worked()
        await silent.acquire_slot()

    async def test_single_failing_call_does_not_open_the_breaker(
        self, calls: AsyncExitStack
    ) -> None:
        """Symptom: one call's audio made the model fail five times, and new calls were refused."""
        harness = AdmissionHarness(endpoints={"a": endpoint(None)})
        good = await calls.enter_async_context(harness.admission.enter("twilio"))
        bad = await calls.enter_async_context(harness.admission.enter("twilio"))
        (await good.acquire_slot()).worked()
        for _ in range(LONE_THRESHOLD - 1):
            slot = await bad.acquire_slot()
            slot.failed(UpstreamError("model-error"))
            slot.release()
        await calls.enter_async_context(harness.admission.enter("twilio"))

    async def test_probe_failure_after_release_reopens_the_breaker(
        self, calls: AsyncExitStack
    ) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(None)})
        await harness.break_endpoint()
        harness.now_s = 100
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        probe = await reservation.acquire_slot()
        probe.release()
        probe.failed(BROKEN)
        assert harness.metric("breaker_state", endpoint="a") == 2

    @pytest.mark.parametrize("reason", sorted(REASONS))
    async def test_only_endpoint_faults_open_the_breaker(self, reason: str) -> None:
        info = REASONS[reason]
        is_of_endpoint = info.fault in ("network", "platform", "model")
        expected = info.retry and is_of_endpoint and reason != "model-at-capacity"
        harness = AdmissionHarness(endpoints={"a": endpoint(None)})
        async with harness.admission.enter("twilio") as reservation:
            for _ in range(LONE_THRESHOLD):
                slot = await reservation.acquire_slot()
                slot.failed(UpstreamError(reason))
                slot.release()
        assert harness.metric("breaker_state", endpoint="a") == (2 if expected else 0)

    async def test_failure_reported_twice_counts_once(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(None)})
        async with harness.admission.enter("twilio") as reservation:
            for _ in range(LONE_THRESHOLD - 1):
                slot = await reservation.acquire_slot()
                slot.failed(BROKEN)
                slot.failed(BROKEN)
                slot.release()
        assert harness.metric("breaker_state", endpoint="a") == 0

    async def test_failure_after_success_does_not_count(self) -> None:
        harness = AdmissionHarness()
        async with harness.admission.enter("twilio") as reservation:
            for _ in range(2 * LONE_THRESHOLD):
                slot = await reservation.acquire_slot()
                slot.worked()
                slot.failed(BROKEN)
                slot.release()
        assert harness.metric("breaker_state", endpoint="a") == 0


async def test_route_sets_the_roles(calls: AsyncExitStack) -> None:
    outbound = {"inbound": "agent", "outbound": "customer"}
    harness = AdmissionHarness(
        routes=[
            {"name": "calls-out", "params": {"q": "1"}, "roles": outbound, "endpoints": ["a"]},
            {"name": "rest", "endpoints": ["a"]},
        ]
    )
    for call, roles in ((start(q="1"), outbound), (start(), {})):
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        assert reservation.choose(call).roles == roles
        await reservation.reserve_slots(call)


class TestHints:
    """What a route asks of the endpoints' models."""

    ENDPOINTS: ClassVar = {"a": endpoint(dialect="deepgram"), "b": endpoint(dialect="openai")}

    async def slots(self, **hints: Any) -> list[SessionSlot]:
        """Return the slots of a call whose route has these hints, at both endpoints."""
        route = {"name": "all", "endpoints": ["a", "b"], "spread": "in-order", **hints}
        harness = AdmissionHarness(endpoints=self.ENDPOINTS, routes=[route])
        async with harness.admission.enter("twilio") as reservation:
            first = await reservation.acquire_slot()
            first.failed(BROKEN)
            first.release()
            second = await reservation.acquire_slot()
        assert (first.endpoint, second.endpoint) == ("a", "b")
        return [first, second]

    async def test_sessions_get_the_hints_of_the_route(self) -> None:
        deepgram, openai = await self.slots(language="de", keywords=["Contoso"])
        for slot in (deepgram, openai):
            assert (slot.options.language, slot.options.keywords) == ("de", ("Contoso",))
        address = deepgram.address(deepgram.options)
        assert address
        assert "language=de" in address.query
        assert "keyterm=Contoso" in address.query

    async def test_without_hints_the_model_decides(self) -> None:
        for slot in await self.slots():
            assert (slot.options.language, slot.options.keywords) == (None, ())

    async def test_hints_that_can_not_be_sent_are_refused_at_the_start(self) -> None:
        """SageMaker limits the query, in which Deepgram receives its keywords."""
        with pytest.raises(SettingsError, match="keywords"):
            await self.slots(keywords=[f"{n:0100}" for n in range(100)])
