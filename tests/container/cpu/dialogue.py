"""Helpers: an engine on a real socket, and a connection to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from cli.conform.dialogue import Dialogue
from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine
from container.cpu.settings import ModelName, Settings

MODEL = "mistralai/Voxtral-Mini-4B-Realtime-2602"
TIMEOUT_S = 20.0


@asynccontextmanager
async def dialogue(url: str, **options: Any) -> AsyncIterator[Dialogue]:
    """Open a connection and receive `session.created`."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(url, max_msg_size=0, **options) as socket,
    ):
        opened = Dialogue(socket, TIMEOUT_S)
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
