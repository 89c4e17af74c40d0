"""Which streams are let in, and where their sessions go.

    async with admission.enter(carrier, route_name) as ticket:    # before the upgrade: 503
        await ticket.settle(start)                                # the call is known: refused
        place = await ticket.place()                              # each session's

A stream takes a route; the route limits its calls and names its endpoints. A call's places are
leased together, at one endpoint: before the upgrade where the route is certain then, once the call
has started otherwise. Later sessions of a live call (reconnect, rollover) lease more, or get one
that the call has given back: as long as it lives, the places for its tracks stay its own. Leaving
the context gives everything back.

Endpoints whose breaker is open are passed over; of the others, one with room is taken, by the
route's `spread`, those last that refused a session for good lately. A call's next session goes, if
it can, to the endpoint where none of its own has failed, or the longest ago.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Final

from gateway.calls.breaker import Breaker
from gateway.calls.capacity import Capacity
from gateway.calls.entrance import Entrance
from gateway.calls.services import Ticket
from gateway.calls.stock import Stock
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError, Fault, UpstreamError
from gateway.metrics import Metrics
from gateway.routes import Route, Routes, Spread
from gateway.upstream.transport import UpstreamTransport

_EXPECTED_TRACKS: Final = 2
_ASK_AGAIN_S: Final = 0.25  # another gateway's places come free unseen
_AGAINST_THE_ENDPOINT: Final = {Fault.NETWORK, Fault.PLATFORM, Fault.MODEL}
_OF_THE_CALL: Final = {"context-full", "model-rut"}  # would come at any endpoint


def stocks(routes: Routes) -> dict[str, int | None]:
    """Name the stocks of places that `Capacity` has to keep for these routes."""
    return {
        **{_endpoint_stock(name): endpoint.places for name, endpoint in routes.endpoints.items()},
        **{_route_stock(route.name): route.max_calls for route in routes.routes},
    }


def _endpoint_stock(name: str) -> str:
    return f"endpoint:{name}"


def _route_stock(name: str) -> str:
    return f"route:{name}"


class Admission:
    """Admits streams by the routes, for all carriers.

    Args:
        routes: where calls may go.
        transports: one per endpoint, by its name.
        capacity: keeps `stocks(routes)`.
        metrics: counts refusals, shows places and breakers.
        model: the model's name at endpoints that do not name theirs.
        wait_s: a stream may wait so long for a place; GATEWAY_ADMISSION_WAIT_S.
        random: jitter.
        monotonic_s: the breakers' clock.
    """

    def __init__(
        self,
        routes: Routes,
        transports: Mapping[str, UpstreamTransport],
        capacity: Capacity,
        metrics: Metrics,
        *,
        model: str,
        wait_s: float,
        random: Random,
        monotonic_s: Callable[[], float],
    ) -> None:
        self.routes = routes
        self._capacity = capacity
        self._refused_total = metrics.admissions_refused_total
        self._wait_s = wait_s
        self._numbers = itertools.count(1)  # of the tickets
        self._endpoints = {
            name: Entrance(
                name,
                endpoint,
                endpoint.model or model,
                transports[name],
                capacity[_endpoint_stock(name)],
                Breaker(random),
                monotonic_s,
            )
            for name, endpoint in routes.endpoints.items()
        }
        for name, entrance in self._endpoints.items():
            metrics.places_held.labels(name).set_function(partial(_held, entrance.stock))
            metrics.breaker_state.labels(name).set_function(entrance.breaker_state)
            metrics.capacity_store_away.labels(name).set_function(partial(_away, entrance.stock))

    @asynccontextmanager
    async def enter(self, carrier: str, route_name: str | None = None) -> AsyncIterator[Ticket]:
        """Hold a stream's places for as long as the context lasts.

        Args:
            carrier: whose stream it is.
            route_name: the route that the stream's URL names, if it names one.

        Raises:
            CarrierError: no-route: answer 404; route-at-capacity, endpoint-at-capacity or
                circuit-open: answer 503.
        """
        if route_name is not None:
            route, served = self.routes.named(carrier, route_name), False
        else:
            route, served = self.routes.certain(carrier), self.routes.serve(carrier)
        if route is None and not served:
            raise self._counted(CarrierError("no-route"))
        ticket = _Ticket(self, next(self._numbers), carrier, route)
        try:
            if route:
                await ticket.reserve(_EXPECTED_TRACKS)
            yield ticket
        finally:
            ticket.close()

    async def attempt(self, reserve: Callable[[], Awaitable[None]]) -> None:
        """Reserve, again and again while there is no place, within the time a stream may wait.

        Raises:
            CarrierError: the last refusal.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._wait_s
        while True:
            try:
                return await reserve()
            except CarrierError as error:
                left_s = deadline_s - loop.time()
                if left_s <= 0 or not error.meaning.retry:
                    raise self._counted(error) from None
            await self._capacity.freed(min(left_s, _ASK_AGAIN_S))

    def entrances(self, route: Route) -> list[Entrance]:
        """Give a route's endpoints that may be asked now, the best first."""
        entrances = [self._endpoints[name] for name in route.endpoints]
        may_be_asked = [entrance for entrance in entrances if entrance.is_open]
        if route.spread is Spread.MOST_FREE:
            may_be_asked.sort(key=lambda entrance: (-entrance.stock.free, entrance.stock.held))
        return sorted(may_be_asked, key=lambda entrance: entrance.is_distrusted)

    def calls(self, route: Route) -> Stock:
        """Give the stock of a route's calls."""
        return self._capacity[_route_stock(route.name)]

    def _counted(self, error: CarrierError) -> CarrierError:
        self._refused_total.labels(error.reason).inc()
        return error


