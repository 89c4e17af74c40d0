"""Calls that are erased while workers are killed, a spool is replayed, and a backup is restored.

python -m tests.workers.governance.story CALLS ERASED KILLS PROCESSES KILLS_BEFORE
"""

import asyncio
import contextlib
import gzip
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.metrics import Metrics
from gateway.publishing.spool.spool import Spool
from gateway.redis_client.client import RedisClient
from gateway.transcript.encode import pack_batch, pack_event, pack_stream
from gateway.transcript.events import FinalReason, Status, StreamEnded, TranscriptFinal
from tests.gateway.publishing.publisher_harness import (
    EPOCH,
    entries,
    keys_of,
    open_stream,
    publisher_at,
    started,
    total,
)
from tests.redis_servers import free_port, valkey
from tests.workers.governance.planting import ANN, canary, client_of, everything, governed
from workers.archive.assembly import open_store
from workers.archive.record import Text
from workers.archive.settings import Settings as ArchiveSettings
from workers.governance.archive_calls import ArchiveCalls
from workers.governance.ledger import Recorded
from workers.governance.search_calls import SearchCalls
from workers.governance.stores import Store
from workers.search.settings import Settings as SearchSettings
from workers.settings import Texts

FINALS: Final = 3
_PATIENCE_S: Final = 60.0
_TAKEOVER_S: Final = 1.0
_GZIP: Final = b"\x1f\x8b"


@dataclass
class Workers:
    """Processes with workers, which can be killed. The first one also has `search`."""

    url: str
    folder: Path
    running: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, number: int) -> None:
        """Start a process."""
        environment = {
            "PATH": os.environ["PATH"],
            "WORKER_REDIS_URL": self.url,
            "WORKER_METRICS_PORT": "0",
            "WORKER_TAKEOVER_S": str(_TAKEOVER_S),
            "WORKER_GOVERN_SWEEP_S": "0.5",
            "WORKER_ARCHIVE_URL": f"file://{self.folder}/archive",
            "WORKER_ARCHIVE_TEXT": "both",
            "WORKER_ARCHIVE_GRACE_S": "0",
            "WORKER_SEARCH_PATH": str(self.folder / "search"),
            "WORKER_SEARCH_TEXT": "both",
        }
        names = ["redact", "govern", "archive", *(["search"] if number == 0 else [])]
        argv = (sys.executable, "-m", "workers", *names)
        with (self.folder / "workers.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *argv, env=environment, stdout=log, stderr=log
            )
        self.running[number] = process

    async def restart_one(self) -> None:
        """Kill a process at random, and start it again."""
        number = random.choice(list(self.running))  # noqa: S311
        await self.kill(number)
        await self.start(number)

    async def kill(self, number: int) -> None:
        """Kill a process."""
        process = self.running.pop(number)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def workers(url: str, folder: Path, count: int) -> AsyncIterator[Workers]:
    """Run some worker processes."""
    made = Workers(url, folder)
    try:
        for number in range(count):
            await made.start(number)
        yield made
    finally:
        for number in list(made.running):
            await made.kill(number)


async def publish(url: str, call_ids: Sequence[str]) -> None:
    """Publish calls from their beginning to their end."""
    async with publisher_at(url) as publisher:
        for call_id in call_ids:
            writer = open_stream(publisher, call_id)
            writer.publish(started())
            for n in range(1, FINALS + 1):
                position = (80 * n, 80 * n + 80, FinalReason.PAUSE)
                writer.publish(
                    TranscriptFinal("inbound", "customer", n, 0, canary(call_id), *position)
                )
            writer.publish(StreamEnded(Status.COMPLETED, "", 80 * FINALS + 80, FINALS, 0))
            await asyncio.sleep(0)


def spool_again(folder: Path, call_ids: Sequence[str]) -> None:
    """Write events of calls to the spool of a gateway that crashed."""
    spool = Spool(folder, "here", 1 << 30, print, segment_bytes=2000)
    for call_id in call_ids:
        owner = ("default", "twilio")
        header = pack_stream("1", call_id, "MZ1", EPOCH, "g1", 30_000, 500, 9999, 500_000, *owner)
        event = pack_event(["transcript.final", "at", "text", canary(call_id)])
        assert spool.append(header, pack_batch(9, [event], ends_stream=False), 1)
    spool.close()


