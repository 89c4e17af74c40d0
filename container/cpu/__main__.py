"""`python -m container.cpu`: serve the Realtime API from a CPU until SIGTERM."""

import asyncio
import logging
import signal
import sys

import uvloop
from aiohttp import web

from container.cpu import settings as settings_module
from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine, OnFailed
from container.cpu.settings import ModelName, Settings, SettingsError
from container.cpu.transcriber import Transcriber

_log = logging.getLogger("container.cpu")

MISUSED = 2  # exit code: a setting is wrong, or the port is taken
FAILED = 1


def main() -> int:
    """Run the engine; gives the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = settings_module.load()
    except SettingsError as error:
        return _refuse(f"settings: {error}")
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    engine = Engine(settings, lambda on_failed: _transcriber(settings.model, on_failed))
    runner = web.AppRunner(engine.app(), access_log=None, shutdown_timeout=3.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            return _refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
        _log.info("listening on %s, model %s", site.name, settings.model)
        await _first(stopped, engine.failed)
        return FAILED if engine.failed.is_set() else 0
    finally:
        await runner.cleanup()


async def _first(*events: asyncio.Event) -> None:
    """Wait until any of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _transcriber(model: ModelName, on_failed: OnFailed) -> Transcriber:
    """Load the model: the port is opened after that, so whoever connects is served."""
    if model is ModelName.CHECKSUM:
        return ChecksumTranscriber()
    # Imported here: the checksum engine must start without the model's library.
    from container.cpu.model import MoonshineModel
    from container.cpu.moonshine import MoonshineTranscriber

    return MoonshineTranscriber(MoonshineModel(), on_failed)


def _refuse(why: str) -> int:
    print(f"container.cpu: {why}", file=sys.stderr)  # noqa: T201 -- for whoever started us
    return MISUSED


if __name__ == "__main__":
    sys.exit(main())
