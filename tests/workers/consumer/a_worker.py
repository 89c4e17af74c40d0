"""A worker that copies events to derived streams, and fails as their text says.

python -m tests.workers.consumer.a_worker URL NAME LEASE_S
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import create_client
from workers.client import TranscriptFinal
from workers.consumer import Append, Consumer, ConsumerMetrics, Group, Received

POISON, CRASH = "poison", "crash"


class Copy:
    """Copies each event, unless its text makes it raise or crash the process."""

    def __init__(self, worker: str) -> None:
        self._worker = worker

    async def handle(self, received: Received) -> Sequence[Append]:
        """Copy an event to the derived streams."""
        text = received.event.text if isinstance(received.event, TranscriptFinal) else ""
        if text == POISON:
            raise ValueError("it can't be copied")
        if text == CRASH:
            os.kill(os.getpid(), signal.SIGKILL)
        return [Append(received.event.call_id, {**received.fields, "worker": self._worker})]


def group_of(lease_s: float, partitions: int = 64) -> Group:
    """Return the group of these workers."""
    return Group("copy", suffix="copy", lease_s=lease_s, partitions=partitions)


async def work(url: str, name: str, lease_s: float) -> None:
    """Run a worker until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = create_client(url)
    metrics = ConsumerMetrics(CollectorRegistry(), "copy")
    await Consumer(client, group_of(lease_s), name, lambda _: Copy(name), metrics).run(stop)
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], float(sys.argv[3])))
