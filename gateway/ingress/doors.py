"""Counts and logs connections and requests that are refused before a handler sees them."""

import time
from typing import Final

import structlog

from common.throttle import Throttle
from gateway.metrics import Metrics

_EXHAUSTED: Final = "descriptors-exhausted"
_HINT: Final = "raise the limit of open files (ulimit -n), or run more gateways"

_log = structlog.get_logger()


class Doors:
    """Receives the notices of `common/connections.py`; logs each kind once a minute."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused_total = metrics.refused_connections_total
        self._throttle = Throttle(time.monotonic)

    def notice(self, reason: str) -> None:
        """Count a refused connection or malformed request, and log it if it is due."""
        self._refused_total.labels(reason).inc()
        suppressed = self._throttle.admit(reason)
        if suppressed is None:
            return
        if reason == _EXHAUSTED:
            _log.error(reason, suppressed=suppressed, hint=_HINT)
        else:
            _log.info(reason, suppressed=suppressed)
