"""The entrances to all endpoints of the routes: which a stream tries first, how long it waits.

Endpoints whose breaker is open are passed over; of the others, one with room is taken, by the
route's `spread`, those last that refused a session for good lately.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from gateway.admission.endpoint import Endpoint
from gateway.admission.lease_pool import LeasePool
from gateway.admission.routes import Route, Spread
from gateway.errors import CarrierError, UpstreamError
from gateway.metrics import Metrics

_ASK_AGAIN_S: Final = 0.25  # another gateway's places come free unseen


class EndpointPool:
    """All endpoints that the routes name, and the calls that each route takes.

    Args:
        endpoints: the entrance to each, by its name.
        calls: each route's stock of calls, by the route's name.
        freed: waits until places came free here, for so many seconds at most.
        metrics: counts refusals, shows places and breakers.
        wait_s: a stream may wait so long for a slot.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        calls: Mapping[str, LeasePool],
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
        for name, endpoint in endpoints.items():
            pool = endpoint.pool
            metrics.places_held.labels(name).set_function(partial(_held, pool))
            metrics.places_taken.labels(name).set_function(partial(_taken, pool))
            metrics.places_limit.labels(name).set(_limit(pool))
            metrics.breaker_state.labels(name).set_function(endpoint.breaker_state)
            metrics.endpoint_failing.labels(name).set_function(endpoint.is_failing)
            metrics.capacity_store_away.labels(name).set_function(partial(_unavailable, pool))
        for name, pool in calls.items():
            metrics.route_calls.labels(name).set_function(partial(_taken, pool))
            metrics.route_calls_limit.labels(name).set(_limit(pool))

    def best_first(self, route: Route) -> list[Endpoint]:
        """Give a route's endpoints that may be asked now, the best first."""
        endpoints = [self._endpoints[name] for name in route.endpoints]
        may_be_asked = [endpoint for endpoint in endpoints if endpoint.is_open]
        if route.spread is Spread.MOST_FREE:
            may_be_asked.sort(key=lambda endpoint: (-endpoint.pool.free, endpoint.pool.held))
        return sorted(may_be_asked, key=lambda endpoint: endpoint.is_quarantined)

    def troubles(self) -> dict[str, UpstreamError]:
        """Return why sessions fail now, by the names of the endpoints where they do."""
        found = {name: endpoint.health.trouble for name, endpoint in self._endpoints.items()}
        return {name: error for name, error in found.items() if error}

    def calls(self, route: Route) -> LeasePool:
        """Give the stock of a route's calls."""
        return self._calls[route.name]

    async def attempt(self, reserve: Callable[[], Awaitable[None]]) -> None:
        """Reserve, again and again while there is no slot, within the time a stream may wait.

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
                if left_s <= 0 or not error.info.retry:
                    self._refused_total.labels(error.reason).inc()
                    raise
            await self._freed(min(left_s, _ASK_AGAIN_S))


def _held(pool: LeasePool) -> float:
    return float(pool.held)


def _taken(pool: LeasePool) -> float:
    return float(pool.taken)


def _limit(pool: LeasePool) -> float:
    return math.inf if pool.places is None else float(pool.places)


def _unavailable(pool: LeasePool) -> float:
    return float(pool.unavailable)
