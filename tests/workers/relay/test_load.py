"""Two hundred viewers of forty calls: one reader of Redis, and events without delay."""

import asyncio
import contextlib
import time
from typing import Any, Final

from gateway.redis_client.client import create_client
from tests.workers.relay.a_relay import Calls, Viewer, running, viewer

_VIEWERS: Final = 200
_CALLS: Final = [f"CA{number}" for number in range(40)]
_ROUNDS: Final = 20
_MAX_DELAY_MS: Final = 500  # at the 99th percentile; measured: 30 ms


async def connections(client: Any) -> int:
    return len(await client.client_list())


async def delays(ann: Viewer, call: str) -> list[float]:
    """Follow a call to its end; return how long after its writing each event arrived, in ms."""
    async with ann.open(f"/api/calls/{call}/events") as feed:
        return [
            time.time() * 1000 - int(message.id.partition("-")[0])
            async for message in feed.messages()
            if message.id
        ]


async def test_many_viewers_have_one_reader_and_no_delay(redis_url: str) -> None:
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        running(redis_url) as relay,
        viewer(relay) as ann,
    ):
        calls = Calls(client)
        for call in _CALLS:
            await calls.start(call)
        async with asyncio.TaskGroup() as group:
            watching = [
                group.create_task(delays(ann, _CALLS[number % len(_CALLS)]))
                for number in range(_VIEWERS)
            ]
            while relay.metric("viewers", feed="call") < _VIEWERS:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # until their histories are sent
            before = await connections(client)
            for _ in range(_ROUNDS):
                for call in _CALLS:
                    await calls.say(call, " words")
                await asyncio.sleep(0.1)
            assert await connections(client) == before
            for call in _CALLS:
                await calls.end(call)
        live = [delay for task in watching for delay in task.result()[1:]]
    assert len(live) == _VIEWERS * (_ROUNDS + 1)
    p99 = sorted(live)[len(live) * 99 // 100]
    print(f"delay from Redis to the viewer: p99 {p99:.0f} ms")  # noqa: T201 - shown with -s
    assert p99 < _MAX_DELAY_MS
    assert before < 20
