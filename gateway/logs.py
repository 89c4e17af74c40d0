"""The gateway's JSON logs: each line names the gateway; its own errors have their reason slug."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from common import json_logs
from gateway.errors import GatewayError


def configure(level: str, stream: TextIO = sys.stderr, gateway: str | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` as JSON lines.

    Args:
        level: the lowest level of the gateway's own lines.
        stream: where the lines are written.
        gateway: this process's id, which is added to every line.
    """

    def name_gateway(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return event if gateway is None else {**event, "gateway": gateway}

    first = [name_gateway, structlog.contextvars.merge_contextvars]
    json_logs.configure(stream, level, first, _reason_of)
    logging.getLogger("gateway").setLevel(level)


def _reason_of(error: BaseException) -> str | None:
    return error.reason if isinstance(error, GatewayError) else None