class _Place:
    """Implements `Place` of `services.py`."""

    def __init__(self, entrance: Entrance, ticket: "_Ticket", lease: str, *, probe: bool) -> None:
        self.endpoint = entrance.name
        self.model = entrance.model
        self.transport = entrance.transport
        self._entrance = entrance
        self._ticket = ticket
        self._lease = lease
        self._probe = probe
        self._judged = False  # the breaker knows how this attempt went
        self._released = False

    async def another(self) -> "_Place":
        """Lease one more place, as `Place` says."""
        return await self._ticket.place(beside=self._lease)

    def worked(self) -> None:
        """Learn that a session there answered."""
        if not self._judged:
            self._judged = True
            self._entrance.worked()
        self._ticket.trust(self._entrance)

    def failed(self, error: UpstreamError) -> None:
        """Learn that the session failed; what it says of the endpoint, if anything, counts once."""
        if error.reason not in _OF_THE_CALL:
            self._ticket.shun(self._entrance)
        if not error.meaning.retry:
            self._entrance.distrust()
        speaks_against_it = error.meaning.retry and error.fault in _AGAINST_THE_ENDPOINT
        if speaks_against_it and not self._judged:
            self._judged = True
            self._entrance.failed(caller=self._ticket.number, probe=self._probe)

    def release(self) -> None:
        """Give the place back to the call or to all."""
        if self._released:
            return
        self._released = True
        if self._probe and not self._judged:
            self._entrance.breaker.forgo()
        self._ticket.take_back(self._entrance, self._lease)


