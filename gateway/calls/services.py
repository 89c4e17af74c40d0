"""What a call needs from the process around it, as `app.py` puts it together once."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from gateway.carriers.events import CallStarted
from gateway.errors import UpstreamError
from gateway.metrics import Metrics
from gateway.transcript.events import EventWriter
from gateway.transcript.keys import DEFAULT_TENANT
from gateway.upstream.transport import UpstreamTransport


class OpenWriter(Protocol):
    """Opens the transcript of one stream; the Redis publisher's `open_stream`."""

    def __call__(
        self,
        call_id: str,
        stream_id: str,
        epoch: int,
        on_fenced: Callable[[], None],
        *,
        tenant: str,
        carrier: str,
    ) -> EventWriter:
        """Return where the stream's events go; `on_fenced` tells that another gateway owns it."""


class SessionSlot(Protocol):
    """The right to hold one session at one endpoint, leased from all gateways' common stock."""

    endpoint: str  # its name, for logs and the admin API
    model: str  # the name the model is served under there
    transport: UpstreamTransport

    async def acquire_replacement(self) -> "SessionSlot":
        """Lease a place for the session that will replace the one here, while that lives on.

        It is one more: never what the call keeps for another track's next session.

        Raises:
            UpstreamError: as `Reservation.acquire_slot`.
        """

    def worked(self) -> None:
        """Learn that a session there answered: the endpoint is well."""

    def failed(self, error: UpstreamError) -> None:
        """Learn why a session there did not open, or ended; what that says of it is its own."""

    def release(self) -> None:
        """Give the place back; idempotent, never waits."""


@dataclass(frozen=True, slots=True)
class RouteTerms:
    """What a route says of its calls, besides where their sessions go.

    Attributes:
        tenant: whose calls they are.
        roles: who speaks on a track, by its name.
        publish_params: names of the custom parameters to publish; None: as the settings say.
    """

    tenant: str = DEFAULT_TENANT
    roles: Mapping[str, str] = field(default_factory=dict)
    publish_params: Collection[str] | None = None


class Reservation(Protocol):
    """One stream's admission: which route it takes, and the places its sessions get."""

    @property
    def route(self) -> str | None:
        """The route's name; None before it is chosen, or if none is for it."""

    def choose(self, start: CallStarted) -> RouteTerms:
        """Choose the route for good; return what it says of the call."""

    async def reserve_slots(self, start: CallStarted) -> None:
        """Reserve a place for each track, as the chosen route has it; chooses it first if need be.

        Raises:
            CarrierError: no-route, route-at-capacity, endpoint-at-capacity, circuit-open.
        """

    async def acquire_slot(self) -> SessionSlot:
        """Give a reserved slot, or lease another one.

        Raises:
            UpstreamError: endpoint-at-capacity, circuit-open; both worth another try.
        """


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How a call is cut and how long it waits; see the settings of the same names."""

    chunk_ms: int
    open_timeout_s: float
    done_timeout_s: float
    finish_timeout_s: float
    replay_ms: int
    retry_budget_s: float
    rollover_soft_s: float
    rollover_hard_s: float
    first_delta_late_s: float
    mute_timeout_s: float
    max_lag_ms: int
    rut_deltas: int
    segment_pause_ms: int
    segment_max_ms: int
    idle_timeout_s: float
    silence_timeout_s: float
    max_call_s: float
    roles: dict[str, str] = field(default_factory=dict)  # track -> role, if nobody knows better
    publish_params: Collection[str] | None = None  # names; None: all but those of secrets


def epochs(wall_s: Callable[[], float]) -> Callable[[], int]:
    """Return a source of proposed epochs: Unix ms, and never the same twice.

    With the gateway's id an epoch names one ownership of a stream. Two sockets of one stream may
    come in the same millisecond; only one of them may write.
    """
    last = 0

    def new_epoch() -> int:
        nonlocal last
        last = max(last + 1, int(wall_s() * 1000))
        return last

    return new_epoch


@dataclass(frozen=True, slots=True)
class CallServices:
    """The collaborators that all calls of the process share."""

    open_writer: OpenWriter
    new_epoch: Callable[[], int]
    metrics: Metrics
    limits: CallLimits
    monotonic_s: Callable[[], float]
    wall_s: Callable[[], float]
    random: Random = field(default_factory=Random)  # for jitter
