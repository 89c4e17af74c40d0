"""The health of one endpoint: logs failed sessions and keeps the last error for readiness."""

from collections.abc import Callable
from typing import Final

import structlog

from common.throttle import Throttle
from gateway.errors import UpstreamError
from gateway.hints import hint

# Failures in a row until the endpoint counts as failing: at a healthy endpoint, too, one session
# of many may break.
_IN_A_ROW: Final = 3
# If no session failed for this long, the last error no longer describes the endpoint.
_STALE_S: Final = 300.0

_log = structlog.get_logger()


class EndpointHealth:
    """Tracks the outcome of one endpoint's sessions.

    Args:
        endpoint: its name, for the log.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(self, endpoint: str, monotonic_s: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._monotonic_s = monotonic_s
        self._throttle = Throttle(monotonic_s)
        self._error: UpstreamError | None = None  # the last one; None after a session that worked
        self._failed_s = 0.0  # when it occurred
        self._failures = 0  # in a row
        self._was_logged = False  # whether `upstream-recovered` is due

    @property
    def current_error(self) -> UpstreamError | None:
        """The error with which sessions fail now; None if they work or none failed lately."""
        error = self._error
        if error is None or self._monotonic_s() - self._failed_s > _STALE_S:
            return None
        return None if error.info.retry and self._failures < _IN_A_ROW else error

    def failed(self, error: UpstreamError) -> None:
        """Record that a session failed or did not open; log each reason at most once a minute."""
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
        """Record that a session worked."""
        if self._was_logged:
            self._was_logged = False
            _log.info("upstream-recovered", endpoint=self._endpoint, failures=self._failures)
        self._error = None
        self._failures = 0
