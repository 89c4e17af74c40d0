"""Whether one model session answers in time: mute, stalled, late or lagging."""

from typing import Final

import structlog

from gateway.calls.services import CallServices, SessionSlot
from gateway.errors import UpstreamError
from gateway.upstream.session import RealtimeSession

_log = structlog.get_logger()


class SessionHealth:
    """Watches when one session answers, and fails it if an answer is due for too long.

    Args:
        slot: where it is open.
        services: what all calls share.
        session: what is failed.

    Attributes:
        answers: number of answers received.
        empty: number of answers without text.
        healthy_s: when it last sent an answer, or had nothing to answer, on the monotonic clock.
        finish_s: when it was asked to end; None before.
    """

    def __init__(self, slot: SessionSlot, services: CallServices, session: RealtimeSession) -> None:
        self.answers = 0
        self.empty = 0
        self.healthy_s = 0.0
        self.finish_s: float | None = None
        self._endpoint = slot.endpoint
        self._delay_ms = slot.dialect.capabilities.delay_ms
        self._services = services
        self._limits: Final = services.limits
        self._session = session
        self._is_late = False  # its first answer, and that was counted
        self._lagging_since: tuple[float, int] | None = None  # when, and by how much

    @property
    def allowed_ms(self) -> int:
        """How much of what is due may be unanswered: nothing after the final commit."""
        return self._delay_ms if self.finish_s is None else 0

    def check(self, now_s: float, *, lag_ms: int) -> None:
        """Fail the session if an answer is due for too long."""
        if not self._session.is_over and lag_ms <= self.allowed_ms:
            self.healthy_s = now_s
            return
        silent_s = now_s - self.healthy_s
        self.warn_if_late(silent_s)
        if silent_s >= self._limits.mute_timeout_s:
            self.fail_mute()

    def warn_if_late(self, silent_s: float) -> None:
        """Report, once, that the first answer is late."""
        is_late = silent_s >= self._limits.first_delta_late_s
        if is_late and not (self.answers or self._is_late):
            self._is_late = True
            self._services.metrics.first_deltas_late_total.labels(self._endpoint).inc()
            _log.warning("first-delta-late", endpoint=self._endpoint)

    def fail_mute(self) -> None:
        """Fail the session because it does not answer."""
        reason = "session-stalled" if self.answers else "session-mute"
        self._session.fail(UpstreamError(reason))

    def measure_lag(self, now_s: float, lag_ms: int) -> None:
        """Record since when, and by how much, the session lags."""
        if lag_ms <= self._limits.max_lag_ms:
            self._lagging_since = None
        elif self._lagging_since is None:
            self._lagging_since = now_s, lag_ms

    def is_lagging(self, now_s: float) -> bool:
        """Return whether it has lagged for longer than it would take to catch up at double speed.

        A replay makes a session lag at once, so it must have time to catch up.
        """
        if self._lagging_since is None:
            return False
        since_s, lag_ms = self._lagging_since
        return now_s - since_s >= lag_ms / 1000
