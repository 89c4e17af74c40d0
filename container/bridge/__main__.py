"""`python -m container.bridge`: bridge SageMaker to the engine until SIGTERM."""

import logging
import sys

from common import serving
from container.bridge.app import Bridge
from container.bridge.settings import Settings

_log = logging.getLogger("container.bridge")


async def _serve(settings: Settings) -> int:
    stop = serving.stop_requested()
    async with serving.listening(Bridge(settings).app(), settings.host, settings.port) as port:
        _log.info("listening on %s:%d, engine %s", settings.host, port, settings.engine_url)
        await stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(
        serving.main(
            "container.bridge",
            "Bridges SageMaker's contract for containers to the engine's Realtime API.",
            Settings,
            serving.log_plainly,
            _serve,
        )
    )
