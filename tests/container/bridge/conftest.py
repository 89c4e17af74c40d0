"""Fixtures: a bridge on a free port, in front of a scripted engine."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from container.bridge.app import Bridge
from container.bridge.settings import Settings
from tests.container.bridge.engine import ScriptedEngine


def bridge(
    engine_url: str, **changed: Any
) -> contextlib.AbstractAsyncContextManager[tuple[str, web.AppRunner]]:
    """Serve a new bridge; yield its URL and its runner."""
    return serving(Bridge(Settings(engine_url=engine_url, **changed)))


@contextlib.asynccontextmanager
async def serving(instance: Bridge) -> AsyncIterator[tuple[str, web.AppRunner]]:
    """Serve a bridge; yield its URL and its runner."""
    runner = web.AppRunner(instance.app(), shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        yield f"http://{host}:{port}", runner
    finally:
        await runner.cleanup()


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with ScriptedEngine().serving() as serving:
        yield serving
