"""A process from its first line to its exit code, and the HTTP servers in it."""

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
from common.descriptors import Descriptors, raise_limit
from common.manual import describe
from common.settings import SettingsError, load
from common.version import version

MISUSED: Final = 2  # exit code: a setting is wrong, or a port is taken
_SETTINGS: Final = "Settings are environment variables; in parentheses, the default."
# A connection that asks nothing more is closed; later than a load balancer does (AWS, nginx: 60 s).
# Else it sends requests on connections that are closed at that moment, and answers 502.
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
        module: what `python -m` starts.
        summary: what it does, for `--help`.
        kind: its settings.
        configure_logs: called once the settings are known.
        serve: runs until the process is told to stop; gives the exit code.
        parts: settings of parts of it, with longer prefixes, which `serve` loads.
        check: what `--check` does instead; gives the exit code.

    Returns:
        The exit code; `MISUSED`, with one line on stderr, if it can't start as configured.
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
        text = "check the settings and what they lead to, one line each, and exit with 0 or 1"
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
        print(f"{module}: {error}", file=sys.stderr)  # noqa: T201 - for whoever started us
        return MISUSED


def log_plainly(_: BaseSettings) -> None:
    """Log lines of text at INFO: what the processes beside the gateway do."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # At WARNING it quotes the client's Sec-WebSocket-Protocol, where some put tokens.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


class StopSignals(NamedTuple):
    """What signals have asked of this process."""

    stop: asyncio.Event  # end in good order
    hurry: asyncio.Event  # and do not wait for work to end by itself
    at_once: asyncio.Event  # and do not wait for anything but what must be written


def stop_signals() -> StopSignals:
    """Return events that signals set.

    The first SIGTERM sets `stop`, the second `hurry`; SIGINT (Ctrl-C) sets both at once. Any signal
    after `hurry` sets `at_once`.
    """
    signals = StopSignals(asyncio.Event(), asyncio.Event(), asyncio.Event())
    signalled = asyncio.Event()  # `stop` alone does not tell: others set it, too

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
    """Return an event that SIGTERM or SIGINT sets, for a process that always ends at once."""
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
        app: what is served.
        hosts: addresses, comma-separated; see `addresses.py`.
        port: on all of them; 0 takes a free one.
        descriptors: keeps a reserve; None accepts all connections.
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
        auto_decompress=False,  # a small body could be gigabytes; and signatures are over its bytes
        keepalive_timeout=_KEEPALIVE_TIMEOUT_S,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
    )
    try:
        await runner.setup()
        # The whole backlog is accepted at once, before refused connections are closed.
        backlog = min(_BACKLOG, descriptors.reserve // 4) if descriptors else _BACKLOG
        for each in sockets:
            await web.SockSite(runner, each, backlog=backlog).start()
        yield int(sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()
        for each in sockets:
            each.close()
