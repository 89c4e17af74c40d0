"""What one stream holds: its route's call, and the places of its sessions.

A call's places are leased together, at one endpoint. Later sessions of a live call (reconnect,
rollover) lease more, or get one that the call has given back: as long as it lives, the places for
its tracks stay its own.

A call's next session goes, if it can, to the endpoint where none of its own has failed, or the
longest ago.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.calls.entrance import Entrance
from gateway.calls.entrances import Entrances
from gateway.calls.services import RouteTerms
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError, Fault, UpstreamError
from gateway.routes import Route

_AGAINST_THE_ENDPOINT: Final = {Fault.NETWORK, Fault.PLATFORM, Fault.MODEL}
_OF_THE_CALL: Final = {"context-full", "model-rut"}  # would come at any endpoint


class StreamTicket:
    """Implements `Ticket` of `services.py`: all that one stream holds.

    Args:
        number: tells it from others.
        entrances: to the endpoints.
        route: the one it takes; None if only the call's start tells.
        choose: gives the route, if any, for a called number and custom parameters.
    """

    def __init__(
        self,
        number: int,
        entrances: Entrances,
        route: Route | None,
        choose: Callable[[str | None, Mapping[str, str]], Route | None],
    ) -> None:
        self.number = number
        self._entrances = entrances
        self._route = route
        self._choose = choose
        self._tracks = 0  # places that stay the stream's own
        self._call: list[str] = []  # the lease of the route's limit
        self._spare: list[tuple[Entrance, str]] = []
        self._in_use: list[tuple[Entrance, str]] = []
        self._beside: dict[str, str] = {}  # lease -> that of the session it is to replace
        self._failures = 0
        self._failed_at: dict[Entrance, int] = {}  # which of the failures was the last one there

    @property
    def route(self) -> str | None:
        """The route's name, as `Ticket` says."""
        return self._route.name if self._route else None

    def choose(self, start: CallStarted) -> RouteTerms:
        """Choose the route for good, as `Ticket` says."""
        route = self._route = self._route or self._choose(start.called, start.params)
        return (
            RouteTerms(route.tenant, route.roles, route.publish_params) if route else RouteTerms()
        )

    async def settle(self, start: CallStarted) -> None:
        """Hold a place for each track, as `Ticket` says."""
        self.choose(start)
        await self.reserve(len(start.tracks))

    async def reserve(self, tracks: int) -> None:
        """Hold as many places as there are tracks; what is too much is given back.

        Raises:
            CarrierError: as `settle`.
        """
        self._tracks = tracks
        self._give_back_surplus()
        await self._entrances.attempt(self._reserve)

    async def place(self, beside: str | None = None) -> "LeasedPlace":
        """Give a place for a session, as `Ticket` says.

        Args:
            beside: the lease of a session that it will replace. While that lives, it gets one more
                place, none that is kept for other tracks.
        """
        route = self._route
        entrances = self._entrances.best_first(route) if route else []
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
            return LeasedPlace(entrance, self, lease, probe=entrance.begin())
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
            self._entrances.calls(self._route).release(self._call)

    async def _reserve(self) -> None:
        route = self._route
        if route is None:
            raise CarrierError("no-route")
        if not self._call:
            self._call = await self._entrances.calls(route).take(1)
            if not self._call:
                raise CarrierError("route-at-capacity")
        missing = self._tracks - len(self._spare)
        if missing <= 0:
            return
        entrances = self._entrances.best_first(route)
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


class LeasedPlace:
    """Implements `Place` of `services.py`."""

    def __init__(
        self, entrance: Entrance, ticket: StreamTicket, lease: str, *, probe: bool
    ) -> None:
        self.endpoint = entrance.name
        self.model = entrance.model
        self.transport = entrance.transport
        self._entrance = entrance
        self._ticket = ticket
        self._lease = lease
        self._probe = probe
        self._judged = False  # the breaker knows how this attempt went
        self._released = False

    async def another(self) -> "LeasedPlace":
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
            self._entrance.health.failed(error)
        if not error.meaning.retry:
            self._entrance.distrust()
        speaks_against_it = error.meaning.retry and error.fault in _AGAINST_THE_ENDPOINT
        if speaks_against_it and not self._judged:
            self._judged = True
            self._entrance.failed(error, caller=self._ticket.number, probe=self._probe)

    def release(self) -> None:
        """Give the place back to the call or to all."""
        if self._released:
            return
        self._released = True
        if self._probe and not self._judged:
            self._entrance.breaker.forgo()
        self._ticket.take_back(self._entrance, self._lease)
