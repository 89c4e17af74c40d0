"""A worker `search` in a process of its own: python -m tests.workers.search.a_worker URL FOLDER."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import create_client
from workers.search.settings import Settings
from workers.search.worker import search_worker

PARTITIONS: Final = 4  # few: the tests are quicker
LEASE_S: Final = 1.0


async def work(url: str, settings: Settings, stop: asyncio.Event, name: str = "w1") -> None:
    """Run a worker until the event is set."""
    client = create_client(url)
    registry = CollectorRegistry()
    try:
        async with search_worker(
            settings, client, name, registry, partitions=PARTITIONS, lease_s=LEASE_S
        ) as run:
            await run(stop)
    finally:
        await client.aclose()


def settings_of(folder: Path, text: str = "both", database_url: str | None = None) -> Settings:
    """Return the settings of a worker."""
    return Settings(_env_file=None, path=folder, text=text, database_url=database_url)


async def main() -> None:
    """Run a worker until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await work(sys.argv[1], settings_of(Path(sys.argv[2])), stop)


if __name__ == "__main__":
    asyncio.run(main())
