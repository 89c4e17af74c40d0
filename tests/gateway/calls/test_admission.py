"""Who is let in, to which endpoint, and that everything comes back on every way out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.calls.admission import Admission, stocks
from gateway.calls.breaker import LONE_THRESHOLD, PROBE_S, THRESHOLD
from gateway.calls.capacity import Capacity
from gateway.calls.services import Place
from gateway.carriers.events import CallStarted
from gateway.errors import REASONS, CarrierError, UpstreamError
from gateway.metrics import Metrics
from gateway.routes import Routes
from tests.gateway.calls.memory_capacity import MemoryCapacityStore
from tests.gateway.scripted import ScriptedTransport

TRACKS = [TrackFormat("inbound", Encoding.PCMU, 8000), TrackFormat("outbound", Encoding.PCMU, 8000)]
BROKEN = UpstreamError("connect-refused")


def start(tracks: int = 2, called: str | None = None, **params: str) -> CallStarted:
    return CallStarted("CA1", "MZ1", tuple(TRACKS[:tracks]), params, called)


def endpoint(sessions: int | None = 4, **more: Any) -> dict[str, Any]:
    return {"url": "ws://127.0.0.1:1/", "sessions": sessions, **more}


class House:
    """One gateway's admission, with a clock of the test's for the breakers."""

    def __init__(
        self,
        endpoints: dict[str, dict[str, Any]] | None = None,
        routes: list[dict[str, Any]] | None = None,
        *,
        store: MemoryCapacityStore | None = None,
        owner: str = "gw-0",
        wait_s: float = 0,
    ) -> None:
        endpoints = endpoints or {"a": endpoint()}
        routes = routes or [{"name": "all", "endpoints": list(endpoints)}]
        parsed = Routes.model_validate({"endpoints": endpoints, "routes": routes})
        self.now_s = 0.0
        self.store = store or MemoryCapacityStore(lambda: 0.0)
        self.metrics = Metrics()
        self.capacity = Capacity(self.store, stocks(parsed), owner=owner, lease_s=3000)
        self.transports = {name: ScriptedTransport() for name in endpoints}
        self.admission = Admission(
            parsed,
            self.transports,
            self.capacity,
            self.metrics,
            model="voxtral",
            wait_s=wait_s,
            random=Random(1),  # noqa: S311  # jitter
            monotonic_s=lambda: self.now_s,
        )

    def held(self, name: str = "a") -> int:
        return self.capacity[f"endpoint:{name}"].held

    def calls(self, route: str = "all") -> int:
        return self.capacity[f"route:{route}"].held

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"callscribe_{name}", labels)

    async def break_endpoint(self, name: str = "a") -> None:
        """Have calls fail at the endpoint, which must be the one they prefer, until it is shut."""
        for _ in range(THRESHOLD):
            async with self.admission.enter("twilio") as ticket:
                place = await ticket.place()
                assert place.endpoint == name
                place.failed(BROKEN)
                place.release()
        assert self.metric("breaker_state", endpoint=name) == 2


@pytest.fixture
async def calls() -> AsyncIterator[AsyncExitStack]:
    """Calls that live until the test is over."""
    async with AsyncExitStack() as stack:
        yield stack


async def refusal(house: House, carrier: str = "twilio", route: str | None = None) -> str:
    with pytest.raises(CarrierError) as caught:
        async with house.admission.enter(carrier, route):
            pytest.fail("it was let in")
    return caught.value.reason


class TestBeforeTheUpgrade:
    async def test_two_places_are_held_and_come_back(self) -> None:
        house = House()
        async with house.admission.enter("twilio"):
            assert (house.held(), house.calls()) == (2, 1)
            assert house.metric("places_held", endpoint="a") == 2
        assert (house.held(), house.calls()) == (0, 0)

    async def test_a_full_endpoint(self, calls: AsyncExitStack) -> None:
        house = House()
        for _ in range(2):
            await calls.enter_async_context(house.admission.enter("twilio"))
        assert await refusal(house) == "endpoint-at-capacity"
        assert house.metric("admissions_refused_total", reason="endpoint-at-capacity") == 1
        assert (house.held(), house.calls()) == (4, 2)

    async def test_a_full_route(self, calls: AsyncExitStack) -> None:
        house = House(routes=[{"name": "all", "endpoints": ["a"], "max_calls": 1}])
        await calls.enter_async_context(house.admission.enter("twilio"))
        assert await refusal(house) == "route-at-capacity"
        assert (house.held(), house.calls()) == (2, 1)

    async def test_a_route_is_full_for_all_gateways(self, calls: AsyncExitStack) -> None:
        routes = [{"name": "all", "endpoints": ["a"], "max_calls": 1}]
        house = House(routes=routes)
        other = House(routes=routes, store=house.store, owner="gw-1")
        await calls.enter_async_context(house.admission.enter("twilio"))
        assert await refusal(other) == "route-at-capacity"

    async def test_a_broken_endpoint(self) -> None:
        house = House()
        await house.break_endpoint()
        assert await refusal(house) == "circuit-open"
        assert house.metric("breaker_state", endpoint="a") == 2
        house.now_s = 100
        async with house.admission.enter("twilio"):
            assert house.metric("breaker_state", endpoint="a") == 1

    async def test_nobody_s_call(self) -> None:
        house = House(routes=[{"name": "one", "endpoints": ["a"], "carrier": "telnyx"}])
        assert await refusal(house) == "no-route"
        assert await refusal(house, route="one") == "no-route"
        assert await refusal(house, "telnyx", "two") == "no-route"
        async with house.admission.enter("telnyx", "one"):
            assert house.calls("one") == 1

    async def test_whoever_leaves_by_an_error_or_is_cancelled_gives_everything_back(self) -> None:
        house = House()

        async def call(end: asyncio.Event) -> None:
            async with house.admission.enter("twilio") as ticket:
                await ticket.place()
                await end.wait()
                raise CarrierError("socket-lost")

        end = asyncio.Event()
        end.set()
        with pytest.raises(CarrierError, match="socket-lost"):
            await call(end)
        assert (house.held(), house.calls()) == (0, 0)
        task = asyncio.create_task(call(asyncio.Event()))
        await asyncio.sleep(0)
        assert house.held() == 2
        task.cancel()
        await asyncio.wait([task])
        assert (house.held(), house.calls()) == (0, 0)


class TestWaiting:
    async def test_a_place_that_comes_free_in_time(self) -> None:
        house = House(endpoints={"a": endpoint(sessions=2)}, wait_s=20)

        async def call(may_leave: asyncio.Event) -> None:
            async with house.admission.enter("twilio"):
                await may_leave.wait()

        async with house.capacity:
            leaves, stays = asyncio.Event(), asyncio.Event()
            first = asyncio.create_task(call(leaves))
            await asyncio.sleep(0)
            second = asyncio.create_task(call(stays))
            await asyncio.sleep(0)
            assert house.calls() == 2  # the second has its route, and waits for places
            leaves.set()
            await first
            stays.set()
            await second
        assert (house.held(), house.calls()) == (0, 0)

    async def test_none_comes_free(self, calls: AsyncExitStack) -> None:
        house = House(endpoints={"a": endpoint(sessions=2)}, wait_s=0.02)
        await calls.enter_async_context(house.admission.enter("twilio"))
        assert await refusal(house) == "endpoint-at-capacity"
        assert house.metric("admissions_refused_total", reason="endpoint-at-capacity") == 1

    async def test_what_waiting_would_not_mend(self) -> None:
        house = House(
            routes=[{"name": "one", "endpoints": ["a"], "params": {"q": "1"}}], wait_s=1000
        )
        async with house.admission.enter("twilio") as ticket:
            with pytest.raises(CarrierError, match="no-route"):
                await ticket.settle(start())


class TestSettling:
    @pytest.mark.parametrize(("tracks", "held"), [(1, 1), (2, 2)])
    async def test_a_place_for_each_track(self, tracks: int, held: int) -> None:
        house = House()
        async with house.admission.enter("twilio") as ticket:
            await ticket.settle(start(tracks))
            assert house.held() == held

    async def test_a_route_that_only_the_start_message_tells(self) -> None:
        house = House(
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
            async with house.admission.enter("twilio") as ticket:
                assert (house.held("a"), house.held("b")) == (0, 0)
                await ticket.settle(call)
                assert (house.held(name), house.calls(route)) == (2, 1)
                assert (await ticket.place()).endpoint == name
            assert (house.held(name), house.calls(route)) == (0, 0)

    async def test_refused_then(self, calls: AsyncExitStack) -> None:
        house = House(
            endpoints={"a": endpoint(sessions=2)},
            routes=[{"name": "one", "endpoints": ["a"], "params": {"q": "1"}}],
        )
        first = await calls.enter_async_context(house.admission.enter("twilio"))
        await first.settle(start(q="1"))
        async with house.admission.enter("twilio") as ticket:
            with pytest.raises(CarrierError, match="endpoint-at-capacity"):
                await ticket.settle(start(q="1"))
        assert house.held() == 2


class TestPriorities:
    async def test_places_are_kept_for_important_routes(self, calls: AsyncExitStack) -> None:
        house = House(
            endpoints={"a": endpoint(sessions=6, reserved=2)},
            routes=[
                {"name": "vip", "endpoints": ["a"], "priority": "high", "carrier": "telnyx"},
                {"name": "all", "endpoints": ["a"]},
            ],
        )
        for _ in range(2):
            await calls.enter_async_context(house.admission.enter("twilio"))
        assert await refusal(house) == "endpoint-at-capacity"
        await calls.enter_async_context(house.admission.enter("telnyx"))
        assert await refusal(house, "telnyx") == "endpoint-at-capacity"

    async def test_a_live_call_s_next_session_may_have_them(self) -> None:
        house = House(endpoints={"a": endpoint(sessions=3, reserved=1)})
        async with house.admission.enter("twilio") as ticket:
            for _ in range(3):
                await ticket.place()
            with pytest.raises(UpstreamError, match="endpoint-at-capacity"):
                await ticket.place()


class TestPlaces:
    async def test_what_a_session_needs(self) -> None:
        house = House(endpoints={"a": endpoint(), "b": endpoint(model="other")})
        async with house.admission.enter("twilio") as ticket:
            place: Place = await ticket.place()
            assert (place.endpoint, place.model) == ("a", "voxtral")
            assert place.transport is house.transports["a"]

    async def test_a_rollover_holds_one_more_for_a_while(self) -> None:
        house = House()
        async with house.admission.enter("twilio") as ticket:
            old = await ticket.place()
            await ticket.place()
            assert house.held() == 2
            await old.another()
            assert house.held() == 3
            old.release()
            old.release()
            assert house.held() == 2

    async def test_a_rollover_leaves_the_other_track_its_place(self) -> None:
        """Symptom: a track that backed off found its place taken by the other's rollover."""
        house = House(endpoints={"a": endpoint(sessions=2)})
        async with house.admission.enter("twilio") as ticket:
            rolling, failed = await ticket.place(), await ticket.place()
            failed.release()
            with pytest.raises(UpstreamError, match="endpoint-at-capacity"):
                await rolling.another()
            await ticket.place()

    async def test_the_other_track_s_place_is_not_given_back_during_a_rollover(self) -> None:
        house = House()
        async with house.admission.enter("twilio") as ticket:
            rolling, other = await ticket.place(), await ticket.place()
            new = await rolling.another()
            other.release()
            assert house.held() == 3
            rolling.release()
            assert house.held() == 2
            newer = await new.another()
            assert house.held() == 3
            newer.release()
            assert house.held() == 2

    async def test_instead_of_a_session_that_is_over_the_call_s_own_place_does(self) -> None:
        house = House(endpoints={"a": endpoint(sessions=2)})
        async with house.admission.enter("twilio") as ticket:
            old, _ = await ticket.place(), await ticket.place()
            old.release()
            await old.another()
            assert house.held() == 2

    async def test_a_live_call_keeps_its_places_between_sessions(
        self, calls: AsyncExitStack
    ) -> None:
        """Symptom: a call that reconnected found its place taken by a new one."""
        house = House(endpoints={"a": endpoint(sessions=2)})
        ticket = await calls.enter_async_context(house.admission.enter("twilio"))
        place = await ticket.place()
        place.failed(BROKEN)
        place.release()
        assert await refusal(house) == "endpoint-at-capacity"
        assert (await ticket.place()).endpoint == "a"

    async def test_what_a_session_gives_back_late_is_not_given_back_twice(self) -> None:
        house = House()
        async with house.admission.enter("twilio") as first:
            place = await first.place()
        async with house.admission.enter("twilio"):
            place.release()
            assert house.held() == 2


