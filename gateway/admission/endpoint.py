"""One endpoint as admission sees it: its places, its breaker, its health, the way to it."""

from collections.abc import Callable
from typing import Final

import structlog

from gateway.admission.breaker import Breaker, BreakerState
from gateway.admission.endpoint_health import EndpointHealth
from gateway.admission.lease_pool import LeasePool
from gateway.admission.routes import EndpointConfig, Priority
from gateway.errors import UpstreamError
from gateway.hints import hint
from gateway.upstream.transport import UpstreamTransport

_QUARANTINE_S: Final = 30.0  # after a fault that no other attempt would mend

_log = structlog.get_logger()


class Endpoint:
    """One endpoint.

    Args:
        name: the operator's.
        endpoint: how many places it keeps for important calls.
        model: the name the model is served under there.
        transport: opens streams there.
        pool: its places.
        breaker: its circuit breaker.
        monotonic_s: the breaker's clock.
    """

    def __init__(
        self,
        name: str,
        endpoint: EndpointConfig,
        model: str,
        transport: UpstreamTransport,
        pool: LeasePool,
        breaker: Breaker,
        monotonic_s: Callable[[], float],
    ) -> None:
        self.name = name
        self.model = model
        self.transport = transport
        self.pool = pool
        self.breaker = breaker
        self.health = EndpointHealth(name, monotonic_s)
        self._reserved = endpoint.reserved
        self._monotonic_s = monotonic_s
        self._quarantined_until_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the breaker lets an attempt through now."""
        return self.breaker.allows(self._monotonic_s())

    @property
    def is_quarantined(self) -> bool:
        """Whether it refused a session for good lately: any other endpoint is better."""
        until_s = self._quarantined_until_s
        return until_s is not None and self._monotonic_s() < until_s

    def breaker_state(self) -> float:
        """Give the metric's value."""
        return float(self.breaker.state(self._monotonic_s()))

    def kept_free(self, priority: Priority) -> int:
        """Places that a new call of a priority must leave to others."""
        return 0 if priority is Priority.HIGH else self._reserved

    def begin(self) -> bool:
        """Begin an attempt to open a session; tell whether it is the breaker's probe."""
        return self.breaker.enter(self._monotonic_s())

    def is_failing(self) -> float:
        """Return the metric's value: 1 while sessions fail there, for whatever reason."""
        return float(self.health.trouble is not None)

    def failed(self, error: UpstreamError, *, caller: int, probe: bool) -> None:
        """Count a call's failed attempt, whose reason speaks against the endpoint."""
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

    def quarantine(self) -> None:
        """Learn that a session failed there for good; without this it would look the most free."""
        self._quarantined_until_s = self._monotonic_s() + _QUARANTINE_S

    def worked(self) -> None:
        """Learn that a session there answered."""
        if self.breaker.state(self._monotonic_s()) is not BreakerState.CLOSED:
            _log.info("breaker-closed", endpoint=self.name)
        self.breaker.succeed()
        self.health.worked()
        self._quarantined_until_s = None
