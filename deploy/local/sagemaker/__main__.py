"""`python -m deploy.local.sagemaker`: serve until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import sys

import uvloop

from deploy.local.sagemaker.server import LocalEndpoint
from deploy.local.sagemaker.settings import Settings, SettingsError, load

_MISUSED = 2  # exit code: a setting is wrong, or the port is taken
_log = logging.getLogger("deploy.local.sagemaker")


def main() -> int:
    """Run the endpoint; gives the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = load()
    except SettingsError as error:
        return _refuse(f"settings: {error}")
    try:
        uvloop.run(_serve(settings))
    except OSError as error:
        return _refuse(f"cannot serve on {settings.host}:{settings.port}: {error.strerror}")
    return 0


async def _serve(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with LocalEndpoint(settings) as endpoint:
        _log.info("listening url=%s ca_file=%s", endpoint.url, endpoint.ca_file)
        await stopped.wait()


def _refuse(why: str) -> int:
    sys.stderr.write(f"deploy.local.sagemaker: {why}\n")
    return _MISUSED


if __name__ == "__main__":
    sys.exit(main())
