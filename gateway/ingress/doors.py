"""What the ports refuse before a request is read: counted each time, logged once a minute."""

from typing import Final

import structlog

from gateway.metrics import Metrics
from process.connections import Throttle

_HINTS: Final = {"descriptors-exhausted": "raise the limit of open files, or lower the calls"}

_log = structlog.get_logger()


class Doors:
    """Takes the notices of `process/connections.py`."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused_total = metrics.refused_connections_total
        self._throttle = Throttle()

    def notice(self, reason: str) -> None:
        """Note that a connection or a malformed request was refused."""
        self._refused_total.labels(reason).inc()
        if not (count := self._throttle.count(reason)):
            return
        if hint := _HINTS.get(reason):
            _log.error(reason, count=count, hint=hint)
        else:
            _log.info(reason, count=count)
