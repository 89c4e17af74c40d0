"""Workers that are killed: each message at least once, in order per call, and a true history."""

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any, Final

from aiohttp import web

from gateway.redis_client.client import create_client
from tests.redis_servers import free_port, valkey
from tests.waiting import eventually
from tests.workers.push.pushing import (
    ended,
    final,
    history,
    running,
    started,
    write,
    write_file,
)
from tests.workers.push.receiver import Receiver, Request, accept, receiving, status
from workers.push.history import Attempt

_KILLS: Final = int(os.environ.get("PUSH_KILLS", "8"))
_CALLS: Final = 6
_PATIENCE_S: Final = 40.0


def moody(random: Random) -> Any:
    """Return a script of a receiver that accepts, refuses, and responds late, too late or never."""

    async def respond(request: Request) -> web.StreamResponse:
        mood = random.random()
        if mood < 0.15:
            return await status(503)(request)
        if mood < 0.25:
            await asyncio.sleep(0.6)  # longer than an attempt may last
        elif mood < 0.5:
            await asyncio.sleep(0.05)  # so that workers are killed meanwhile
        return await accept(request)

    return respond


class Workers:
    """One worker, which can be killed and replaced."""

    def __init__(self, zygote: asyncio.subprocess.Process) -> None:
        self._zygote = zygote
        self._worker = 0

    async def start(self) -> None:
        assert self._zygote.stdin
        assert self._zygote.stdout
        self._zygote.stdin.write(b"\n")
        self._worker = int(await self._zygote.stdout.readline())

    async def replace(self) -> None:
        os.kill(self._worker, signal.SIGKILL)
        await self.start()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._worker, signal.SIGKILL)


@contextlib.asynccontextmanager
async def working(url: str, path: Path) -> AsyncIterator[Workers]:
    pipe = asyncio.subprocess.PIPE
    zygote = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.push.zygote", url, str(path), "w1"),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
    )
    workers = Workers(zygote)
    await workers.start()
    try:
        yield workers
    finally:
        workers.kill()
        zygote.kill()
        await zygote.wait()


def check_order(receiver: Receiver, calls: dict[str, int]) -> None:
    """Check that each message came at least once, and none after a later one of its call."""
    for call, count in calls.items():
        bodies = [each.message for each in receiver.of(call)]
        numbers = [each["data"].get("n", math.inf) for each in bodies]
        assert numbers == sorted(numbers)
        assert set(numbers) == {*range(2, count + 2), math.inf}
        assert {each["type"] for each in bodies} == {"transcript.final", "call.ended"}


def check_history(receiver: Receiver, tried: list[Attempt]) -> None:
    """Check that the history is what the receiver saw."""
    begun = {(each.message, each.number): each for each in tried}
    assert len(begun) == len(tried)
    seen = {(each.id, each.attempt) for each in receiver.requests}
    assert len(seen) == len(receiver.requests)  # no attempt has two requests
    assert seen <= begun.keys()
    for key, each in begun.items():
        if each.status:
            assert key in seen
            assert receiver.statuses[key] == int(each.status)
        elif each.step:
            assert each.reason in ("timeout", "connect-refused", "connection-lost"), each


async def test_worker_killed_again_and_again(redis_url: str, tmp_path: Path) -> None:
    random = Random(7)  # noqa: S311 - reproducible
    async with receiving(moody(random)) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        client = create_client(redis_url)
        async with contextlib.aclosing(client), working(redis_url, path) as workers:
            # The first events must not be older than the worker.
            async with asyncio.timeout(_PATIENCE_S):
                while not await client.exists("cs:consumers:push-events"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            calls = {f"CA{number}": 2 * _KILLS for number in range(_CALLS)}
            for call in calls:
                await write(client, started(call))
            for kill in range(_KILLS):
                for call in calls:
                    for n in (2 * kill + 2, 2 * kill + 3):
                        await write(client, final(call, n))
                await asyncio.sleep(random.uniform(0.02, 0.35))
                await workers.replace()
            for call, count in calls.items():
                await write(client, ended(call, count + 2))
            async with asyncio.timeout(_PATIENCE_S):
                while len({each.id for each in receiver.requests}) < _CALLS * (2 * _KILLS + 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                while await client.keys("cs:*:push:queue:*"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            tried = await history(client, "crm")
        check_order(receiver, calls)
        check_history(receiver, tried)
        delivered = {each.message for each in tried if each.step == "delivered"}
        assert delivered == {each.id for each in receiver.requests}
        without_end = [each for each in tried if not each.step]
        assert without_end, "no worker was killed during an attempt: the test shows nothing"


async def test_messages_wait_while_redis_is_unavailable(tmp_path: Path) -> None:
    """The server is restarted while an attempt is made, and while messages wait."""
    port = free_port()
    (tmp_path / "data").mkdir()
    trying = asyncio.Event()

    async def respond(request: Request) -> web.StreamResponse:
        if not trying.is_set():
            trying.set()
            await asyncio.sleep(0.2)  # so that its end can't be written at once
        return await accept(request)

    def server() -> contextlib.AbstractContextManager[str]:
        return valkey(port, data_dir=tmp_path / "data", appendonly="yes", appendfsync="always")

    async with receiving(respond) as receiver:
        path = write_file(tmp_path, {"crm": {"url": receiver.url}})
        with contextlib.ExitStack() as stack:
            url = stack.enter_context(server())
            async with running(url, path, timeout_s=1) as client:
                for n in (2, 3):
                    await write(client, final("CA1", n))
                await trying.wait()
                stack.close()
                await asyncio.sleep(0.3)
                stack.enter_context(server())
                await write(client, final("CA1", 4))
                await eventually(lambda: {*numbers(receiver)} == {2, 3, 4})
                found = await history(client, "crm")
    assert numbers(receiver) == sorted(numbers(receiver))
    check_history(receiver, found)


def numbers(receiver: Receiver) -> list[int]:
    return [each.message["data"]["n"] for each in receiver.requests]
