"""What one stream holds: its route's call, and the places of its sessions.

A call's places are leased together, at one endpoint. Later sessions of a live call (reconnect,
rollover) lease more, or get one that the call has given back: as long as it lives, the places for
its tracks stay its own.

A call's next session goes, if it can, to the endpoint where none of its own has failed, or the
longest ago.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.admission.endpoint import Endpoint
from gateway.admission.endpoint_pool import EndpointPool
from gateway.admission.routes import Route
from gateway.calls.services import RouteTerms
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError, Fault, UpstreamError

_AGAINST_THE_ENDPOINT: Final = {Fault.NETWORK, Fault.PLATFORM, Fault.MODEL}
_OF_THE_CALL: Final = {"context-full", "model-rut"}  # would come at any endpoint


class StreamReservation:
    """Implements `Reservation` of `services.py`: all that one stream holds.

    Args:
        number: tells it from others.
        endpoints: to the endpoints.
        route: the one it takes; None if only the call's start tells.
        choose: gives the route, if any, for a called number and custom parameters.
    """

    def __init__(
        self,
        number: int,
        endpoints: EndpointPool,
        route: Route | None,
        choose: Callable[[str | None, Mapping[str, str]], Route | None],
    ) -> None:
        self.number = number
        self._endpoints = endpoints
        self._route = route
        self._choose = choose
        self._tracks = 0  # places that stay the stream's own
        self._call: list[str] = []  # the lease of the route's limit
        self._spare: list[tuple[Endpoint, str]] = []
        self._in_use: list[tuple[Endpoint, str]] = []
        self._beside: dict[str, str] = {}  # lease -> that of the session it is to replace
        self._failures = 0
        self._failed_at: dict[Endpoint, int] = {}  # which of the failures was the last one there

    @property
    def route(self) -> str | None:
        """The route's name, as `Reservation` says."""
        return self._route.name if self._route else None

    def choose(self, start: CallStarted) -> RouteTerms:
        """Choose the route for good, as `Reservation` says."""
        route = self._route = self._route or self._choose(start.called, start.params)
        return (
            RouteTerms(route.tenant, route.roles, route.publish_params) if route else RouteTerms()
        )

    async def reserve_slots(self, start: CallStarted) -> None:
        """Hold a place for each track, as `Reservation` says."""
        self.choose(start)
        await self.reserve(len(start.tracks))

    async def reserve(self, tracks: int) -> None:
        """Hold as many places as there are tracks; what is too much is given back.

        Raises:
            CarrierError: as `settle`.
        """
        self._tracks = tracks
        self._give_back_surplus()
        await self._endpoints.attempt(self._reserve)

    async def acquire_slot(self, beside: str | None = None) -> "LeasedSlot":
        """Give a place for a session, as `Reservation` says.

        Args:
            beside: the lease of a session that it will replace. While that lives, it gets one more
                slot, none that is kept for other tracks.
        """
        route = self._route
        endpoints = self._endpoints.best_first(route) if route else []
        for endpoint in self._preferred(endpoints):
            lease = None if self._is_in_use(beside) else self._pop_spare(endpoint)
            lease = lease or next(iter(await endpoint.pool.acquire(1)), None)
            if lease is None:
                continue
            self._in_use.append((endpoint, lease))
            if beside and self._is_in_use(beside):
                self._beside[lease] = beside
            if not endpoint.is_open:  # while the lease was waited for
                self.return_slot(endpoint, lease)
                continue
            self._give_back_surplus()
            return LeasedSlot(endpoint, self, lease, probe=endpoint.begin())
        raise UpstreamError("endpoint-at-capacity" if endpoints else "circuit-open")

    def return_slot(self, endpoint: Endpoint, lease: str) -> None:
        """Keep a place that a session has left for the next one, if the call needs it."""
        if (endpoint, lease) in self._in_use:
            self._in_use.remove((endpoint, lease))
            pairs = self._beside.items()
            self._beside = {new: old for new, old in pairs if lease not in (new, old)}
            self._spare.append((endpoint, lease))
            self._give_back_surplus()

    def penalize(self, endpoint: Endpoint) -> None:
        """Prefer any other endpoint for the next session, and after it those that failed before."""
        self._failures += 1
        self._failed_at[endpoint] = self._failures

    def clear_penalty(self, endpoint: Endpoint) -> None:
        """Prefer it as if no session had failed there."""
        self._failed_at.pop(endpoint, None)

    def close(self) -> None:
        """Give everything back."""
        for endpoint, lease in self._spare + self._in_use:
            endpoint.pool.release([lease])
        self._spare.clear()
        self._in_use.clear()
        if self._route:
            self._endpoints.calls(self._route).release(self._call)

    async def _reserve(self) -> None:
        route = self._route
        if route is None:
            raise CarrierError("no-route")
        if not self._call:
            self._call = await self._endpoints.calls(route).acquire(1)
            if not self._call:
                raise CarrierError("route-at-capacity")
        missing = self._tracks - len(self._spare)
        if missing <= 0:
            return
        endpoints = self._endpoints.best_first(route)
        for endpoint in endpoints:
            kept_free = endpoint.kept_free(route.priority)
            if leases := await endpoint.pool.acquire(missing, kept_free):
                self._spare += [(endpoint, lease) for lease in leases]
                return
        raise CarrierError("endpoint-at-capacity" if endpoints else "circuit-open")

    def _preferred(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        own = [endpoint for endpoint, _ in self._spare]

        def drawbacks(endpoint: Endpoint) -> tuple[bool, int, bool]:
            last_failure = self._failed_at.get(endpoint, 0)
            return endpoint.is_quarantined, last_failure, endpoint not in own

        return sorted(endpoints, key=drawbacks)

    def _is_in_use(self, lease: str | None) -> bool:
        return any(lease == each for _, each in self._in_use)

    def _pop_spare(self, endpoint: Endpoint) -> str | None:
        for i, (at, lease) in enumerate(self._spare):
            if at is endpoint:
                del self._spare[i]
                return lease
        return None

    def _give_back_surplus(self) -> None:
        needed = self._tracks + len(self._beside)
        while self._spare and len(self._spare) + len(self._in_use) > needed:
            endpoint, lease = self._spare.pop(0)
            endpoint.pool.release([lease])


class LeasedSlot:
    """Implements `SessionSlot` of `services.py`."""

    def __init__(
        self, endpoint: Endpoint, reservation: StreamReservation, lease: str, *, probe: bool
    ) -> None:
        self.endpoint = endpoint.name
        self.model = endpoint.model
        self.transport = endpoint.transport
        self._endpoint = endpoint
        self._reservation = reservation
        self._lease = lease
        self._probe = probe
        self._judged = False  # the breaker knows how this attempt went
        self._released = False

    async def acquire_replacement(self) -> "LeasedSlot":
        """Lease one more slot, as `SessionSlot` says."""
        return await self._reservation.acquire_slot(beside=self._lease)

    def worked(self) -> None:
        """Learn that a session there answered."""
        if not self._judged:
            self._judged = True
            self._endpoint.worked()
        self._reservation.clear_penalty(self._endpoint)

    def failed(self, error: UpstreamError) -> None:
        """Learn that the session failed; what it says of the endpoint, if anything, counts once."""
        if error.reason not in _OF_THE_CALL:
            self._reservation.penalize(self._endpoint)
            self._endpoint.health.failed(error)
        if not error.info.retry:
            self._endpoint.quarantine()
        speaks_against_it = error.info.retry and error.fault in _AGAINST_THE_ENDPOINT
        if speaks_against_it and not self._judged:
            self._judged = True
            self._endpoint.failed(error, caller=self._reservation.number, probe=self._probe)

    def release(self) -> None:
        """Give the place back to the call or to all."""
        if self._released:
            return
        self._released = True
        if self._probe and not self._judged:
            self._endpoint.breaker.forgo()
        self._reservation.return_slot(self._endpoint, self._lease)
