"""JSON logs, one object per line, without any content of calls.

The gateway logs constant slugs with named fields. Of exceptions, only types and code locations are
logged, never their text: for example, the text of a decoding error quotes its input. Libraries log
at INFO and above for the same reason: at DEBUG the AWS SDK logs every event that it transfers.
"""

import asyncio
import errno
import logging
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.throttle import Throttle
from gateway.errors import GatewayError

_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)

_throttle = Throttle(time.monotonic)


def configure(level: str, stream: TextIO = sys.stderr, gateway: str | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` as JSON lines.

    Args:
        level: the lowest level of the gateway's own lines.
        stream: where the lines are written.
        gateway: this process's id, which is added to every line.
    """

    def name_gateway(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return event if gateway is None else {**event, "gateway": gateway}

    shared: list[Processor] = [
        name_gateway,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _locate_exceptions,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("gateway").setLevel(level)
    # At WARNING it quotes the client's Sec-WebSocket-Protocol, in which some send tokens.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = lambda crash: _log_crash(crash.exc_type, crash.exc_value)
    sys.unraisablehook = lambda crash: _log_crash(crash.exc_type, crash.exc_value)


def log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of the event loop. The default handler would log the callback's arguments."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR:  # at each failed accept
        if (suppressed := _throttle.admit("descriptors-exhausted")) is not None:
            log = structlog.get_logger("gateway")
            log.error("descriptors-exhausted", suppressed=suppressed)
        return
    structlog.get_logger("gateway").error(
        "loop-error", exc_info=error if isinstance(error, BaseException) else None
    )


def _log_crash(
    kind: type[BaseException], error: BaseException | None, _: TracebackType | None = None
) -> None:
    """Log an uncaught exception. Python's own hook would print the exception's text."""
    structlog.get_logger("gateway").critical("crashed", exc_info=error or kind())


def _locate_exceptions(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace an exception by its types and code locations, without the text of any exception."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = _chain(error)
    return event


def _chain(error: BaseException, depth: int = 0) -> list[dict[str, object]]:
    """Return one entry per exception of a chain or group, the raised one first."""
    entry: dict[str, object] = {
        "type": type(error).__qualname__,
        "at": _locations(error.__traceback__),
    }
    if isinstance(error, GatewayError):
        entry["reason"] = error.reason
    inner = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    if cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        inner.append(cause)
    return [entry, *(line for each in inner if depth < 5 for line in _chain(each, depth + 1))]


def _locations(trace: TracebackType | None) -> list[str]:
    """Return the innermost frames as `file:line function`, without source lines."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(trace), lookup_lines=False)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
