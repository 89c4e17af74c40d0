"""What one stream reserves: a call of its route's limit, and one session slot per track.

A call's first slots are leased together, at one endpoint. Later sessions (after a reconnect or a
rollover) reuse a slot that an earlier session released, or lease another one. Until the call ends,
one slot per track stays reserved for it.

The next session of a call prefers an endpoint where none of the call's sessions has failed, then
the endpoint whose last failure is the oldest. It goes to an endpoint that is draining only if no
other one can serve it. While another endpoint of the route is left, it does not return to one that
has failed with an error that a retry would not fix, until the endpoint's quarantine is over.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.admission.endpoint import Access, Endpoint
from gateway.admission.endpoint_pool import EndpointPool
from gateway.admission.routes import Route
from gateway.calls.services import RouteTerms
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError, Fault, UpstreamError
from gateway.upstream.dialects.dialect import Address, Options

_ENDPOINT_FAULTS: Final = {Fault.NETWORK, Fault.PLATFORM, Fault.MODEL}
_CALL_REASONS: Final = {"context-full", "model-rut"}  # would occur at any endpoint
_AT_CAPACITY: Final = "model-at-capacity"


class StreamReservation:
    """Implements `Reservation` of `services.py`: all slots of one stream.

    Args:
        number: identifies the reservation within the process.
        endpoints: all endpoints.
        route: the stream's route; None if it depends on the start of the call.
        choose: returns the route, if any, for a called number and custom parameters.
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
        self._tracks = 0  # slots that stay reserved while the stream runs
        self._call: list[str] = []  # the lease of the route's limit of calls
        self._spare: list[tuple[Endpoint, str]] = []
        self._in_use: list[tuple[Endpoint, str]] = []
        self._replaces: dict[str, str] = {}  # lease -> the lease of the session it will replace
        self._failures = 0
        self._failed_at: dict[Endpoint, int] = {}  # endpoint -> number of its last failure
        self._refusing: set[Endpoint] = set()  # failed with an error that a retry would not fix

    @property
    def route(self) -> str | None:
        """The route's name; see `Reservation`."""
        return self._route.name if self._route else None

    @property
    def has_endpoint_left(self) -> bool:
        """Whether the call has not failed at all endpoints for good; see `Reservation`."""
        endpoints = self._endpoints.of(self._route) if self._route else []
        return not all(map(self._is_refused_by, endpoints))

    def choose(self, start: CallStarted) -> RouteTerms:
        """Choose the route, once; see `Reservation`."""
        route = self._route = self._route or self._choose(start.called, start.params)
        return (
            RouteTerms(route.tenant, route.roles, route.publish_params) if route else RouteTerms()
        )

    async def reserve_slots(self, start: CallStarted) -> None:
        """Reserve a slot for each track; see `Reservation`."""
        self.choose(start)
        await self.reserve(len(start.tracks))

    async def reserve(self, tracks: int) -> None:
        """Reserve one slot per track, and release slots above that number.

        Raises:
            CarrierError: as `Reservation.reserve_slots`.
        """
        self._tracks = tracks
        self._release_surplus()
        await self._endpoints.attempt(self._reserve)

    async def acquire_slot(self, replacing: str | None = None) -> "LeasedSlot":
        """Return a slot for a session; see `Reservation`.

        Args:
            replacing: the lease of the session that the new one will replace. If that session still
                runs, an additional slot is leased: the spare ones belong to other tracks.
        """
        route = self._route
        endpoints = self._endpoints.best_first(route) if route else []
        for endpoint in self._preferred(endpoints):
            lease = None if self._is_in_use(replacing) else self._pop_spare(endpoint)
            lease = lease or next(iter(await endpoint.pool.acquire(1)), None)
            if lease is None:
                continue
            self._in_use.append((endpoint, lease))
            if replacing and self._is_in_use(replacing):
                self._replaces[lease] = replacing
            if not endpoint.accepts_attempts:  # the breaker opened while the lease was acquired
                self.return_slot(endpoint, lease)
                continue
            self._release_surplus()
            access = endpoint.access.of_route(route) if route else endpoint.access
            return LeasedSlot(endpoint, self, lease, access, probe=endpoint.begin())
        raise UpstreamError("endpoint-at-capacity" if endpoints else "circuit-open")

    def return_slot(self, endpoint: Endpoint, lease: str) -> None:
        """Keep a session's slot for the call's next session; release it if it is not needed."""
        if (endpoint, lease) in self._in_use:
            self._in_use.remove((endpoint, lease))
            pairs = self._replaces.items()
            self._replaces = {new: old for new, old in pairs if lease not in (new, old)}
            self._spare.append((endpoint, lease))
            self._release_surplus()

    def penalize(self, endpoint: Endpoint) -> None:
        """Rank an endpoint last for the call's next sessions: it failed most recently."""
        self._failures += 1
        self._failed_at[endpoint] = self._failures

    def avoid(self, endpoint: Endpoint) -> None:
        """Use another endpoint, if one is left, until the quarantine of this one is over."""
        self._refusing.add(endpoint)

    def clear_penalty(self, endpoint: Endpoint) -> None:
        """Rank an endpoint as if none of the call's sessions had failed there."""
        self._failed_at.pop(endpoint, None)

    def close(self) -> None:
        """Release all slots, and the route's call."""
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
        endpoints = [each for each in self._endpoints.best_first(route) if not each.is_draining]
        for endpoint in endpoints:
            kept_free = endpoint.kept_free(route.priority)
            if leases := await endpoint.pool.acquire(missing, kept_free):
                self._spare += [(endpoint, lease) for lease in leases]
                return
        raise CarrierError("endpoint-at-capacity" if endpoints else "circuit-open")

    def _preferred(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        """Order endpoints for the next session; add the removed ones where the call has slots."""
        own = dict.fromkeys(endpoint for endpoint, _ in self._spare)
        removed = [each for each in own if each not in endpoints and each.accepts_attempts]

        def drawbacks(endpoint: Endpoint) -> tuple[bool, bool, int, bool]:
            last_failure = self._failed_at.get(endpoint, 0)
            is_leaving = endpoint.is_draining or endpoint in removed
            return is_leaving, endpoint.is_quarantined, last_failure, endpoint not in own

        usable = [*endpoints, *removed]
        if self.has_endpoint_left:
            usable = [each for each in usable if not self._is_refused_by(each)]
        return sorted(usable, key=drawbacks)

    def _is_refused_by(self, endpoint: Endpoint) -> bool:
        return endpoint in self._refusing and endpoint.is_quarantined

    def _is_in_use(self, lease: str | None) -> bool:
        return any(lease == each for _, each in self._in_use)

    def _pop_spare(self, endpoint: Endpoint) -> str | None:
        for i, (at, lease) in enumerate(self._spare):
            if at is endpoint:
                del self._spare[i]
                return lease
        return None

    def _release_surplus(self) -> None:
        needed = self._tracks + len(self._replaces)
        while self._spare and len(self._spare) + len(self._in_use) > needed:
            endpoint, lease = self._spare.pop(0)
            endpoint.pool.release([lease])


class LeasedSlot:
    """Implements `SessionSlot` of `services.py`."""

    def __init__(
        self,
        endpoint: Endpoint,
        reservation: StreamReservation,
        lease: str,
        access: Access,
        *,
        probe: bool,
    ) -> None:
        self.endpoint = endpoint.name
        self.transport = access.transport
        self.dialect = access.dialect
        self.options = access.options
        self._access = access
        self._endpoint = endpoint
        self._reservation = reservation
        self._lease = lease
        self._probe = probe
        self._is_reported = False  # whether the breaker has this attempt's result
        self._is_released = False

    def address(self, options: Options) -> Address:
        """Return what the dialect adds to the server's address."""
        return self._access.address(options)

    async def acquire_replacement(self) -> "LeasedSlot":
        """Lease one more slot; see `SessionSlot`."""
        return await self._reservation.acquire_slot(replacing=self._lease)

    def worked(self) -> None:
        """Report to the breaker, once, that the session worked; clear the call's penalty."""
        if not self._is_reported:
            self._is_reported = True
            self._endpoint.worked()
        self._reservation.clear_penalty(self._endpoint)

    def doubted(self) -> None:
        """Change the dialect of the endpoint's next sessions."""
        self._endpoint.doubt()

    def failed(self, error: UpstreamError) -> None:
        """Penalize the endpoint for a failed session; report it to the breaker, at most once.

        Reasons that come from the call itself penalize nothing. The breaker receives only reasons
        that a retry may fix and whose fault lies with the endpoint or the way to it. A container
        without a free session is not one of them: its other sessions work.
        """
        if error.reason not in _CALL_REASONS:
            self._reservation.penalize(self._endpoint)
            self._endpoint.health.failed(error)
        if not error.info.retry:
            self._reservation.avoid(self._endpoint)
            self._endpoint.quarantine(error, after_answers=self._is_reported)
        counts_against_endpoint = (
            error.info.retry and error.fault in _ENDPOINT_FAULTS and error.reason != _AT_CAPACITY
        )
        if counts_against_endpoint and not self._is_reported:
            self._is_reported = True
            self._endpoint.failed(error, caller=self._reservation.number, probe=self._probe)

    def release(self) -> None:
        """Release the slot: to the call if its next session needs it, else to all calls."""
        if self._is_released:
            return
        self._is_released = True
        if self._probe and not self._is_reported:
            self._endpoint.breaker.abandon_probe()
        self._reservation.return_slot(self._endpoint, self._lease)
