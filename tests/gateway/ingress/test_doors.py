"""Refused connections: each is counted, and one log line per minute is written."""

import asyncio
import errno

import structlog
from structlog.testing import capture_logs

from common.json_logs import log_loop_error
from gateway.ingress.refusals import ConnectionRefusals
from gateway.metrics import Metrics

NAME = "callscribe_refused_connections_total"


def test_all_refusals_are_counted_and_one_per_minute_is_logged() -> None:
    metrics = Metrics()
    refusals = ConnectionRefusals(metrics)
    with capture_logs() as logs:
        for reason in ("malformed-http", "descriptors-exhausted") * 50:
            refusals.notice(reason)
    assert [(line["event"], line["log_level"], line["suppressed"]) for line in logs] == [
        ("malformed-http", "info", 0),
        ("descriptors-exhausted", "error", 0),
    ]
    for reason in ("malformed-http", "descriptors-exhausted"):
        assert metrics.registry.get_sample_value(NAME, {"reason": reason}) == 50


async def test_failed_accepts_write_one_log_line() -> None:
    """Symptom: asyncio reports each failed accept; a full gateway logged a traceback per second."""
    structlog.reset_defaults()
    error = OSError(errno.EMFILE, "Too many open files")
    with capture_logs() as logs:
        for _ in range(50):
            log_loop_error(asyncio.get_running_loop(), {"exception": error, "message": "accept"})
        log_loop_error(asyncio.get_running_loop(), {"exception": OSError(errno.EIO, "other")})
    assert [line["event"] for line in logs] == ["descriptors-exhausted", "loop-error"]
    assert "exc_info" not in logs[0]
