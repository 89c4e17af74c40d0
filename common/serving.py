"""Runs a process: command line, settings, signals, HTTP servers and the exit code."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import uvloop
from aiohttp import web
from pydantic_settings import BaseSettings

from common.addresses import bind
from common.connections import Notice, Runner
from common.manual import describe
from common.resources import Descriptors, raise_limit
from common.settings import SettingsError, load
from common.version import version

MISUSED: Final = 2  # exit code: a setting is invalid, or a port is in use
_SETTINGS: Final = "Settings are environment variables; the default is in parentheses."
# Idle connections must stay open longer than at a load balancer (AWS, nginx: 60 s). Otherwise it
# may send a request on a connection that is being closed, and respond with 502.
_KEEPALIVE_TIMEOUT_S: Final = 75.0
_BACKLOG: Final = 128  # connections that wait to be accepted
_SHUTDOWN_TIMEOUT_S: Final = 3.0  # for requests that are still open at the end


def main[S: BaseSettings](
    module: str,
    summary: str,
    kind: type[S],
    configure_logs: Callable[[S], None],
    serve: Callable[[S], Coroutine[Any, Any, int]],
    parts: Sequence[type[BaseSettings]] = (),
    check: Callable[[], int] | None = None,
) -> int:
    """Run a process on uvloop.

    Args:
        module: the arguments of `python -m` that start the process.
        summary: what the process does, for `--help`.
        kind: the class of its settings.
        configure_logs: called with the settings.
        serve: runs until the process is to stop, and returns the exit code.
        parts: settings classes of its components, with longer prefixes. `serve` loads them.
        check: runs instead of `serve` if `--check` is given, and returns the exit code.

    Returns:
        The exit code: `MISUSED`, with one line on stderr, if a setting prevents startup.
    """
    kinds: list[type[BaseSettings]] = [kind, *parts]
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=summary,
        epilog=f"{_SETTINGS}\n" + "\n".join(map(describe, kinds)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"callscribe {version()}")
    if check:
        text = "check the settings, Redis and the model, print one line each and exit with 0 or 1"
        parser.add_argument("--check", action="store_true", help=text)
    if check and parser.parse_args().check:
        return check()
    parser.parse_args()
    try:
        settings = load(kind, parts)
        configure_logs(settings)
        raise_limit()
        return uvloop.run(serve(settings))
    except SettingsError as error:
        print(f"{module}: {error}", file=sys.stderr)  # noqa: T201 - for the terminal
        return MISUSED


def log_plainly(_: BaseSettings) -> None:
    """Log plain text at INFO and above, for processes other than the gateway."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # At WARNING it quotes the client's Sec-WebSocket-Protocol, in which some send tokens.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


class StopSignals(NamedTuple):
    """Events that are set by signals, in increasing urgency."""

    stop: asyncio.Event  # drain: accept no new work, and finish when all work has ended
    hurry: asyncio.Event  # end the work in progress
    at_once: asyncio.Event  # only write what must not be lost


def stop_signals() -> StopSignals:
    """Install signal handlers and return the events that they set.

    The first SIGTERM sets `stop`, the second `hurry`; SIGINT (Ctrl-C) sets both at once. Any signal
    after `hurry` sets `at_once`.
    """
    signals = StopSignals(asyncio.Event(), asyncio.Event(), asyncio.Event())
    signalled = asyncio.Event()  # unlike `stop`, which the admin API sets, too

    def terminate() -> None:
        if signals.hurry.is_set():
            signals.at_once.set()
        if signalled.is_set():
            signals.hurry.set()
        signalled.set()
        signals.stop.set()

    def interrupt() -> None:
        signalled.set()
        terminate()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    return signals


def stop_requested() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets, for a process that does not drain."""
    return stop_signals().stop


@contextlib.asynccontextmanager
async def listening(
    app: web.Application,
    hosts: str,
    port: int,
    descriptors: Descriptors | None = None,
    notice: Notice | None = None,
) -> AsyncIterator[int]:
    """Serve an application for as long as the context lasts; yield the port.

    Args:
        app: the application.
        hosts: addresses, comma-separated; see `addresses.py`.
        port: the port at all addresses; 0 chooses a free one.
        descriptors: refuses connections that would use its reserve; None accepts all connections.
        notice: called for each refusal (`connections.py`); by default logged once a minute.

    Raises:
        SettingsError: an address can't be listened on.
    """
    sockets = bind(hosts, port)
    runner = Runner(
        app,
        descriptors,
        notice,
        access_log=None,
        auto_decompress=False,  # signatures cover the raw bytes; a small body could be gigabytes
        keepalive_timeout=_KEEPALIVE_TIMEOUT_S,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
    )
    try:
        await runner.setup()
        # asyncio accepts the whole backlog at once, before refused connections are closed.
        backlog = min(_BACKLOG, descriptors.reserve // 4) if descriptors else _BACKLOG
        for each in sockets:
            await web.SockSite(runner, each, backlog=backlog).start()
        yield int(sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()
        for each in sockets:
            each.close()
