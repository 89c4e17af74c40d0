"""Starts workers quickly, so that many can be killed: a process with all imports that forks.

python -m tests.workers.push.zygote URL SUBSCRIPTIONS NAME

For each line on stdin, it starts a worker and prints its process id.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tests.workers.push.pushing import running
from workers.push import delivery, dispatcher


async def _work(url: str, subscriptions: Path, name: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running(url, subscriptions, name, timeout_s=0.3, concurrency=4):
        await stop.wait()


def _run(url: str, subscriptions: Path, name: str) -> NoReturn:
    delivery.PAUSES_S = (0.02,) * 10  # type: ignore[misc]
    dispatcher._SCAN_S = 0.05  # type: ignore[misc]  # noqa: SLF001
    dispatcher._MARGIN_S = 0.2  # type: ignore[misc]  # noqa: SLF001
    asyncio.run(_work(url, subscriptions, name))
    os._exit(0)


def main() -> None:
    """Start a worker for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    url, subscriptions, name = sys.argv[1:]
    for _ in sys.stdin:
        worker = os.fork()
        if not worker:
            _run(url, Path(subscriptions), name)
        print(worker, flush=True)  # noqa: T201 - for the test


if __name__ == "__main__":
    main()