class TestSpreading:
    async def test_by_free_places(self, calls: AsyncExitStack) -> None:
        house = House(endpoints={"a": endpoint(sessions=4), "b": endpoint(sessions=8)})
        names = []
        for _ in range(6):
            ticket = await calls.enter_async_context(house.admission.enter("twilio"))
            names.append((await ticket.place()).endpoint)
        assert names == ["b", "b", "a", "b", "a", "b"]
        assert await refusal(house) == "endpoint-at-capacity"

    async def test_without_limits_by_use(self, calls: AsyncExitStack) -> None:
        house = House(endpoints={"a": endpoint(None), "b": endpoint(None)})
        for _ in range(4):
            await calls.enter_async_context(house.admission.enter("twilio"))
        assert (house.held("a"), house.held("b")) == (4, 4)

    async def test_in_order(self, calls: AsyncExitStack) -> None:
        house = House(
            endpoints={"a": endpoint(sessions=2), "b": endpoint(sessions=8)},
            routes=[{"name": "all", "endpoints": ["a", "b"], "spread": "in-order"}],
        )
        for _ in range(2):
            await calls.enter_async_context(house.admission.enter("twilio"))
        assert (house.held("a"), house.held("b")) == (2, 2)

    async def test_what_others_took_unseen_is_no_refusal(self) -> None:
        house = House(endpoints={"a": endpoint(), "b": endpoint()})
        await house.store.take("endpoint:a", ["gw-9:1", "gw-9:2", "gw-9:3"], 4, 3000)
        async with house.admission.enter("twilio"):
            assert (house.held("a"), house.held("b")) == (0, 2)

    async def test_a_failure_sends_the_next_session_elsewhere(self) -> None:
        house = House(endpoints={"a": endpoint(), "b": endpoint()})
        async with house.admission.enter("twilio") as ticket:
            first = await ticket.place()
            first.failed(BROKEN)
            first.release()
            second = await ticket.place()
            assert (first.endpoint, second.endpoint) == ("a", "b")
            assert house.held("a") + house.held("b") == 2
            second.worked()

    async def test_the_third_endpoint_is_reached(self) -> None:
        """Symptom: a call went to and fro between two endpoints that failed."""
        house = House(
            endpoints={name: endpoint(8) for name in "abc"},
            routes=[{"name": "all", "endpoints": ["a", "b", "c"], "spread": "in-order"}],
        )
        went = []
        async with house.admission.enter("twilio") as ticket:
            for _ in range(6):
                place = await ticket.place()
                went.append(place.endpoint)
                place.failed(BROKEN)
                place.release()
        assert went == list("abcabc")

    async def test_a_success_clears_only_its_own_endpoint(self) -> None:
        """Symptom: one track's word at another endpoint sent the other track back to a dead one."""
        house = House(
            endpoints={name: endpoint(8) for name in "abc"},
            routes=[{"name": "all", "endpoints": ["a", "b", "c"], "spread": "in-order"}],
        )
        async with house.admission.enter("twilio") as ticket:
            first = await ticket.place()
            first.failed(BROKEN)
            first.release()
            second = await ticket.place()
            second.worked()
            assert (second.endpoint, (await ticket.place()).endpoint) == ("b", "b")

    @pytest.mark.parametrize("reason", ["context-full", "model-rut"])
    async def test_what_would_come_anywhere_is_no_reason_to_leave_a_well_endpoint(
        self, reason: str
    ) -> None:
        """Symptom: long calls moved to the fallback endpoint with every full context."""
        house = House(
            endpoints={"a": endpoint(8), "fallback": endpoint(8)},
            routes=[{"name": "all", "endpoints": ["a", "fallback"], "spread": "in-order"}],
        )
        async with house.admission.enter("twilio") as ticket:
            place = await ticket.place()
            place.worked()
            place.failed(UpstreamError(reason))
            place.release()
            assert (await ticket.place()).endpoint == "a"

    async def test_an_endpoint_that_refuses_for_good_does_not_attract_all_calls(self) -> None:
        """Symptom: a deleted endpoint held no calls, so it was the most free: all went there."""
        house = House(endpoints={"a": endpoint(8), "b": endpoint(8)})
        went = []

        async def call() -> None:
            async with house.admission.enter("twilio") as ticket:
                place = await ticket.place()
                went.append(place.endpoint)
                if place.endpoint == "a":
                    place.failed(UpstreamError("endpoint-not-found"))
                place.release()

        for now_s in (0, 10, 29, 31):
            house.now_s = now_s
            await call()
        assert went == list("abba")

    async def test_a_call_leaves_an_endpoint_that_refused_another_for_good(
        self, calls: AsyncExitStack
    ) -> None:
        house = House(
            endpoints={"a": endpoint(8), "b": endpoint(8)},
            routes=[{"name": "all", "endpoints": ["a", "b"], "spread": "in-order"}],
        )
        first = await calls.enter_async_context(house.admission.enter("twilio"))
        second = await calls.enter_async_context(house.admission.enter("twilio"))
        (await first.place()).failed(UpstreamError("access-denied"))
        place = await second.place()
        assert (place.endpoint, house.held("a"), house.held("b")) == ("b", 3, 1)

    async def test_a_broken_endpoint_is_passed_over(self) -> None:
        house = House(endpoints={"a": endpoint(8), "b": endpoint(4)})
        await house.break_endpoint("a")
        async with house.admission.enter("twilio") as ticket:
            assert (await ticket.place()).endpoint == "b"
            assert (await ticket.place()).endpoint == "b"


