"""One endpoint for admission: its session slots, circuit breaker, health and transport."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from gateway.admission.breaker import Breaker, BreakerState
from gateway.admission.endpoint_health import EndpointHealth
from gateway.admission.lease_pool import LeasePool
from gateway.admission.routes import EndpointConfig, Priority, Route
from gateway.errors import UpstreamError
from gateway.hints import hint
from gateway.upstream.dialects.dialect import Address, Dialect, Options
from gateway.upstream.dialects.registry import fallback
from gateway.upstream.transport import UpstreamTransport

# After an error that a retry would not fix; doubled each time that the next attempts fail likewise.
_QUARANTINE_S: Final = 30.0
_LONGEST_QUARANTINE_S: Final = 300.0
_DOUBT_HINT: Final = (
    "The server merged deltas, as vLLM before 0.33 does for a slow reader: upgrade it, or set the "
    "endpoint's dialect to voxtral-turns."
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Access:
    """How sessions are opened at an endpoint.

    Attributes:
        transport: opens streams.
        dialect: the protocol of its server.
        options: what sessions ask of the server, such as the model.
        api_key: the key of its server.
    """

    transport: UpstreamTransport
    dialect: Dialect
    options: Options
    api_key: str | None = field(default=None, repr=False)

    def address(self, options: Options | None = None) -> Address:
        """Return what the dialect adds to the server's address; raises SettingsError as `Dialect`.

        Args:
            options: what the session asks of the server; None: `options`.
        """
        return self.dialect.address(options or self.options, self.api_key)

    def of_route(self, route: Route) -> "Access":
        """Return the access with a route's hints for the model."""
        hints = route.language, route.keywords, route.delay_ms
        if hints == (None, (), None):
            return self
        return replace(self, options=Options(self.options.model, *hints))


class Endpoint:
    """One endpoint and its current state.

    Args:
        name: its name in the routes file or the settings.
        config: its configuration.
        access: how sessions are opened there.
        pool: its session slots.
        breaker: its circuit breaker.
        monotonic_s: the clock of the breaker and the quarantine.

    Attributes:
        access: how sessions are opened there from now on.
        is_draining: whether it opens no sessions, except for live calls without another endpoint.
        is_doubted: whether `doubt` has changed the dialect.
    """

    def __init__(
        self,
        name: str,
        config: EndpointConfig,
        access: Access,
        pool: LeasePool,
        breaker: Breaker,
        monotonic_s: Callable[[], float],
    ) -> None:
        self.name = name
        self.access = access
        self.pool = pool
        self.breaker = breaker
        self.health = EndpointHealth(name, monotonic_s)
        self.config = config
        self.is_draining = config.drain
        self.is_doubted = False
        self._monotonic_s = monotonic_s
        self._refusal: UpstreamError | None = None  # why it was last quarantined
        self._quarantine_s = 0.0  # for how long
        self._quarantined_until_s = float("-inf")
        self._refuses_late = False  # after first answers, so that an answer proves nothing

    def configure(self, config: EndpointConfig | None) -> None:
        """Apply a changed configuration; None is an endpoint that the routes no longer contain."""
        self.config = config or self.config
        was_draining, self.is_draining = self.is_draining, config is None or config.drain
        if self.is_draining != was_draining:
            event = "endpoint-draining" if self.is_draining else "endpoint-restored"
            _log.info(event, endpoint=self.name, slots_held=self.pool.held)

    @property
    def accepts_attempts(self) -> bool:
        """Whether the breaker allows an attempt now."""
        return self.breaker.allows(self._monotonic_s())

    @property
    def is_quarantined(self) -> bool:
        """Whether a session failed lately with an error that a retry would not fix.

        Any other endpoint is then preferred.
        """
        return self._monotonic_s() < self._quarantined_until_s

    @property
    def current_error(self) -> UpstreamError | None:
        """The error with which sessions fail now; None if they work or none failed lately."""
        return self._refusal if self.is_quarantined else self.health.current_error

    def breaker_state(self) -> float:
        """Return the breaker's state, as the value of its metric."""
        return float(self.breaker.state(self._monotonic_s()))

    def kept_free(self, priority: Priority) -> int:
        """Return how many slots a new call of this priority must leave free."""
        return 0 if priority is Priority.HIGH else self.config.reserved

    def begin(self) -> bool:
        """Begin an attempt to open a session; return whether it is the breaker's probe."""
        return self.breaker.enter(self._monotonic_s())

    def doubt(self) -> None:
        """Open further sessions with a dialect that needs no times of the server.

        That holds until the gateway restarts: the server would show the same again only at the end
        of a session whose times were wrong.
        """
        if (dialect := fallback(self.access.dialect)) is not None:
            self.access = replace(self.access, dialect=dialect)
            self.is_doubted = True
            _log.warning("token-clock-doubted", endpoint=self.name, hint=_DOUBT_HINT)

    def shows_doubt(self) -> float:
        """Return 1 once `doubt` has changed the dialect; the value of its metric."""
        return float(self.is_doubted)

    def is_failing(self) -> float:
        """Return 1 while sessions fail at the endpoint for any reason; the value of its metric."""
        return float(self.current_error is not None)

    def failed(self, error: UpstreamError, *, caller: int, probe: bool) -> None:
        """Count a failed attempt whose reason counts against the endpoint."""
        now_s = self._monotonic_s()
        was = self.breaker.state(now_s)
        self.breaker.fail(now_s, caller=caller, probe=probe)
        if was is not BreakerState.OPEN and self.breaker.state(now_s) is BreakerState.OPEN:
            _log.warning(
                "breaker-opened",
                endpoint=self.name,
                reason=error.reason,
                fault=error.fault,
                detail=error.detail or None,
                hint=hint(error.reason),
            )

    def quarantine(self, error: UpstreamError, *, after_answers: bool) -> None:
        """Prefer any other endpoint for a while after an error that a retry would not fix.

        Otherwise an endpoint that refuses all sessions would have the most free slots, and attract
        all calls.

        Args:
            error: the error.
            after_answers: whether the session had answered audio before.
        """
        if self.is_quarantined:
            return
        now_s = self._monotonic_s()
        is_again = now_s < self._quarantined_until_s + self._quarantine_s
        longer_s = min(2 * self._quarantine_s, _LONGEST_QUARANTINE_S)
        self._quarantine_s = longer_s if is_again else _QUARANTINE_S
        self._quarantined_until_s = now_s + self._quarantine_s
        self._refusal, self._refuses_late = error, after_answers
        _log.warning(
            "endpoint-set-aside",
            endpoint=self.name,
            reason=error.reason,
            seconds=self._quarantine_s,
            hint=hint(error.reason),
        )

    def worked(self) -> None:
        """Close the breaker and reset the failure state after a session that worked."""
        if self.breaker.state(self._monotonic_s()) is not BreakerState.CLOSED:
            _log.info("breaker-closed", endpoint=self.name)
        self.breaker.succeed()
        if not (self.is_quarantined and self._refuses_late):
            self.health.worked()
        if not self._refuses_late:
            self._quarantined_until_s = float("-inf")
