"""Admits streams by the routes, and holds their session slots while they run.

    async with admission.enter(carrier, route_name) as reservation:  # before the upgrade
        await reservation.reserve_slots(start)                       # once the call is known
        slot = await reservation.acquire_slot()                      # for each session

Each stream takes one route. The route limits its calls and names its endpoints
(`endpoint_pool.py`). If the route is known before the upgrade, the call's slots are leased then;
otherwise they are leased once the call has started (`reservation.py`). Leaving the context
releases everything.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Final

from common.settings import SettingsError
from gateway.admission.breaker import Breaker
from gateway.admission.capacity import Capacity
from gateway.admission.endpoint import Access, Endpoint
from gateway.admission.endpoint_pool import EndpointPool
from gateway.admission.reservation import StreamReservation
from gateway.admission.routes import EndpointConfig, Routes
from gateway.calls.services import Reservation
from gateway.errors import UpstreamError
from gateway.metrics import Metrics

_EXPECTED_TRACKS: Final = 2


def pools(routes: Routes) -> dict[str, int | None]:
    """Return the lease pools that these routes need: each pool's name and its number of slots."""
    return {
        **{_endpoint_pool_name(name): each.slots for name, each in routes.endpoints.items()},
        **{_route_pool_name(route.name): route.max_calls for route in routes.routes},
    }


def _endpoint_pool_name(name: str) -> str:
    return f"endpoint:{name}"


def _route_pool_name(name: str) -> str:
    return f"route:{name}"


class Admission:
    """Admits the streams of all carriers.

    Args:
        routes: all endpoints and routes.
        access: how sessions are opened at each endpoint, by the endpoint's name.
        capacity: the lease pools.
        metrics: receives the refusals and shows slots and breakers.
        wait_s: how long a stream may wait for a slot; GATEWAY_ADMISSION_WAIT_S.
        random: the source of the breakers' jitter.
        monotonic_s: the breakers' clock.

    Attributes:
        routes: the present endpoints and routes.
    """

    def __init__(
        self,
        routes: Routes,
        access: Mapping[str, Access],
        capacity: Capacity,
        metrics: Metrics,
        *,
        wait_s: float,
        random: Random,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._numbers = itertools.count(1)  # of the reservations
        self._capacity = capacity
        self._random = random
        self._monotonic_s = monotonic_s
        self._endpoints = EndpointPool(capacity.wait_for_release, metrics, wait_s=wait_s)
        self.replace_routes(routes, access)

    def new_endpoints(self, routes: Routes) -> dict[str, EndpointConfig]:
        """Return the endpoints that need an `Access` before these routes can take effect.

        Raises:
            SettingsError: an endpoint that is known has another address, model or dialect.
        """
        known = {endpoint.name: endpoint.config for endpoint in self._endpoints}
        for name, config in routes.endpoints.items():
            if name in known and known[name].model_address != config.model_address:
                raise SettingsError(
                    f"endpoint {name}: give it another name, or restart the gateway, to change its "
                    "endpoint, variant, url, model or dialect"
                )
        return {name: each for name, each in routes.endpoints.items() if name not in known}

    def replace_routes(self, routes: Routes, access: Mapping[str, Access]) -> None:
        """Apply routes to new calls, and to the next sessions of live ones.

        Raises:
            SettingsError: a server can't be sent what a route asks of it. Nothing has changed then.

        Args:
            routes: all endpoints and routes.
            access: of each of `new_endpoints(routes)`, by the endpoint's name.
        """
        known = {endpoint.name: endpoint.access for endpoint in self._endpoints} | dict(access)
        for route in routes.routes:
            for name in route.endpoints:
                try:
                    known[name].of_route(route).address()
                except SettingsError as error:
                    raise SettingsError(f"route {route.name}, endpoint {name}: {error}") from None
        self.routes = routes
        self._capacity.resize(pools(routes))
        added = [
            Endpoint(
                name,
                config,
                access[name],
                self._capacity[_endpoint_pool_name(name)],
                Breaker(self._random),
                self._monotonic_s,
            )
            for name, config in self.new_endpoints(routes).items()
        ]
        calls = {each.name: self._capacity[_route_pool_name(each.name)] for each in routes.routes}
        self._endpoints.replace_routes(routes, added, calls)

    def failing_endpoints(self) -> dict[str, UpstreamError]:
        """Return the endpoints where sessions currently fail, by name, with their last errors."""
        return self._endpoints.failing()

    def doubted_endpoints(self) -> list[str]:
        """Return the endpoints whose dialect was changed because of its times, by name."""
        return self._endpoints.doubted()

    @asynccontextmanager
    async def enter(
        self, carrier: str, route_name: str | None = None
    ) -> AsyncIterator[Reservation]:
        """Admit a stream, and hold its slots for as long as the context lasts.

        Args:
            carrier: the stream's carrier.
            route_name: the route that the stream's URL names, if it names one.

        Raises:
            CarrierError: no-route (respond with 404); route-at-capacity, endpoint-at-capacity or
                circuit-open (respond with 503).
        """
        if route_name is not None:
            route, may_match_later = self.routes.named(carrier, route_name), False
        else:
            route, may_match_later = self.routes.certain(carrier), self.routes.serve(carrier)
        choose = partial(self.routes.choose, carrier)
        reservation = StreamReservation(next(self._numbers), self._endpoints, route, choose)
        try:
            if route or not may_match_later:  # if no route can match, `reserve` refuses now
                await reservation.reserve(_EXPECTED_TRACKS)
            yield reservation
        finally:
            reservation.close()
