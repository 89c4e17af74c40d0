"""`python -m container.bridge`: bridge SageMaker to the engine until SIGTERM."""

import asyncio
import logging
import signal
import sys

import uvloop
from aiohttp import web

from container.bridge.app import Bridge
from container.bridge.settings import Settings, SettingsError, load

_MISUSED = 2  # exit code: a setting is wrong, or the port is taken
_SHUTDOWN_TIMEOUT_S = 3.0
_log = logging.getLogger("container.bridge")


def main() -> int:
    """Run the bridge; gives the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = load()
    except SettingsError as error:
        return _refuse(f"settings: {error}")
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(
        Bridge(settings).app(), access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            return _refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
        _log.info("listening url=%s engine=%s", site.name, settings.engine_url)
        await stopped.wait()
    finally:
        await runner.cleanup()
    return 0


def _refuse(why: str) -> int:
    sys.stderr.write(f"container.bridge: {why}\n")
    return _MISUSED


if __name__ == "__main__":
    sys.exit(main())
