"""Workers in processes of their own, killed at random: every call is archived, complete, once."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import free_port
from tests.workers.archive.calls import Fields, Story, publish, wrapup
from workers.archive.objects import open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveStore
from workers.archive.verify import State, verify

_PATIENCE_S: Final = 90.0
_WORDS: Final = ("hello there", "one moment please", "my bill is wrong", "yes", "thank you")


def small(call: str, random: Random) -> list[Fields]:
    """Return a call of one or two streams, some of them transfers."""
    events: list[Fields] = []
    for stream in range(random.randint(1, 2)):
        story = Story(call, f"MZ{stream}").start()
        for _ in range(random.randint(0, 5)):
            story.say(random.choice(("inbound", "outbound")), random.choice(_WORDS))
        events += story.end().events
    return events


@contextlib.asynccontextmanager
async def killed_at_random(
    url: str, folder: Path, *, workers: int, kills: int, random: Random
) -> AsyncIterator[asyncio.Task[None]]:
    """Run workers, and kill and replace one after another."""
    running: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        env = {
            **os.environ,
            "WORKER_REDIS_URL": url,
            "WORKER_TAKEOVER_S": "0.6",
            "WORKER_METRICS_PORT": str(free_port()),
            "WORKER_ARCHIVE_URL": f"file://{folder}",
            "WORKER_ARCHIVE_TEXT": "raw",
            "WORKER_ARCHIVE_GRACE_S": "0.2",
        }
        command = (sys.executable, "-m", "workers", "archive")
        quiet = asyncio.subprocess.DEVNULL
        running.append(await asyncio.create_subprocess_exec(*command, env=env, stderr=quiet))

    async def kill() -> None:
        for _ in range(kills):
            await asyncio.sleep(random.uniform(0.3, 1.2))
            victim = running.pop(random.randrange(len(running)))
            victim.kill()
            await victim.wait()
            await start()

    for _ in range(workers):
        await start()
    killing = asyncio.create_task(kill())
    try:
        yield killing
    finally:
        killing.cancel()
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def chaos(url: str, folder: Path, *, workers: int, kills: int, calls: int) -> ArchiveStore:
    """Kill random workers while calls end; return the archive, which has all of them, complete."""
    random = Random(15)  # noqa: S311 - reproducible
    stories = {f"CA{number}": small(f"CA{number}", random) for number in range(calls)}
    expected = {
        call: (len(events), int(number % 3 == 0))
        for number, (call, events) in enumerate(stories.items())
    }
    store = ArchiveStore(open_objects(Settings(_env_file=None, url=f"file://{folder}")), Text.RAW)
    async with (
        contextlib.aclosing(create_client(url)) as client,
        killed_at_random(url, folder, workers=workers, kills=kills, random=random) as killing,
    ):
        for call, events in stories.items():
            await publish(client, *events)
            if expected[call][1]:
                await publish(client, wrapup(call), source="redacted-wrapups")
            if not killing.done():
                await asyncio.sleep(kills * 0.7 / calls)
        await killing
        async with asyncio.timeout(_PATIENCE_S):
            while not await everything_is_archived(client, store, expected):  # noqa: ASYNC110  # Redis sends no event
                await asyncio.sleep(0.2)
    for call in stories:
        verdict = await verify(store, call)
        assert verdict.state is State.COMPLETE, verdict
    return store


async def everything_is_archived(
    client: RedisClient, store: ArchiveStore, expected: dict[str, tuple[int, int]]
) -> bool:
    """Return whether no call waits, and each one has all its events and wrap-ups."""
    for call, numbers in expected.items():
        key = partition_key(partition_of(call, 64), "due:archive-raw")
        if await client.zcard(key):
            return False
        manifest = (await store.revisions(call)).manifest
        if manifest is None:
            return False
        found = manifest.sources["events"], manifest.sources["redacted-wrapups"]
        if tuple(each.entries for each in found) != numbers:
            return False
    return True


@pytest.mark.timeout(180)
async def test_workers_killed_at_random_archive_every_call(redis_url: str, tmp_path: Path) -> None:
    store = await chaos(redis_url, tmp_path, workers=2, kills=2, calls=24)
    assert len([each async for each in store.calls()]) == 24
