"""`python -m container.bridge`: bridge SageMaker to the engine until SIGTERM."""

import asyncio
import sys

import structlog

from common import json_logs, serving
from container.bridge.app import Bridge
from container.bridge.settings import Settings

_log = structlog.get_logger()


async def _serve(settings: Settings) -> int:
    asyncio.get_running_loop().set_exception_handler(json_logs.log_loop_error)
    signals = serving.stop_signals()
    bridge = Bridge(settings)
    async with serving.listening(bridge.app(), settings.host, settings.port) as port:
        _log.info(
            "listening",
            host=settings.host,
            port=port,
            engine=settings.engine_url,
            max_sessions=settings.max_sessions,
        )
        await signals.stop.wait()
        await bridge.drain(signals.hurry)
    return 0


if __name__ == "__main__":
    sys.exit(
        serving.main(
            "container.bridge",
            "Bridges SageMaker's contract for containers to the engine's Realtime API.",
            Settings,
            lambda _: json_logs.configure(),
            _serve,
        )
    )
