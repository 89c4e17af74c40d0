"""Counts and logs connections and requests that are refused before a handler sees them."""

from typing import Final

import structlog

from gateway.metrics import Metrics
from process.connections import Throttle

_HINTS: Final = {"descriptors-exhausted": "raise the limit of open files, or lower the calls"}

_log = structlog.get_logger()


class Doors:
    """Receives the notices of `process/connections.py`; logs each kind once a minute."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused_total = metrics.refused_connections_total
        self._throttle = Throttle()

    def notice(self, reason: str) -> None:
        """Count a refused connection or malformed request, and log it if it is due."""
        self._refused_total.labels(reason).inc()
        if not (count := self._throttle.count(reason)):
            return
        if hint := _HINTS.get(reason):
            _log.error(reason, count=count, hint=hint)
        else:
            _log.info(reason, count=count)
