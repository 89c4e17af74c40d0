"""`python -m gateway`: one gateway process, configured by its environment."""

import asyncio
import sys

from common import json_logs, serving
from gateway import app, logs
from gateway.carriers.registry import CARRIERS
from gateway.check import check
from gateway.settings import Settings


async def _serve(settings: Settings) -> int:
    asyncio.get_running_loop().set_exception_handler(json_logs.log_loop_error)
    await app.run(settings, CARRIERS)
    return 0


if __name__ == "__main__":
    sys.exit(
        serving.main(
            "gateway",
            "Receives the media streams of calls and publishes transcript events to Redis.",
            Settings,
            lambda settings: logs.configure(settings.log_level, gateway=settings.id),
            _serve,
            [carrier.Settings for carrier in CARRIERS],
            check,
        )
    )
