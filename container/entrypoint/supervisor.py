"""Run vLLM and the bridge until either one ends or the container is stopped."""

import asyncio
import logging
import shlex
import time
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from common.serving import StopSignals
from common.settings import SettingsError
from container.entrypoint.engine import Command
from container.entrypoint.processes import Child, describe, exit_code

_log = logging.getLogger(__name__)

_POLL_S: Final = 1.0
_REQUEST_TIMEOUT: Final = ClientTimeout(total=5)
_PROGRESS_S: Final = 15.0
_ENGINE_SHARE: Final = 0.2  # of the time to stop: kept for vLLM, whatever the bridge needs


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and for how long to wait.

    Attributes:
        engine: vLLM's command.
        bridge: the bridge's command.
        health_url: vLLM's; the bridge is started when it responds with 200.
        start_timeout_s: time until then.
        stop_timeout_s: time for both to end after SIGTERM.
    """

    engine: Command
    bridge: Command
    health_url: str
    start_timeout_s: float
    stop_timeout_s: float


async def supervise(plan: Plan, signals: StopSignals) -> int:
    """Run both processes; return the container's exit code once both have ended."""
    children: list[Child] = []
    stopping = asyncio.ensure_future(signals.stop.wait())
    try:
        return await _run(plan, children, stopping)
    finally:
        stopping.cancel()
        await _stop(children, plan.stop_timeout_s, signals.hurry)


async def _run(plan: Plan, children: list[Child], stopping: asyncio.Future[Any]) -> int:
    _log.info("engine-starting command: %s", shlex.join(plan.engine.words))
    engine = await _start(children, "engine", plan.engine)
    ready = asyncio.ensure_future(_until_ready(plan.health_url))
    await _first({engine.ended, stopping, ready}, plan.start_timeout_s)
    is_ready = ready.done()
    ready.cancel()
    if engine.ended.done() or stopping.done():
        return _outcome(children)
    if not is_ready:
        _log.error("engine-late not ready after %.0f s; stopping", plan.start_timeout_s)
        return 1
    bridge = await _start(children, "bridge", plan.bridge)
    await _first({engine.ended, bridge.ended, stopping})
    return _outcome(children)


async def _start(children: list[Child], name: str, command: Command) -> Child:
    try:
        child = await Child.start(name, command)
    except OSError as error:
        raise SettingsError(f"can't run {command.words[0]}: {error.strerror}") from None
    children.append(child)
    return child


async def _first(futures: set[asyncio.Future[Any]], timeout_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


async def _until_ready(url: str) -> None:
    """Request vLLM's health until it responds with 200; log the progress."""
    began_s = logged_s = time.monotonic()
    async with ClientSession(timeout=_REQUEST_TIMEOUT) as session:
        while not await _is_ready(session, url):
            if time.monotonic() - logged_s >= _PROGRESS_S:
                logged_s = time.monotonic()
                _log.info("engine-loading for %.0f s", logged_s - began_s)
            await asyncio.sleep(_POLL_S)
    _log.info("engine-ready after %.0f s", time.monotonic() - began_s)


async def _is_ready(session: ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (ClientError, TimeoutError, OSError):
        return False


def _outcome(children: list[Child]) -> int:
    """Log why the container ends; return its exit code."""
    for child in children:
        if child.ended.done():
            code = child.ended.result()
            _log.error("%s-ended it %s; stopping the container", child.name, describe(code))
            return exit_code(code)
    _log.info("stopping on a signal")
    return 0


async def _stop(children: list[Child], timeout_s: float, hurry: asyncio.Event) -> None:
    """Stop the bridge, so that it closes its sessions, and then vLLM."""
    until_s = time.monotonic() + timeout_s
    for child in reversed(children):
        kept_s = 0.0 if child is children[0] else timeout_s * _ENGINE_SHARE
        await child.stop(max(0.0, until_s - time.monotonic() - kept_s), hurry)
