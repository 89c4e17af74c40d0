"""Starts workers quickly, so that many can be killed: a process with all imports that forks.

python -m tests.workers.assist.zygote URL RULES

For each line on stdin, it starts a worker and prints its process id.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import create_client
from workers.assist.metrics import Metrics
from workers.assist.reload import RulesInForce
from workers.assist.worker import AssistHandler, group
from workers.consumer import Consumer, ConsumerMetrics

_LEASE_S = 0.8


async def _work(url: str, rules_file: Path) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    rules = RulesInForce(rules_file, metrics)
    async with contextlib.aclosing(create_client(url)) as client:
        consumer = Consumer(
            client,
            group(64, 3600, _LEASE_S),
            "w1",
            lambda partition: AssistHandler(client, partition, rules, "w1", metrics),
            ConsumerMetrics(registry, "assist"),
        )
        await consumer.run(asyncio.Event())


def _run(url: str, rules_file: Path) -> NoReturn:
    asyncio.run(_work(url, rules_file))
    os._exit(0)


def main() -> None:
    """Start a worker for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    url, rules_file = sys.argv[1:]
    for _ in sys.stdin:
        worker = os.fork()
        if not worker:
            _run(url, Path(rules_file))
        print(worker, flush=True)  # noqa: T201 - for the test


if __name__ == "__main__":
    main()