async def until_redacted(client: RedisClient, call_ids: Sequence[str]) -> None:
    """Wait until the redacted copies of calls have all events, each once."""
    numbers = [str(n) for n in range(1, FINALS + 3)]
    async with asyncio.timeout(_PATIENCE_S):
        for call_id in call_ids:
            key = f"{keys_of(call_id).call}:redacted"
            while [each["n"] for each in await entries(client, key)] != numbers:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def until_kept(folder: Path, call_ids: Sequence[str]) -> None:
    """Wait until the archive and the index have calls, in both kinds of text."""
    governance_of = kept_in(folder)
    async with asyncio.timeout(_PATIENCE_S):
        for store, count in governance_of:
            while await store.find(call_ids) < count * len(call_ids):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def kept_in(folder: Path) -> list[tuple[Store, int]]:
    """Return the stores on disk, and what they have of one call."""
    archive = ArchiveSettings(_env_file=None, url=f"file://{folder}/archive")
    search = SearchSettings(_env_file=None, path=folder / "search", text=Texts.BOTH)
    files = 5  # of a revision
    return [
        (ArchiveCalls([open_store(archive, text) for text in Text]), 2 * files),
        (SearchCalls(search, time.time), 2 * FINALS),
    ]


async def until_done(client: RedisClient, erased: Sequence[str]) -> None:
    """Wait until erasures are recorded and nothing is left to do."""
    ledger = governed(client).governance.ledger
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            known = dict([each async for each in ledger.all()])
            if set(erased) <= known.keys() and all(known[each].done for each in erased):
                return
            await asyncio.sleep(0.05)


def files_in(folder: Path) -> bytes:
    """Return what is in all files, except the older snapshot."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "older.rdb"]
    contents = (path.read_bytes() for path in files)
    return b"".join(gzip.decompress(each) if each[:2] == _GZIP else each for each in contents)


async def find(client: RedisClient, folder: Path, call_ids: Sequence[str]) -> list[str]:
    """Return those of the calls whose words are in a key of Redis or in a file."""
    content = await everything(client) + files_in(folder)
    return [call_id for call_id in call_ids if canary(call_id).encode() in content]


async def tell(
    folder: Path, calls: int, erased: int, kills: int, processes: int = 1, before: int = 0
) -> None:
    """Run the story; raise AssertionError if an erased call is found, or another one is not.

    Args:
        folder: for all files.
        calls: how many calls there are.
        erased: how many of them are erased.
        kills: how many processes are killed while calls are erased.
        processes: how many processes there are.
        before: how many of them are killed while calls are published.
    """
    call_ids = [f"CA{n:04d}" for n in range(calls)]
    gone = call_ids[:: max(1, calls // erased)][:erased]
    kept = [each for each in call_ids if each not in gone]
    data, port = folder / "data", free_port()
    with valkey(port, data_dir=data, rdbcompression="no") as url:
        async with client_of(url) as client, workers(url, folder, processes) as running:
            await publish(url, call_ids[: calls // 2])
            for _ in range(before):
                await running.restart_one()
            await publish(url, call_ids[calls // 2 :])
            await until_redacted(client, call_ids)
            await until_kept(folder, call_ids)
            await client.save()
            (snapshot,) = data.rglob("*.rdb")
            shutil.copy(snapshot, folder / "older.rdb")
            spool_again(folder / "spool", gone)
            assert set(await find(client, folder, gone)) == set(gone)
            await erase(client, running, gone, kills)
            metrics = Metrics()
            async with publisher_at(url, metrics=metrics, spool_dir=folder / "spool"):
                pass
            assert total(metrics, "redis_errors_total", reason="call-erased") == len(gone)
            await client.save()
            assert await find(client, folder, gone) == []
            assert await find(client, folder, kept) == kept
            await until_redacted(client, kept)
            await until_kept(folder, kept)
            for call_id in kept:
                assert len(await entries(client, keys_of(call_id).call)) == FINALS + 2
    await restore(folder, snapshot, port, gone, kept)


async def erase(client: RedisClient, running: Workers, gone: Sequence[str], kills: int) -> None:
    """Request the erasures, and kill workers while they carry them out."""
    for call_id in gone:
        outcome = await governed(client).governance.request(call_id, ANN, "her wish")
        assert outcome is Recorded.RECORDED
    for _ in range(kills):
        await asyncio.sleep(random.random())  # noqa: S311 - any moment
        await running.restart_one()
    await until_done(client, gone)


async def restore(
    folder: Path, snapshot: Path, port: int, gone: Sequence[str], kept: Sequence[str]
) -> None:
    """Restore the older snapshot, and let the workers find what came back."""
    shutil.copy(folder / "older.rdb", snapshot)
    with valkey(port, data_dir=folder / "data", rdbcompression="no") as url:
        async with client_of(url) as client:
            assert set(await find(client, folder, gone)) == set(gone)
            async with workers(url, folder, 1):
                await until_done(client, gone)
                await client.save()
                assert await find(client, folder, gone) == []
                assert await find(client, folder, kept) == list(kept)
            assert (await governed(client).governance.trail.verify())[1] == []


if __name__ == "__main__":
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="callscribe-governance-") as name:
        asyncio.run(tell(Path(name), *(int(each) for each in sys.argv[1:])))
    sys.stdout.write(f"told in {time.monotonic() - begin_s:.0f} s\n")
