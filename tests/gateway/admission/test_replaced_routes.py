"""Routes that change while calls are live: new endpoints, drained ones, other capacities."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from common.settings import SettingsError
from gateway.admission.admission import Admission
from gateway.admission.routes import Routes
from gateway.errors import UpstreamError
from tests.gateway.admission.admission_harness import AdmissionHarness, access, endpoint, refusal
from tests.gateway.scripted import ScriptedTransport


def replace(
    admission: Admission, endpoints: dict[str, Any], routes: list[dict[str, Any]] | None = None
) -> None:
    """Replace the routes as the gateway does at SIGHUP."""
    routes = routes or [{"name": "all", "endpoints": list(endpoints)}]
    parsed = Routes.model_validate({"endpoints": endpoints, "routes": routes})
    new = admission.new_endpoints(parsed)
    admission.replace_routes(parsed, access(parsed, {name: ScriptedTransport() for name in new}))


async def placed(harness: AdmissionHarness, route: str | None = None) -> str:
    """Return the endpoint of a new call, which ends at once."""
    async with harness.admission.enter("twilio", route) as reservation:
        return (await reservation.acquire_slot()).endpoint


BOTH = {"a": endpoint(), "b": endpoint()}
A_DRAINS = {"a": endpoint(drain=True), "b": endpoint()}
ONLY_B = {"b": endpoint()}


@pytest.mark.parametrize("changed", [A_DRAINS, ONLY_B], ids=["drain", "removed"])
class TestDraining:
    async def test_new_calls_go_elsewhere(self, changed: dict[str, Any]) -> None:
        harness = AdmissionHarness({"a": endpoint(sessions=100), "b": endpoint()})
        assert await placed(harness) == "a"
        replace(harness.admission, changed)
        assert await placed(harness) == "b"
        assert harness.metric("endpoint_draining", endpoint="a") == 1
        assert harness.metric("endpoint_draining", endpoint="b") == 0

    async def test_a_full_alternative_does_not_bring_new_calls_back(
        self, calls: AsyncExitStack, changed: dict[str, Any]
    ) -> None:
        harness = AdmissionHarness(BOTH)
        replace(harness.admission, changed)
        for _ in range(2):
            await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        assert (harness.held("a"), harness.held("b")) == (0, 4)

    async def test_the_next_session_of_a_live_call_moves(
        self, calls: AsyncExitStack, changed: dict[str, Any]
    ) -> None:
        harness = AdmissionHarness({"a": endpoint(sessions=100), "b": endpoint()})
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        old = await reservation.acquire_slot()
        replace(harness.admission, changed)
        new = await old.acquire_replacement()
        assert (old.endpoint, new.endpoint) == ("a", "b")
        old.release()
        assert (harness.held("a"), harness.held("b")) == (1, 1)  # "a": the other track's slot
        other = await reservation.acquire_slot()
        assert other.endpoint == "b"
        assert harness.held("a") == 0

    async def test_a_live_call_stays_if_no_other_endpoint_can_serve_it(
        self, calls: AsyncExitStack, changed: dict[str, Any]
    ) -> None:
        """A transcript is worth more than an endpoint that drains sooner."""
        harness = AdmissionHarness({"a": endpoint(sessions=100), "b": endpoint(sessions=2)})
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        old = await reservation.acquire_slot()
        small = {**changed, "b": endpoint(sessions=2)}
        replace(harness.admission, small)
        await calls.enter_async_context(harness.admission.enter("twilio"))
        old.release()
        assert (await reservation.acquire_slot()).endpoint == "a"

    async def test_an_endpoint_can_be_restored(self, changed: dict[str, Any]) -> None:
        harness = AdmissionHarness(BOTH)
        transport = harness.transports["a"]
        replace(harness.admission, changed)
        replace(harness.admission, {"a": endpoint(sessions=100), "b": endpoint()})
        async with harness.admission.enter("twilio") as reservation:
            slot = await reservation.acquire_slot()
            assert (slot.endpoint, slot.transport) == ("a", transport)
        assert harness.metric("endpoint_draining", endpoint="a") == 0

    async def test_its_failures_do_not_make_the_gateway_degraded(
        self, changed: dict[str, Any]
    ) -> None:
        """An endpoint is often deleted soon after it is drained."""
        harness = AdmissionHarness(BOTH)
        async with harness.admission.enter("twilio") as reservation:
            slot = await reservation.acquire_slot()
            slot.failed(UpstreamError("endpoint-not-found"))
            assert list(harness.admission.failing_endpoints()) == [slot.endpoint]
            replace(harness.admission, changed)
            failing = harness.admission.failing_endpoints()
            assert "a" not in failing


class TestChanges:
    async def test_a_new_endpoint_receives_calls(self) -> None:
        harness = AdmissionHarness()
        replace(harness.admission, {"a": endpoint(), "b": endpoint(sessions=100)})
        assert await placed(harness) == "b"
        assert harness.metric("places_limit", endpoint="b") == 100

    async def test_a_larger_capacity_admits_more_calls_at_once(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness({"a": endpoint(sessions=2)})
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        replace(harness.admission, {"a": endpoint(sessions=4)})
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        assert harness.metric("places_limit", endpoint="a") == 4

    async def test_a_smaller_capacity_ends_no_call(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness({"a": endpoint(sessions=4)})
        for _ in range(2):
            await calls.enter_async_context(harness.admission.enter("twilio"))
        replace(harness.admission, {"a": endpoint(sessions=2)})
        assert harness.held() == 4
        await calls.aclose()
        async with harness.admission.enter("twilio"):
            assert await refusal(harness) == "endpoint-at-capacity"

    async def test_reserved_slots_and_call_limits_change(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness({"a": endpoint(sessions=8)})
        routes = [{"name": "all", "endpoints": ["a"], "max_calls": 2}]
        replace(harness.admission, {"a": endpoint(sessions=8, reserved=6)}, routes)
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "endpoint-at-capacity"
        replace(harness.admission, {"a": endpoint(sessions=8)}, routes)
        await calls.enter_async_context(harness.admission.enter("twilio"))
        assert await refusal(harness) == "route-at-capacity"

    async def test_routes_are_added_and_removed(self, calls: AsyncExitStack) -> None:
        harness = AdmissionHarness()
        live = await calls.enter_async_context(harness.admission.enter("twilio", "all"))
        replace(harness.admission, {"a": endpoint()}, [{"name": "new", "endpoints": ["a"]}])
        assert await refusal(harness, route="all") == "no-route"
        assert await placed(harness, "new") == "a"
        assert (await live.acquire_slot()).endpoint == "a"  # of the removed route
        assert harness.calls("all") == 1

    async def test_live_calls_follow_the_new_order_of_their_route(
        self, calls: AsyncExitStack
    ) -> None:
        routes = [{"name": "all", "endpoints": ["a"], "spread": "in-order"}]
        harness = AdmissionHarness(BOTH, routes)
        reservation = await calls.enter_async_context(harness.admission.enter("twilio"))
        old = await reservation.acquire_slot()
        changed = [{"name": "all", "endpoints": ["b"], "spread": "in-order"}]
        replace(harness.admission, BOTH, changed)
        assert (await old.acquire_replacement()).endpoint == "b"

    @pytest.mark.parametrize(
        "other",
        [
            endpoint(model="other"),
            {"endpoint": "voxtral"},
            {"url": "ws://127.0.0.1:2/", "sessions": 4},
        ],
    )
    async def test_a_name_stands_for_one_address(self, other: dict[str, Any]) -> None:
        """Slots, breaker and health of an endpoint belong to its name, in all gateways."""
        harness = AdmissionHarness(BOTH)
        replace(harness.admission, ONLY_B)
        with pytest.raises(SettingsError, match=r"^endpoint a: give it another name"):
            replace(harness.admission, {"a": other, "b": endpoint()})
        assert list(harness.admission.routes.endpoints) == ["b"]


async def test_leases_are_registered_once_an_endpoint_gets_a_limit() -> None:
    """Slots that were taken without a limit count for other gateways afterwards."""
    harness = AdmissionHarness({"a": endpoint(sessions=None)})
    async with harness.capacity, harness.admission.enter("twilio"):
        assert harness.store.taken("endpoint:a") == 0
        replace(harness.admission, {"a": endpoint(sessions=2)})
        other = AdmissionHarness({"a": endpoint(sessions=2)}, store=harness.store, owner="gw-1")
        await harness.capacity.wait_for_release(10)
        assert await refusal(other) == "endpoint-at-capacity"


async def test_an_unavailable_store_does_not_matter_without_a_limit() -> None:
    harness = AdmissionHarness({"a": endpoint(sessions=4)})
    harness.store.unavailable = True
    async with harness.admission.enter("twilio"):
        assert harness.metric("capacity_store_away", endpoint="a") == 1
        replace(harness.admission, {"a": endpoint(sessions=None)})
        assert harness.metric("capacity_store_away", endpoint="a") == 0
