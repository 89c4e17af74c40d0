"""Admission: which streams are admitted to which endpoint, and that all slots are released."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.errors import CarrierError, UpstreamError
from tests.gateway.admission.admission_harness import AdmissionHarness, endpoint, refusal, start


class TestBeforeTheUpgrade:
    async def test_two_slots_are_reserved_and_released(self) -> None:
        harness = AdmissionHarness()
        async with harness.admission.enter("twilio"):
            assert (harness.held(), harness.calls()) == (2, 1)
            assert harness.metric("places_held", endpoint="a") == 2
        assert (harness.held(), harness.calls()) == (0, 0)

    async def test_full_endpoint_is_refused(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness()
        for _ in range(2):
            await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        assert harness.metric("admissions_refused_total", reason="endpoint-at-capacity") == 1
        assert (harness.held(), harness.calls()) == (4, 2)

    async def test_full_route_is_refused(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(routes=[{"name": "all", "endpoints": ["a"], "max_calls": 1}])
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "route-at-capacity"
        assert (harness.held(), harness.calls()) == (2, 1)

    async def test_route_limit_applies_to_all_gateways(self, calls: AsyncExitStack) -> None:
        routes = [{"name": "all", "endpoints": ["a"], "max_calls": 1}]
        harness = AdmissionHarness(routes=routes)
        other = AdmissionHarness(routes=routes, store=harness.store, owner="gw-1")
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(other) == "route-at-capacity"

    async def test_open_breaker_refuses_until_it_is_half_open(self) -> None:
        harness = AdmissionHarness()
        await harness.break_endpoint()
        assert await refusal(harness) == "circuit-open"
        assert harness.metric("breaker_state", endpoint="a") == 2
        harness.now_s = 100
        async with harness.admission.enter("twilio"):
            assert harness.metric("breaker_state", endpoint="a") == 1

    async def test_call_without_route_is_refused(self) -> None:
        harness = AdmissionHarness(
            routes=[{"name": "one", "endpoints": ["a"], "carrier": "telnyx"}]
        )
        assert await refusal(harness) == "no-route"
        assert await refusal(harness, route="one") == "no-route"
        assert await refusal(harness, "telnyx", "two") == "no-route"
        assert harness.metric("admissions_refused_total", reason="no-route") == 3
        async with harness.admission.enter("telnyx", "one"):
            assert harness.calls("one") == 1

    async def test_error_or_cancellation_releases_everything(self) -> None:
        harness = AdmissionHarness()

        async def call(end: asyncio.Event) -> None:
            async with harness.admission.enter("twilio") as reservation:
                await reservation.acquire_slot()
                await end.wait()
                raise CarrierError("socket-lost")

        end = asyncio.Event()
        end.set()
        with pytest.raises(CarrierError, match="socket-lost"):
            await call(end)
        assert (harness.held(), harness.calls()) == (0, 0)
        task = asyncio.create_task(call(asyncio.Event()))
        await asyncio.sleep(0)
        assert harness.held() == 2
        task.cancel()
        await asyncio.wait([task])
        assert (harness.held(), harness.calls()) == (0, 0)


class TestWaiting:
    async def test_waiting_stream_gets_a_released_slot(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=2)}, wait_s=20)

        async def call(may_leave: asyncio.Event) -> None:
            async with harness.admission.enter("twilio"):
                await may_leave.wait()

        async with harness.capacity:
            leaves, stays = asyncio.Event(), asyncio.Event()
            first = asyncio.create_task(call(leaves))
            await asyncio.sleep(0)
            second = asyncio.create_task(call(stays))
            await asyncio.sleep(0)
            assert harness.calls() == 2  # the second stream has its route, and waits for slots
            leaves.set()
            await first
            stays.set()
            await second
        assert (harness.held(), harness.calls()) == (0, 0)

    async def test_waiting_stream_is_refused_after_its_time(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=2)}, wait_s=0.02)
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        assert harness.metric("admissions_refused_total", reason="endpoint-at-capacity") == 1

    async def test_refusal_without_retry_does_not_wait(self) -> None:
        harness = AdmissionHarness(
            routes=[{"name": "one", "endpoints": ["a"], "params": {"q": "1"}}], wait_s=1000
        )
        async with harness.admission.enter("twilio") as reservation:
            with pytest.raises(CarrierError, match="no-route"):
                await reservation.reserve_slots(start())


class TestReserveSlots:
    @pytest.mark.parametrize(("tracks", "held"), [(1, 1), (2, 2)])
    async def test_one_slot_is_reserved_per_track(self, tracks: int, held: int) -> None:
        harness = AdmissionHarness()
        async with harness.admission.enter("twilio") as reservation:
            await reservation.reserve_slots(start(tracks))
            assert harness.held() == held

    async def test_route_is_chosen_by_the_start_message(self) -> None:
        harness = AdmissionHarness(
            endpoints={"a": endpoint(), "b": endpoint()},
            routes=[
                {"name": "vip", "endpoints": ["b"], "params": {"queue": "vip"}},
                {"name": "near", "endpoints": ["b"], "called": ["+1555*"]},
                {"name": "all", "endpoints": ["a"]},
            ],
        )
        for call, name, route in (
            (start(queue="vip"), "b", "vip"),
            (start(called="+15550001"), "b", "near"),
            (start(), "a", "all"),
        ):
            async with harness.admission.enter("twilio") as reservation:
                assert (harness.held("a"), harness.held("b")) == (0, 0)
                await reservation.reserve_slots(call)
                assert (harness.held(name), harness.calls(route)) == (2, 1)
                assert (await reservation.acquire_slot()).endpoint == name
            assert (harness.held(name), harness.calls(route)) == (0, 0)

    async def test_full_endpoint_is_refused_after_the_start(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(
            endpoints={"a": endpoint(sessions=2)},
            routes=[{"name": "one", "endpoints": ["a"], "params": {"q": "1"}}],
        )
        first = await calls.enter_async_context(harness.admission.enter("twilio"))
        await first.reserve_slots(start(q="1"))
        async with harness.admission.enter("twilio") as reservation:
            with pytest.raises(CarrierError, match="endpoint-at-capacity"):
                await reservation.reserve_slots(start(q="1"))
        assert harness.held() == 2


class TestPriorities:
    async def test_reserved_slots_are_kept_for_high_priority(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(
            endpoints={"a": endpoint(sessions=6, reserved=2)},
            routes=[
                {"name": "vip", "endpoints": ["a"], "priority": "high", "carrier": "telnyx"},
                {"name": "all", "endpoints": ["a"]},
            ],
        )
        for _ in range(2):
            await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        await calls.enter_async_context(harness.admission.enter("telnyx"))
        assert await refusal(harness, "telnyx") == "endpoint-at-capacity"


class TestSpreading:
    async def test_most_free_endpoint_is_preferred(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(sessions=4), "b": endpoint(sessions=8)})
        names = []
        for _ in range(6):
            reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
            names.append((await reservation.acquire_slot()).endpoint)
        assert names == ["b", "b", "a", "b", "a", "b"]
        assert await refusal(harness) == "endpoint-at-capacity"

    async def test_least_used_endpoint_is_preferred_without_limits(
        self, calls: AsyncExitStack
    ) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(None), "b": endpoint(None)})
        for _ in range(4):
            await calls.enter_async_context(harness.admission.enter("twilio"))
        assert (harness.held("a"), harness.held("b")) == (4, 4)

    async def test_endpoints_are_filled_in_order(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness(
            endpoints={"a": endpoint(sessions=2), "b": endpoint(sessions=8)},
            routes=[{"name": "all", "endpoints": ["a", "b"], "spread": "in-order"}],
        )
        for _ in range(2):
            await calls.enter_async_context(harness.admission.enter("twilio"))
        assert (harness.held("a"), harness.held("b")) == (2, 2)

    async def test_endpoint_filled_by_other_gateways_is_skipped(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(), "b": endpoint()})
        await harness.store.acquire("endpoint:a", ["gw-9:1", "gw-9:2", "gw-9:3"], 4, 3000)
        async with harness.admission.enter("twilio"):
            assert (harness.held("a"), harness.held("b")) == (0, 2)

    async def test_quarantined_endpoint_does_not_attract_all_calls(self) -> None:
        """Symptom: a deleted endpoint had the most free slots, so it attracted all calls."""
        harness = AdmissionHarness(endpoints={"a": endpoint(8), "b": endpoint(8)})
        went = []

        async def call() -> None:
            async with harness.admission.enter("twilio") as reservation:
                slot = await reservation.acquire_slot()
                went.append(slot.endpoint)
                if slot.endpoint == "a":
                    slot.failed(UpstreamError("endpoint-not-found"))
                slot.release()

        for now_s in (0, 10, 29, 31):
            harness.now_s = now_s
            await call()
        assert went == list("abba")

    async def test_endpoint_with_open_breaker_is_skipped(self) -> None:
        harness = AdmissionHarness(endpoints={"a": endpoint(8), "b": endpoint(4)})
        await harness.break_endpoint("a")
        async with harness.admission.enter("twilio") as reservation:
            assert (await reservation.acquire_slot()).endpoint == "b"
            assert (await reservation.acquire_slot()).endpoint == "b"


class TestWithoutRedis:
    async def test_slots_are_counted_locally_while_redis_is_unavailable(
        self, calls: AsyncExitStack
    ) -> None:
        harness = AdmissionHarness()
        harness.store.unavailable = True
        for _ in range(2):
            reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
            await reservation.reserve_slots(start())
            await reservation.acquire_slot()
        assert harness.metric("capacity_store_away", endpoint="a") == 1
        assert await refusal(harness) == "endpoint-at-capacity"
