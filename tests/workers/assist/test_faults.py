"""Workers that are killed: the alerts are those of a worker that is not."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_of
from tests.workers.assist import scripts
from tests.workers.assist.scripts import script
from tests.workers.assist.test_cost import append
from tests.workers.assist.test_table import CANCEL, HEAR, NEVER
from tests.workers.assist.test_worker import Fixed, alerts, brief, commit, handler, keys
from workers.assist.load import compile_file
from workers.assist.worker import group
from workers.client import read_event, reading
from workers.client.ids import order
from workers.consumer import Received

_KILLS: Final = int(os.environ.get("ASSIST_KILLS", "6"))
_CALLS: Final = 12
_PATIENCE_S: Final = 40.0
_IDLE_S: Final = 1.5  # longer than a takeover; then all alerts were written
_SOON: Final = "id: soon, kind: required, role: agent, within_s: 0.3, phrases: [call is recorded]"
_AIR: Final = "id: air, kind: dead_air, longer_ms: 400"
_RAISED: Final = {"air", "cancel", "hear", "never", "soon"}
_LINES: Final = """
    A 0.1 hello this | C 0.2 cancel my account now => cancel my amount now
    A 0.5 I guarantee you | C 1.0 do you hear me do you hear me now
    end 0.5
"""


@contextlib.asynccontextmanager
async def zygote(url: str, rules: Path) -> AsyncIterator["Workers"]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.assist.zygote", url, str(rules)),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
    )
    workers = Workers(process)
    try:
        await workers.start()
        yield workers
    finally:
        workers.kill()
        process.kill()
        await process.wait()


class Workers:
    """One worker, which can be killed and replaced."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._worker = 0

    async def start(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(b"\n")
        self._worker = int(await self._process.stdout.readline())

    def kill(self) -> None:
        if self._worker:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._worker, signal.SIGKILL)

    async def replace(self) -> None:
        self.kill()
        await self.start()


async def killed_at_random(workers: Workers, client: RedisClient, calls: list[str]) -> set[int]:
    """Kill each worker soon after its first alert; return how many alerts there were then."""
    random = Random(11)  # noqa: S311 - reproducible
    counts = {0}
    for _ in range(_KILLS):
        count = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_S):
                while count in counts:
                    await asyncio.sleep(random.uniform(0.0, 0.1))
                    count = sum([len(await alerts(client, call)) for call in calls])
        counts.add(count)
        await workers.replace()
    return counts


async def undisturbed(client: RedisClient, call: str, rules: Any) -> list[dict[str, str]]:
    """Return the alerts of a worker that handles all events of a call."""
    await client.delete(f"{keys(call)[1]}:alerts")
    working = handler(client, rules, call)
    async for page in reading.pages(client, keys(call)[1]):
        for entry in page:
            received = Received(read_event(entry.id, entry.fields), entry.fields)
            await commit(client, await working.handle(received))
    return await alerts(client, call)


async def until_handled(client: RedisClient, call: str) -> None:
    """Wait until a worker has stored the position of the call's last event."""
    last = await reading.last_id(client, keys(call)[1])
    lease = group(64, 3600, 1).lease_key(partition_of(call, 64))
    async with asyncio.timeout(_PATIENCE_S):
        while order(reading.text(await client.hget(lease, "position") or b"0")) < order(last):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_alerts_are_those_of_a_worker_that_is_not_killed(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, ms in (("WORD_MS", 80), ("LATENCY_MS", 50), ("PAUSE_MS", 200)):
        monkeypatch.setattr(scripts, name, ms)
    path = tmp_path / "rules.yaml"
    listed = "\n".join(f"  - {{title: x, {rule}}}" for rule in (CANCEL, HEAR, NEVER, _SOON, _AIR))
    path.write_text(f"version: 1\ngrace_s: 0\nrules:\n{listed}\n", encoding="utf-8")
    rules = Fixed(compile_file(path.read_bytes()))
    calls = [f"CA{number}" for number in range(_CALLS)]
    events = [each for call in calls for each in script(_LINES, call=call)]
    events.sort(key=lambda each: each[0])
    client = create_client(redis_url)
    async with contextlib.aclosing(client), zygote(redis_url, path) as workers:
        killing = asyncio.create_task(killed_at_random(workers, client, calls))
        began_s = asyncio.get_running_loop().time()
        for at_ms, values in events:
            due_s = began_s + (at_ms - events[0][0]) / 1000
            await asyncio.sleep(due_s - asyncio.get_running_loop().time())
            await append(client, values)
        counts = await killing
        for call in calls:
            await until_handled(client, call)
        for call in calls:
            found = brief(await alerts(client, call))
            assert found == brief(await undisturbed(client, call, rules))
            assert {each[0].partition(":")[0] for each in found} == _RAISED
    assert len(counts) > 3, "too few workers were killed between alerts: the test shows nothing"
