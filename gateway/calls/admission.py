"""Which streams are let in, and where their sessions go.

    async with admission.enter(carrier, route_name) as ticket:    # before the upgrade: 503
        await ticket.settle(start)                                # the call is known: refused
        place = await ticket.place()                              # each session's

A stream takes a route; the route limits its calls and names its endpoints (`entrances.py`). A
call's places are leased before the upgrade where the route is certain then, once the call has
started otherwise (`ticket.py`). Leaving the context gives everything back.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Final

from gateway.calls.breaker import Breaker
from gateway.calls.capacity import Capacity
from gateway.calls.entrance import Entrance
from gateway.calls.entrances import Entrances
from gateway.calls.services import Ticket
from gateway.calls.ticket import StreamTicket
from gateway.errors import UpstreamError
from gateway.metrics import Metrics
from gateway.routes import Routes
from gateway.upstream.transport import UpstreamTransport

_EXPECTED_TRACKS: Final = 2


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
        self._numbers = itertools.count(1)  # of the tickets
        endpoints = {
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
        calls = {route.name: capacity[_route_stock(route.name)] for route in routes.routes}
        self._entrances = Entrances(endpoints, calls, capacity.freed, metrics, wait_s=wait_s)

    def troubles(self) -> dict[str, UpstreamError]:
        """Return why sessions fail now, by the names of the endpoints where they do."""
        return self._entrances.troubles()

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
            route, may_match_later = self.routes.named(carrier, route_name), False
        else:
            route, may_match_later = self.routes.certain(carrier), self.routes.serve(carrier)
        choose = partial(self.routes.choose, carrier)
        ticket = StreamTicket(next(self._numbers), self._entrances, route, choose)
        try:
            if route or not may_match_later:  # without any, it is refused at once
                await ticket.reserve(_EXPECTED_TRACKS)
            yield ticket
        finally:
            ticket.close()
