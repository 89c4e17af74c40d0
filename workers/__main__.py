"""`python -m workers janitor`: one worker process, configured by its environment."""

import asyncio
import contextlib
import logging
import sys
from typing import Final

from common import serving
from common.exposition import private_app
from gateway.redis_client.check import check_settings
from gateway.redis_client.client import create_client
from workers.janitor import Janitor, Metrics
from workers.redis_streams import RedisStreams
from workers.relay.sign_in.settings import Settings as SignInSettings
from workers.settings import Settings

_log = logging.getLogger("workers")

_USAGE: Final = "usage: python -m workers janitor [--help] [--version]"


async def _janitor(settings: Settings) -> int:
    metrics = Metrics()
    client = create_client(settings.redis_url.get_secret_value())
    stop = serving.stop_signals().stop
    janitor = Janitor(
        RedisStreams(client),
        gateway=settings.id,
        partitions=settings.partitions,
        lease_s=settings.lease_s,
        retention_s=settings.retention_s,
        metrics=metrics,
    )
    app = private_app(metrics.registry)
    async with (
        contextlib.aclosing(client),
        serving.listening(app, settings.metrics_host, settings.metrics_port),
    ):
        if problem := await check_settings(client):
            _log.warning("redis-unavailable %s", problem)
        running = asyncio.create_task(janitor.run())
        running.add_done_callback(lambda _: stop.set())
        await stop.wait()
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()  # it ends by itself only because of an error: raise that
    return 0


def main() -> int:
    """Run the worker that the command line names; return the exit code."""
    if sys.argv[1:] == ["--version"]:
        sys.argv.insert(1, "janitor")
    if sys.argv[1:2] != ["janitor"]:
        print(_USAGE, file=sys.stderr)  # noqa: T201 - for the terminal
        return 0 if sys.argv[1:] == ["--help"] else serving.MISUSED
    del sys.argv[1]
    return serving.main(
        "workers janitor",
        "Closes the streams of lost gateways.",
        Settings,
        serving.log_plainly,
        _janitor,
        parts=(SignInSettings,),  # all workers read the same .env
    )


if __name__ == "__main__":
    sys.exit(main())