class _Ticket:
    """Implements `Ticket` of `services.py`: all that one stream holds."""

    def __init__(
        self, admission: Admission, number: int, carrier: str, route: Route | None
    ) -> None:
        self.number = number  # tells it from others
        self._admission = admission
        self._carrier = carrier
        self._route = route
        self._tracks = 0  # places that stay the stream's own
        self._call: list[str] = []  # the lease of the route's limit
        self._spare: list[tuple[Entrance, str]] = []
        self._in_use: list[tuple[Entrance, str]] = []
        self._beside: dict[str, str] = {}  # lease -> that of the session it is to replace
        self._failures = 0
        self._failed_at: dict[Entrance, int] = {}  # which of the failures was the last one there

    async def settle(self, start: CallStarted) -> None:
        """Choose the route for good and hold a place for each track, as `Ticket` says."""
        if self._route is None:
            self._route = self._admission.routes.choose(self._carrier, start.called, start.params)
        await self.reserve(len(start.tracks))

    async def reserve(self, tracks: int) -> None:
        """Hold as many places as there are tracks; what is too much is given back.

        Raises:
            CarrierError: as `settle`.
        """
        self._tracks = tracks
        self._give_back_surplus()
        await self._admission.attempt(self._reserve)

    async def place(self, beside: str | None = None) -> _Place:
        """Give a place for a session, as `Ticket` says.

        Args:
            beside: the lease of a session that it will replace. While that lives, it gets one more
                place, none that is kept for other tracks.
        """
        route = self._route
        entrances = self._admission.entrances(route) if route else []
        for entrance in self._preferred(entrances):
            lease = None if self._is_in_use(beside) else self._pop_spare(entrance)
            lease = lease or next(iter(await entrance.stock.take(1)), None)
            if lease is None:
                continue
            self._in_use.append((entrance, lease))
            if beside and self._is_in_use(beside):
                self._beside[lease] = beside
            if not entrance.is_open:  # while the lease was waited for
                self.take_back(entrance, lease)
                continue
            self._give_back_surplus()
            return _Place(entrance, self, lease, probe=entrance.begin())
        raise UpstreamError("endpoint-at-capacity" if entrances else "circuit-open")

    def take_back(self, entrance: Entrance, lease: str) -> None:
        """Keep a place that a session has left for the next one, if the call needs it."""
        if (entrance, lease) in self._in_use:
            self._in_use.remove((entrance, lease))
            pairs = self._beside.items()
            self._beside = {new: old for new, old in pairs if lease not in (new, old)}
            self._spare.append((entrance, lease))
            self._give_back_surplus()

    def shun(self, entrance: Entrance) -> None:
        """Prefer any other endpoint for the next session, and after it those that failed before."""
        self._failures += 1
        self._failed_at[entrance] = self._failures

    def trust(self, entrance: Entrance) -> None:
        """Prefer it as if no session had failed there."""
        self._failed_at.pop(entrance, None)

    def close(self) -> None:
        """Give everything back."""
        for entrance, lease in self._spare + self._in_use:
            entrance.stock.release([lease])
        self._spare.clear()
        self._in_use.clear()
        if self._route:
            self._admission.calls(self._route).release(self._call)

    async def _reserve(self) -> None:
        route = self._route
        if route is None:
            raise CarrierError("no-route")
        if not self._call:
            self._call = await self._admission.calls(route).take(1)
            if not self._call:
                raise CarrierError("route-at-capacity")
        missing = self._tracks - len(self._spare)
        if missing <= 0:
            return
        entrances = self._admission.entrances(route)
        for entrance in entrances:
            kept_free = entrance.kept_free(route.priority)
            if leases := await entrance.stock.take(missing, kept_free):
                self._spare += [(entrance, lease) for lease in leases]
                return
        raise CarrierError("endpoint-at-capacity" if entrances else "circuit-open")

    def _preferred(self, entrances: list[Entrance]) -> list[Entrance]:
        own = [entrance for entrance, _ in self._spare]

        def drawbacks(entrance: Entrance) -> tuple[bool, int, bool]:
            last_failure = self._failed_at.get(entrance, 0)
            return entrance.is_distrusted, last_failure, entrance not in own

        return sorted(entrances, key=drawbacks)

    def _is_in_use(self, lease: str | None) -> bool:
        return any(lease == each for _, each in self._in_use)

    def _pop_spare(self, entrance: Entrance) -> str | None:
        for i, (at, lease) in enumerate(self._spare):
            if at is entrance:
                del self._spare[i]
                return lease
        return None

    def _give_back_surplus(self) -> None:
        needed = self._tracks + len(self._beside)
        while self._spare and len(self._spare) + len(self._in_use) > needed:
            entrance, lease = self._spare.pop(0)
            entrance.stock.release([lease])


def _held(stock: Stock) -> float:
    return float(stock.held)


def _away(stock: Stock) -> float:
    return float(stock.away)
