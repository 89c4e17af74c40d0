"""JSON logs on stderr, one object per line.

Of exceptions, only the type and the innermost place in the code are logged: the text of a decoding
error, for example, quotes its input.
"""

import asyncio
import logging
import sys
import traceback
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure(stream: TextIO = sys.stderr) -> None:
    """Write the records of structlog and of the standard library as JSON lines, from INFO up."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _locate_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
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


def log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of the event loop. The default handler would log the callback's arguments."""
    structlog.get_logger().error("loop-error", exc_info=context.get("exception"))


def _locate_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the place where it was raised."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = type(error).__qualname__
        for frame in traceback.extract_tb(error.__traceback__)[-1:]:
            event["at"] = f"{frame.filename}:{frame.lineno} {frame.name}"
    return event
