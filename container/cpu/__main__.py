"""`python -m container.cpu`: serve the Realtime API on a CPU until SIGTERM."""

import asyncio
import logging
import sys

from common import serving
from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine, OnFailed
from container.cpu.settings import ModelName, Settings
from container.cpu.transcriber import Transcriber

_log = logging.getLogger("container.cpu")

FAILED = 1  # exit code: the model failed


async def _serve(settings: Settings) -> int:
    stop = serving.stop_requested()
    engine = Engine(settings, lambda on_failed: _transcriber(settings.model, on_failed))
    async with serving.listening(engine.app(), settings.host, settings.port) as port:
        _log.info("listening on %s:%d, model %s", settings.host, port, settings.model)
        await _first(stop, engine.failed)
    return FAILED if engine.failed.is_set() else 0


async def _first(*events: asyncio.Event) -> None:
    """Wait until any of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _transcriber(model: ModelName, on_failed: OnFailed) -> Transcriber:
    """Load the model. The port is opened afterwards, so every accepted client can be served."""
    if model is ModelName.CHECKSUM:
        return ChecksumTranscriber()
    # Imported here: the checksum engine must start without the model's library.
    from container.cpu.model import MoonshineModel
    from container.cpu.moonshine import MoonshineTranscriber

    return MoonshineTranscriber(MoonshineModel(), on_failed)


if __name__ == "__main__":
    sys.exit(
        serving.main(
            "container.cpu",
            "Serves vLLM's Realtime API on a CPU.",
            Settings,
            serving.log_plainly,
            _serve,
        )
    )