class TestBreaker:
    async def test_one_probe_at_a_time(self, calls: AsyncExitStack) -> None:
        house = House()
        await house.break_endpoint()
        house.now_s = 100
        first = await calls.enter_async_context(house.admission.enter("twilio"))
        second = await calls.enter_async_context(house.admission.enter("twilio"))
        probe = await first.place()
        with pytest.raises(UpstreamError, match="circuit-open"):
            await second.place()
        probe.release()  # it told nothing: another may
        probe = await second.place()
        probe.failed(BROKEN)
        with pytest.raises(UpstreamError, match="circuit-open"):
            await first.place()
        house.now_s = 200
        probe = await first.place()
        probe.worked()
        await second.place()
        assert house.metric("breaker_state", endpoint="a") == 0

    async def test_a_probe_of_a_silent_call_does_not_keep_a_well_endpoint_shut(
        self, calls: AsyncExitStack
    ) -> None:
        """Symptom: all calls were refused while the probe's call waited for its first word."""
        house = House(endpoints={"a": endpoint(None)})
        await house.break_endpoint()
        house.now_s = 100
        silent = await calls.enter_async_context(house.admission.enter("twilio"))
        await silent.place()
        assert await refusal(house) == "circuit-open"
        house.now_s += PROBE_S
        ticket = await calls.enter_async_context(house.admission.enter("twilio"))
        (await ticket.place()).worked()
        await silent.place()

    async def test_one_bad_call_does_not_shut_the_endpoint_for_all(
        self, calls: AsyncExitStack
    ) -> None:
        """Symptom: one call's audio made the model fail five times, and new calls were refused."""
        house = House(endpoints={"a": endpoint(None)})
        well = await calls.enter_async_context(house.admission.enter("twilio"))
        bad = await calls.enter_async_context(house.admission.enter("twilio"))
        (await well.place()).worked()
        for _ in range(LONE_THRESHOLD - 1):
            place = await bad.place()
            place.failed(UpstreamError("model-error"))
            place.release()
        await calls.enter_async_context(house.admission.enter("twilio"))

    async def test_a_probe_may_be_given_back_before_it_is_said_to_have_failed(
        self, calls: AsyncExitStack
    ) -> None:
        house = House(endpoints={"a": endpoint(None)})
        await house.break_endpoint()
        house.now_s = 100
        ticket = await calls.enter_async_context(house.admission.enter("twilio"))
        probe = await ticket.place()
        probe.release()
        probe.failed(BROKEN)
        assert house.metric("breaker_state", endpoint="a") == 2

    @pytest.mark.parametrize("reason", sorted(REASONS))
    async def test_which_failures_speak_against_an_endpoint(self, reason: str) -> None:
        meaning = REASONS[reason]
        expected = meaning.retry and meaning.fault in ("network", "platform", "model")
        house = House(endpoints={"a": endpoint(None)})
        async with house.admission.enter("twilio") as ticket:
            for _ in range(LONE_THRESHOLD):
                place = await ticket.place()
                place.failed(UpstreamError(reason))
                place.release()
        assert house.metric("breaker_state", endpoint="a") == (2 if expected else 0)

    async def test_a_failure_that_is_told_twice_counts_once(self) -> None:
        house = House(endpoints={"a": endpoint(None)})
        async with house.admission.enter("twilio") as ticket:
            for _ in range(LONE_THRESHOLD - 1):
                place = await ticket.place()
                place.failed(BROKEN)
                place.failed(BROKEN)
                place.release()
        assert house.metric("breaker_state", endpoint="a") == 0

    async def test_a_session_that_worked_does_not_count_when_it_fails_later(self) -> None:
        house = House()
        async with house.admission.enter("twilio") as ticket:
            for _ in range(2 * LONE_THRESHOLD):
                place = await ticket.place()
                place.worked()
                place.failed(BROKEN)
                place.release()
        assert house.metric("breaker_state", endpoint="a") == 0


class TestWithoutRedis:
    async def test_calls_go_on_by_our_own_count(self, calls: AsyncExitStack) -> None:
        house = House()
        house.store.away = True
        for _ in range(2):
            ticket = await calls.enter_async_context(house.admission.enter("twilio"))
            await ticket.settle(start())
            await ticket.place()
        assert house.metric("capacity_store_away", endpoint="a") == 1
        assert await refusal(house) == "endpoint-at-capacity"
