"""`python -m deploy.local.sagemaker`: serve until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import sys

import uvloop

from deploy.local.sagemaker.server import LocalEndpoint
from deploy.local.sagemaker.settings import Settings, SettingsError, load

_log = logging.getLogger("endpoint")


async def _serve(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with LocalEndpoint(settings) as endpoint:
        _log.info("listening url=%s ca_file=%s", endpoint.url, endpoint.ca_file)
        await stopped.wait()


def main() -> int:
    """Run the process; 2 if it could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        uvloop.run(_serve(load()))
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"endpoint: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
