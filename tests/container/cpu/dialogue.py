"""Helpers: an engine on a real socket, and a client of its Realtime API."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pybase64
from aiohttp import web

from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine
from container.cpu.settings import ModelName, Settings

MODEL = "mistralai/Voxtral-Mini-4B-Realtime-2602"
TIMEOUT_S = 20.0


class Dialogue:
    """The client's side of one Realtime connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, kind: str, **fields: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def update(self, model: str = MODEL) -> None:
        await self.send("session.update", model=model)

    async def append(self, pcm: bytes) -> None:
        audio = pybase64.b64encode(pcm).decode()
        await self.send("input_audio_buffer.append", audio=audio)

    async def commit(self, *, final: bool = False) -> None:
        await self.send("input_audio_buffer.commit", final=final)

    async def receive(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=TIMEOUT_S))
        return reply

    async def deltas(self, count: int) -> list[str]:
        """Receive exactly `count` deltas."""
        replies = [await self.receive() for _ in range(count)]
        assert {reply["type"] for reply in replies} <= {"transcription.delta"}
        return [reply["delta"] for reply in replies]

    async def until_done(self) -> tuple[list[str], dict[str, Any]]:
        """Receive deltas until `done`; return both."""
        deltas = []
        while (reply := await self.receive())["type"] == "transcription.delta":
            deltas.append(reply["delta"])
        assert reply["type"] == "transcription.done"
        return deltas, reply

    async def nothing_is_pending(self) -> None:
        """Assert that no message is pending: the next one is the error for an unknown event."""
        await self.send("are.you.there")
        assert await self.receive() == {
            "type": "error",
            "error": "Unknown event type: are.you.there",
            "code": "unknown_event",
        }

    async def closed(self) -> int | None:
        """Wait until the connection is closed; return the close code."""
        message = await self.socket.receive(timeout=TIMEOUT_S)
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        return self.socket.close_code


@asynccontextmanager
async def dialogue(url: str, **options: Any) -> AsyncIterator[Dialogue]:
    """Open a connection and receive `session.created`."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(url, max_msg_size=0, **options) as socket,
    ):
        opened = Dialogue(socket)
        created = await opened.receive()
        assert created["type"] == "session.created"
        yield opened


@asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[str]:
    """Serve an engine on a free port; yield the URL of its API."""
    runner = web.AppRunner(engine.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/realtime"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def checksum_engine(**settings: Any) -> AsyncIterator[str]:
    """Serve an engine that outputs checksums; yield the URL of its API."""
    engine = Engine(
        Settings(model=ModelName.CHECKSUM, **settings), lambda _on_failed: ChecksumTranscriber()
    )
    async with serving(engine) as url:
        yield url
