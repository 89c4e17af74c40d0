"""Interfaces and limits that a call needs from the rest of the process; `app.py` provides them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from gateway.carriers.events import CallStarted
from gateway.errors import UpstreamError
from gateway.metrics import Metrics
from gateway.tracing import StartTrace, no_trace
from gateway.transcript.events import EventWriter
from gateway.transcript.keys import DEFAULT_TENANT
from gateway.upstream.dialects.dialect import Address, Dialect, Options
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
        """Return the writer of a stream's events; arguments as in `Publisher.open_stream`."""


class SessionSlot(Protocol):
    """The right to one session at one endpoint, leased from the pool that all gateways share.

    Attributes:
        endpoint: the endpoint's name, for logs and the admin API.
        dialect: the protocol of the endpoint's server.
        options: what a session asks of the server, such as the model.
        transport: opens streams at the endpoint.
    """

    endpoint: str
    dialect: Dialect
    options: Options
    transport: UpstreamTransport

    def address(self, options: Options) -> Address | None:
        """Return what the dialect adds to the server's address; None adds nothing."""

    async def acquire_replacement(self) -> "SessionSlot":
        """Lease a slot for the session that will replace this one, which stays open meanwhile.

        The slot is an additional one: never one that is reserved for another track.

        Raises:
            UpstreamError: as `Reservation.acquire_slot`.
        """

    def worked(self) -> None:
        """Record that a session sent its first answer: the endpoint is healthy."""

    def doubted(self) -> None:
        """Record that the times of the server's answers can't be trusted."""

    def failed(self, error: UpstreamError) -> None:
        """Record why a session did not open, or failed."""

    def release(self) -> None:
        """Release the slot. Idempotent; does not wait."""


@dataclass(frozen=True, slots=True)
class RouteTerms:
    """Properties that a route gives its calls.

    Attributes:
        tenant: who owns the calls.
        roles: track name -> who speaks on it.
        publish_params: names of the custom parameters to publish; None: as set for all calls.
    """

    tenant: str = DEFAULT_TENANT
    roles: Mapping[str, str] = field(default_factory=dict)
    publish_params: Collection[str] | None = None


class Reservation(Protocol):
    """The route of one stream, and the session slots reserved for its tracks."""

    @property
    def route(self) -> str | None:
        """Name of the route; None before it is chosen, or if no route matches."""

    @property
    def has_endpoint_left(self) -> bool:
        """Whether an endpoint is left after errors that a retry at the same one would not fix."""

    def choose(self, start: CallStarted) -> RouteTerms:
        """Choose the route, if that is still open, and return its terms."""

    async def reserve_slots(self, start: CallStarted) -> None:
        """Reserve a slot for each track at an endpoint of the route, which is chosen if it is not.

        Raises:
            CarrierError: no-route, route-at-capacity, endpoint-at-capacity, circuit-open.
        """

    async def acquire_slot(self) -> SessionSlot:
        """Return a reserved slot, or lease another one.

        Raises:
            UpstreamError: endpoint-at-capacity, circuit-open; both may succeed later.
        """


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits of every call; see the settings of the same names."""

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
    roles: dict[str, str] = field(default_factory=dict)  # track -> default role
    publish_params: Collection[str] | None = None  # names; None: all except those of secrets


def epochs(wall_s: Callable[[], float]) -> Callable[[], int]:
    """Return a source of proposed epochs: Unix ms, each unique in the process.

    With the gateway's id, an epoch names one ownership of a stream. Two sockets of one stream may
    open in the same millisecond; only one of them may write.
    """
    last = 0

    def new_epoch() -> int:
        nonlocal last
        last = max(last + 1, int(wall_s() * 1000))
        return last

    return new_epoch


@dataclass(frozen=True, slots=True)
class CallServices:
    """What all calls of the process share."""

    open_writer: OpenWriter
    new_epoch: Callable[[], int]
    metrics: Metrics
    limits: CallLimits
    monotonic_s: Callable[[], float]
    wall_s: Callable[[], float]
    random: Random = field(default_factory=Random)  # for jitter
    start_trace: StartTrace = no_trace
