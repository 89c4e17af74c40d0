"""All endpoints of the routes: orders them for a stream, and retries while a call is refused.

Endpoints whose breaker is open are skipped. The others are ordered by the route's `spread`, with
quarantined endpoints last. A stream takes the first one that has enough free slots.
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

_RETRY_S: Final = 0.25  # releases of other gateways are not announced


class EndpointPool:
    """All endpoints that the routes name, and the limit of calls of each route.

    Args:
        endpoints: all endpoints, by name.
        calls: the lease pool of each route's calls, by the route's name.
        wait_for_release: waits until this gateway has released slots, with a timeout in seconds.
        metrics: receives the refusals and shows slots and breakers.
        wait_s: how long a stream may wait for a slot, in seconds.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        calls: Mapping[str, LeasePool],
        wait_for_release: Callable[[float], Awaitable[None]],
        metrics: Metrics,
        *,
        wait_s: float,
    ) -> None:
        self._endpoints = endpoints
        self._calls = calls
        self._wait_for_release = wait_for_release
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
        """Return a route's endpoints that accept attempts now, the preferred first."""
        endpoints = [self._endpoints[name] for name in route.endpoints]
        available = [endpoint for endpoint in endpoints if endpoint.accepts_attempts]
        if route.spread is Spread.MOST_FREE:
            available.sort(key=lambda endpoint: (-endpoint.pool.free, endpoint.pool.held))
        return sorted(available, key=lambda endpoint: endpoint.is_quarantined)

    def failing(self) -> dict[str, UpstreamError]:
        """Return the endpoints where sessions currently fail, by name, with their last errors."""
        found = {name: endpoint.health.current_error for name, endpoint in self._endpoints.items()}
        return {name: error for name, error in found.items() if error}

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
                    self._refused_total.labels(error.reason).inc()
                    raise
            await self._wait_for_release(min(left_s, _RETRY_S))


def _held(pool: LeasePool) -> float:
    return float(pool.held)


def _taken(pool: LeasePool) -> float:
    return float(pool.taken)


def _limit(pool: LeasePool) -> float:
    return math.inf if pool.slots is None else float(pool.slots)


def _unavailable(pool: LeasePool) -> float:
    return float(pool.unavailable)
