"""All endpoints of the routes: orders them for a stream, and retries while a call is refused.

Endpoints whose breaker is open are skipped. The others are ordered by the route's `spread`, with
quarantined endpoints last. A stream takes the first one that has enough free slots.

The routes may change while the process runs (`replace_routes`). Endpoints that they no longer
contain are drained: they stay here, because sessions of live calls may be open there.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from gateway.admission.endpoint import Endpoint
from gateway.admission.lease_pool import LeasePool
from gateway.admission.routes import Route, Routes, Spread
from gateway.errors import CarrierError, UpstreamError
from gateway.metrics import Metrics

_RETRY_S: Final = 0.25  # releases of other gateways are not announced


class EndpointPool:
    """All endpoints that the routes name, and the limit of calls of each route.

    Args:
        wait_for_release: waits until this gateway has released slots, with a timeout in seconds.
        metrics: receives the refusals and shows slots and breakers.
        wait_s: how long a stream may wait for a slot, in seconds.
    """

    def __init__(
        self,
        wait_for_release: Callable[[float], Awaitable[None]],
        metrics: Metrics,
        *,
        wait_s: float,
    ) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._routes: Mapping[str, Route] = {}
        self._calls: dict[str, LeasePool] = {}
        self._wait_for_release = wait_for_release
        self._metrics = metrics
        self._wait_s = wait_s

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def replace_routes(
        self, routes: Routes, added: Iterable[Endpoint], calls: Mapping[str, LeasePool]
    ) -> None:
        """Apply changed routes to new calls, and to the next sessions of live ones.

        Args:
            routes: all endpoints and routes.
            added: the endpoints that are not here yet.
            calls: the lease pool of each route's calls, by the route's name.
        """
        self._endpoints |= {endpoint.name: endpoint for endpoint in added}
        self._routes = {route.name: route for route in routes.routes}
        self._calls |= calls
        for name, endpoint in self._endpoints.items():
            endpoint.configure(routes.endpoints.get(name))
            self._show(endpoint)
        for name, pool in calls.items():
            self._metrics.route_calls.labels(name).set_function(partial(_taken, pool))
            self._metrics.route_calls_limit.labels(name).set(_limit(pool))

    def best_first(self, route: Route) -> list[Endpoint]:
        """Return a route's endpoints that accept attempts now, the preferred first.

        If the route has changed since the call took it, its present endpoints are used.
        """
        available = [endpoint for endpoint in self.of(route) if endpoint.accepts_attempts]
        if route.spread is Spread.MOST_FREE:
            available.sort(key=lambda endpoint: (-endpoint.pool.free, endpoint.pool.held))
        return sorted(available, key=lambda endpoint: endpoint.is_quarantined)

    def of(self, route: Route) -> list[Endpoint]:
        """Return a route's present endpoints, in its order."""
        return [self._endpoints[name] for name in self._routes.get(route.name, route).endpoints]

    def failing(self) -> dict[str, UpstreamError]:
        """Return the endpoints where sessions currently fail, by name, with their last errors."""
        found = {each.name: each.current_error for each in self if not each.is_draining}
        return {name: error for name, error in found.items() if error}

    def doubted(self) -> list[str]:
        """Return the endpoints whose dialect was changed because of its times, by name."""
        return [each.name for each in self if each.is_doubted and not each.is_draining]

    def calls(self, route: Route) -> LeasePool:
        """Return the lease pool of a route's calls."""
        return self._calls[route.name]

    async def attempt(self, reserve: Callable[[], Awaitable[None]]) -> None:
        """Call `reserve`, and retry for up to `wait_s` seconds while a retry may succeed.

        Raises:
            CarrierError: the last refusal. It is counted in the metrics.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._wait_s
        while True:
            try:
                return await reserve()
            except CarrierError as error:
                left_s = deadline_s - loop.time()
                if left_s <= 0 or not error.info.retry:
                    self._metrics.admissions_refused_total.labels(error.reason).inc()
                    raise
            await self._wait_for_release(min(left_s, _RETRY_S))

    def _show(self, endpoint: Endpoint) -> None:
        metrics, name, pool = self._metrics, endpoint.name, endpoint.pool
        metrics.places_held.labels(name).set_function(partial(_held, pool))
        metrics.places_taken.labels(name).set_function(partial(_taken, pool))
        metrics.places_limit.labels(name).set(_limit(pool))
        metrics.breaker_state.labels(name).set_function(endpoint.breaker_state)
        metrics.endpoint_failing.labels(name).set_function(endpoint.is_failing)
        metrics.token_clock_doubted.labels(name).set_function(endpoint.shows_doubt)
        metrics.endpoint_draining.labels(name).set(endpoint.is_draining)
        metrics.capacity_store_away.labels(name).set_function(partial(_unavailable, pool))


def _held(pool: LeasePool) -> float:
    return float(pool.held)


def _taken(pool: LeasePool) -> float:
    return float(pool.taken)


def _limit(pool: LeasePool) -> float:
    return math.inf if pool.slots is None else float(pool.slots)


def _unavailable(pool: LeasePool) -> float:
    return float(pool.unavailable)
