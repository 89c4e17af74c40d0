"""Which streams are let in, and where their sessions go.

    async with admission.enter(carrier, route_name) as reservation:  # before the upgrade
        await reservation.reserve_slots(start)                       # once the call is known
        slot = await reservation.acquire_slot()                      # for each session

A stream takes a route; the route limits its calls and names its endpoints (`endpoint_pool.py`). A
call's places are leased before the upgrade where the route is certain then, once the call has
started otherwise (`reservation.py`). Leaving the context gives everything back.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Final

from gateway.admission.breaker import Breaker
from gateway.admission.capacity import Capacity
from gateway.admission.endpoint import Endpoint
from gateway.admission.endpoint_pool import EndpointPool
from gateway.admission.reservation import StreamReservation
from gateway.admission.routes import Routes
from gateway.calls.services import Reservation
from gateway.errors import UpstreamError
from gateway.metrics import Metrics
from gateway.upstream.transport import UpstreamTransport

_EXPECTED_TRACKS: Final = 2


def pools(routes: Routes) -> dict[str, int | None]:
    """Name the stocks of places that `Capacity` has to keep for these routes."""
    return {
        **{_endpoint_pool(name): endpoint.places for name, endpoint in routes.endpoints.items()},
        **{_route_pool(route.name): route.max_calls for route in routes.routes},
    }


def _endpoint_pool(name: str) -> str:
    return f"endpoint:{name}"


def _route_pool(name: str) -> str:
    return f"route:{name}"


class Admission:
    """Admits streams by the routes, for all carriers.

    Args:
        routes: where calls may go.
        transports: one per endpoint, by its name.
        capacity: keeps `pools(routes)`.
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
        self._numbers = itertools.count(1)  # of the tickets
        endpoints = {
            name: Endpoint(
                name,
                endpoint,
                endpoint.model or model,
                transports[name],
                capacity[_endpoint_pool(name)],
                Breaker(random),
                monotonic_s,
            )
            for name, endpoint in routes.endpoints.items()
        }
        calls = {route.name: capacity[_route_pool(route.name)] for route in routes.routes}
        self._endpoints = EndpointPool(endpoints, calls, capacity.freed, metrics, wait_s=wait_s)

    def troubles(self) -> dict[str, UpstreamError]:
        """Return why sessions fail now, by the names of the endpoints where they do."""
        return self._endpoints.troubles()

    @asynccontextmanager
    async def enter(
        self, carrier: str, route_name: str | None = None
    ) -> AsyncIterator[Reservation]:
        """Hold a stream's places for as long as the context lasts.

        Args:
            carrier: whose stream it is.
            route_name: the route that the stream's URL names, if it names one.

        Raises:
            CarrierError: no-route: answer 404; route-at-capacity, endpoint-at-capacity or
                circuit-open: answer 503.
        """
        if route_name is not None:
            route, may_match_later = self.routes.named(carrier, route_name), False
        else:
            route, may_match_later = self.routes.certain(carrier), self.routes.serve(carrier)
        choose = partial(self.routes.choose, carrier)
        reservation = StreamReservation(next(self._numbers), self._endpoints, route, choose)
        try:
            if route or not may_match_later:  # without any, it is refused at once
                await reservation.reserve(_EXPECTED_TRACKS)
            yield reservation
        finally:
            reservation.close()
