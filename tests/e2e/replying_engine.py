"""A model server for tests that replies to each append with a given message."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from common.serving import listening


@asynccontextmanager
async def engine(
    reply_of: Callable[[int], str], *, done_after_s: float = 0.0
) -> AsyncIterator[str]:
    """Serve it; yield its URL.

    Args:
        reply_of: returns the reply to each append of a session; sessions are numbered from 1.
        done_after_s: from the final commit to `done`.
    """
    sessions = 0

    async def realtime(request: web.Request) -> web.WebSocketResponse:
        nonlocal sessions
        sessions += 1
        reply = reply_of(sessions)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"type":"session.created","id":"sess-0","created":0}')
        async for message in socket:
            event = json.loads(message.data)
            if event["type"].endswith("append"):
                await socket.send_str(reply)
            elif event.get("final"):
                await asyncio.sleep(done_after_s)
                await socket.send_str('{"type":"transcription.done","text":"","usage":{}}')
        return socket

    application = web.Application()
    application.router.add_get("/v1/realtime", realtime)
    async with listening(application, "127.0.0.1", 0) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"
