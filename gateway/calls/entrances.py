"""The entrances to all endpoints of the routes: which a stream tries first, how long it waits.

Endpoints whose breaker is open are passed over; of the others, one with room is taken, by the
route's `spread`, those last that refused a session for good lately.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from gateway.calls.entrance import Entrance
from gateway.calls.stock import Stock
from gateway.errors import CarrierError, UpstreamError
from gateway.metrics import Metrics
from gateway.routes import Route, Spread

_ASK_AGAIN_S: Final = 0.25  # another gateway's places come free unseen


class Entrances:
    """All endpoints that the routes name, and the calls that each route takes.

    Args:
        endpoints: the entrance to each, by its name.
        calls: each route's stock of calls, by the route's name.
        freed: waits until places came free here, for so many seconds at most.
        metrics: counts refusals, shows places and breakers.
        wait_s: a stream may wait so long for a place.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Entrance],
        calls: Mapping[str, Stock],
        freed: Callable[[float], Awaitable[None]],
        metrics: Metrics,
        *,
        wait_s: float,
    ) -> None:
        self._endpoints = endpoints
        self._calls = calls
        self._freed = freed
        self._refused_total = metrics.admissions_refused_total
        self._wait_s = wait_s
        for name, entrance in endpoints.items():
            stock = entrance.stock
            metrics.places_held.labels(name).set_function(partial(_held, stock))
            metrics.places_taken.labels(name).set_function(partial(_taken, stock))
            metrics.places_limit.labels(name).set(_limit(stock))
            metrics.breaker_state.labels(name).set_function(entrance.breaker_state)
            metrics.endpoint_failing.labels(name).set_function(entrance.is_failing)
            metrics.capacity_store_away.labels(name).set_function(partial(_away, stock))
        for name, stock in calls.items():
            metrics.route_calls.labels(name).set_function(partial(_taken, stock))
            metrics.route_calls_limit.labels(name).set(_limit(stock))

    def best_first(self, route: Route) -> list[Entrance]:
        """Give a route's endpoints that may be asked now, the best first."""
        entrances = [self._endpoints[name] for name in route.endpoints]
        may_be_asked = [entrance for entrance in entrances if entrance.is_open]
        if route.spread is Spread.MOST_FREE:
            may_be_asked.sort(key=lambda entrance: (-entrance.stock.free, entrance.stock.held))
        return sorted(may_be_asked, key=lambda entrance: entrance.is_distrusted)

    def troubles(self) -> dict[str, UpstreamError]:
        """Return why sessions fail now, by the names of the endpoints where they do."""
        found = {name: entrance.health.trouble for name, entrance in self._endpoints.items()}
        return {name: error for name, error in found.items() if error}

    def calls(self, route: Route) -> Stock:
        """Give the stock of a route's calls."""
        return self._calls[route.name]

    async def attempt(self, reserve: Callable[[], Awaitable[None]]) -> None:
        """Reserve, again and again while there is no place, within the time a stream may wait.

        Raises:
            CarrierError: the last refusal; it is counted.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._wait_s
        while True:
            try:
                return await reserve()
            except CarrierError as error:
                left_s = deadline_s - loop.time()
                if left_s <= 0 or not error.meaning.retry:
                    self._refused_total.labels(error.reason).inc()
                    raise
            await self._freed(min(left_s, _ASK_AGAIN_S))


def _held(stock: Stock) -> float:
    return float(stock.held)


def _taken(stock: Stock) -> float:
    return float(stock.taken)


def _limit(stock: Stock) -> float:
    return math.inf if stock.places is None else float(stock.places)


def _away(stock: Stock) -> float:
    return float(stock.away)
