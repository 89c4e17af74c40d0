"""How sessions fare at one endpoint: what fails is logged, and kept for readiness and metrics."""

from collections.abc import Callable
from typing import Final

import structlog

from common.throttle import Throttle
from gateway.errors import UpstreamError
from gateway.hints import hint

# Failures without a session that answered in between, before the endpoint counts as failing: one
# session of many may break at an endpoint that is well.
_IN_A_ROW: Final = 3
# An endpoint that no call tried for so long may be well again; nobody knows.
_STALE_S: Final = 300.0

_log = structlog.get_logger()


class EndpointHealth:
    """What one endpoint's sessions showed of it.

    Args:
        endpoint: its name, for the log.
        monotonic_s: the clock.
    """

    def __init__(self, endpoint: str, monotonic_s: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._monotonic_s = monotonic_s
        self._throttle = Throttle(monotonic_s)
        self._error: UpstreamError | None = None  # the last one, unless a session answered since
        self._failed_s = 0.0  # when
        self._failures = 0  # in a row
        self._was_logged = False  # that they began

    @property
    def trouble(self) -> UpstreamError | None:
        """Why sessions fail there now; None if they do not, or nobody tried lately."""
        error = self._error
        if error is None or self._monotonic_s() - self._failed_s > _STALE_S:
            return None
        return None if error.info.retry and self._failures < _IN_A_ROW else error

    def failed(self, error: UpstreamError) -> None:
        """Note that a session failed or did not open; log it once a minute for each reason."""
        self._error = error
        self._failed_s = self._monotonic_s()
        self._failures += 1
        suppressed = self._throttle.admit(error.reason)
        if suppressed is not None:
            self._was_logged = True
            _log.warning(
                "upstream-failing",
                endpoint=self._endpoint,
                reason=error.reason,
                fault=error.fault,
                detail=error.detail or None,
                hint=hint(error.reason),
                suppressed=suppressed,
            )

    def worked(self) -> None:
        """Note that a session answered."""
        if self._was_logged:
            self._was_logged = False
            _log.info("upstream-recovered", endpoint=self._endpoint, failures=self._failures)
        self._error = None
        self._failures = 0
