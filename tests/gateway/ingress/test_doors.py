"""What is refused before a request is read: counted each time, one log line a minute."""

import asyncio
import errno

import structlog
from structlog.testing import capture_logs

from gateway.ingress.doors import Doors
from gateway.logs import log_loop_error
from gateway.metrics import Metrics

NAME = "callscribe_refused_connections_total"


def test_each_is_counted_and_the_first_of_a_minute_logged() -> None:
    metrics = Metrics()
    doors = Doors(metrics)
    with capture_logs() as logs:
        for reason in ("malformed-http", "descriptors-exhausted") * 50:
            doors.notice(reason)
    assert [(line["event"], line["log_level"], line["suppressed"]) for line in logs] == [
        ("malformed-http", "info", 0),
        ("descriptors-exhausted", "error", 0),
    ]
    for reason in ("malformed-http", "descriptors-exhausted"):
        assert metrics.registry.get_sample_value(NAME, {"reason": reason}) == 50


async def test_accepts_without_a_descriptor_are_one_line() -> None:
    """Symptom: asyncio reports each failed accept: a full gateway wrote a traceback a second."""
    structlog.reset_defaults()
    error = OSError(errno.EMFILE, "Too many open files")
    with capture_logs() as logs:
        for _ in range(50):
            log_loop_error(asyncio.get_running_loop(), {"exception": error, "message": "accept"})
        log_loop_error(asyncio.get_running_loop(), {"exception": OSError(errno.EIO, "other")})
    assert [line["event"] for line in logs] == ["descriptors-exhausted", "loop-error"]
    assert "exc_info" not in logs[0]
