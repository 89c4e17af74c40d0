"""JSON logs, one object per line, without any content of calls.

The processes log constant slugs with named fields. Of exceptions, only types and code locations are
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
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.throttle import Throttle

_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)
_MOST_CAUSES: Final = 5
_throttle = Throttle(time.monotonic)


def configure(
    stream: TextIO = sys.stderr,
    level: str = "INFO",
    first: Sequence[Processor] = (),
    reason_of: Callable[[BaseException], str | None] = lambda _: None,
) -> None:
    """Send structlog's and the standard library's records to `stream` as JSON lines.

    Args:
        stream: where the lines are written.
        level: the lowest level of the process's own lines.
        first: processors that add fields to every line.
        reason_of: returns the reason slug of an exception that has one.
    """

    def locate_exceptions(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Replace an exception by its types and code locations, without any exception's text."""
        given = event.pop("exc_info", None)
        raised = sys.exc_info()[1]
        error = raised if given is True else given[1] if isinstance(given, tuple) else given
        if isinstance(error, BaseException):
            event["exception"] = _chain(error, reason_of)
        return event

    shared: list[Processor] = [
        *first,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        locate_exceptions,
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
            log = structlog.get_logger()
            log.error("descriptors-exhausted", suppressed=suppressed)
        return
    structlog.get_logger().error(
        "loop-error", exc_info=error if isinstance(error, BaseException) else None
    )


def _log_crash(
    kind: type[BaseException], error: BaseException | None, _: TracebackType | None = None
) -> None:
    """Log an uncaught exception. Python's own hook would print the exception's text."""
    structlog.get_logger().critical("crashed", exc_info=error or kind())


def _chain(
    error: BaseException, reason_of: Callable[[BaseException], str | None], depth: int = 0
) -> list[dict[str, object]]:
    """Return one entry per exception of a chain or group, the raised one first."""
    entry: dict[str, object] = {
        "type": type(error).__qualname__,
        "at": _locations(error.__traceback__),
    }
    if reason := reason_of(error):
        entry["reason"] = reason
    inner = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    if cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        inner.append(cause)
    if depth >= _MOST_CAUSES:
        return [entry]
    return [entry, *(line for each in inner for line in _chain(each, reason_of, depth + 1))]


def _locations(trace: TracebackType | None) -> list[str]:
    """Return the innermost frames as `file:line function`, without source lines."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(trace), lookup_lines=False)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
