"""A worker of the archive in the process of the test, whose time passes when the test says so."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.archive.calls import Fields
from workers.archive.archiver import Archiver, Metrics, Result
from workers.archive.due import DueCalls
from workers.archive.evidence import SOURCES
from workers.archive.objects import Objects, open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveStore
from workers.archive.verify import Verdict, verify
from workers.archive.worker import AdditionHandler, MainHandler
from workers.client import read_event
from workers.consumer import Received


@dataclass(slots=True)
class Worker:
    """The handlers of the partition of one call.

    Args:
        client: of Redis.
        folder: where calls are archived.
        objects: replaces the folder.
    """

    client: RedisClient
    folder: Path
    call: str = "CA1"
    text: Text = Text.RAW
    grace_s: float = 0
    objects: Objects | None = None
    store: ArchiveStore = None  # type: ignore[assignment]  # below
    metrics: Metrics = None  # type: ignore[assignment]
    main: MainHandler = None  # type: ignore[assignment]
    addition: AdditionHandler = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        objects = self.objects or open_objects(
            Settings(_env_file=None, url=f"file://{self.folder}")
        )
        self.store = ArchiveStore(objects, self.text)
        self.metrics = Metrics(CollectorRegistry())
        due = DueCalls(self.client, f"archive-{self.text}")
        turns = asyncio.Semaphore(4)
        archiver = Archiver(self.client, self.store, self.metrics)
        self.main = MainHandler(self.partition, due, archiver, self.grace_s, turns, self.metrics)
        self.addition = AdditionHandler(self.client, self.partition, self.text, due, self.grace_s)

    @property
    def partition(self) -> int:
        return partition_of(self.call, 64)

    async def handle(self, *events: Fields) -> None:
        """Handle events of the call."""
        for each in events:
            await self.main.handle(Received(read_event("1-0", each), each))

    async def add(self, *events: Fields) -> None:
        """Handle alerts and wrap-ups."""
        for each in events:
            await self.addition.handle(Received(read_event("1-0", each), each))

    async def tick(self, after_s: float = 0.001) -> None:
        """Archive what is due at a time from now."""
        seconds, microseconds = await self.client.time()
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        await self.main.tick(now_ms + round(after_s * 1000) + 1)
        await self.main.drain()

    async def due(self) -> list[str]:
        """Return the calls that wait."""
        key = partition_key(self.partition, f"due:archive-{self.text}")
        found: Any = await self.client.zrange(key, 0, -1)
        return [each.decode() for each in found]

    async def verdict(self) -> Verdict:
        return await verify(self.store, self.call)

    async def revision(self) -> int:
        """Return the number of the newest revision, 0 if there is none."""
        found = await self.store.revisions(self.call)
        return found.manifest.revision if found.manifest else 0

    def count(self, result: Result) -> float:
        return float(self.metrics.calls_total.labels(self.text, result)._value.get())  # noqa: SLF001

    def overdue_s(self) -> float:
        return float(self.metrics.overdue_seconds.labels(self.text)._value.get())  # noqa: SLF001

    def failures(self, reason: str) -> float:
        return float(self.metrics.failures_total.labels(reason)._value.get())  # noqa: SLF001


async def forget(client: RedisClient, call: str, text: Text = Text.RAW) -> None:
    """Delete a call's streams from Redis, as their expiry does."""
    for suffix in SOURCES[text].values():
        await client.delete(partition_key(partition_of(call, 64), f"call:{call}{suffix}"))
