"""Gateways share an endpoint's session slots through Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from aiohttp import ClientSession, WSServerHandshakeError

from common.settings import SettingsError
from gateway import app
from gateway.admission.capacity_store import pool_key
from gateway.settings import Settings
from tests.open_carriers import open_twilio
from tests.redis_servers import valkey

ROUTES = """
[endpoints.main]
url = "ws://127.0.0.1:1/v1/realtime"
sessions = 2

[[routes]]
name = "all"
endpoints = ["main"]
"""


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@contextlib.asynccontextmanager
async def gateway(redis_url: str, tmp_path: Path, **more: Any) -> AsyncIterator[str]:
    """Run a gateway; yield the URL of its media sockets."""
    routes = tmp_path / "routes.toml"
    routes.write_text(ROUTES)
    values: dict[str, Any] = {
        "public_url": "http://127.0.0.1",
        "port": 0,
        "admin_port": 0,
        "redis_url": redis_url,
        "routes_file": routes,
        "lease_s": 3,
        "spool_dir": tmp_path,
        "finish_timeout_s": 1,
    }
    settings = Settings(_env_file=None, **values | more)
    async with app.serve(settings, [open_twilio()]) as serving:
        yield f"ws://127.0.0.1:{serving.public}/media/twilio"


async def test_slots_held_by_one_gateway_are_refused_by_the_other(
    redis_url: str, tmp_path: Path, http: ClientSession
) -> None:
    async with (
        gateway(redis_url, tmp_path) as first,
        gateway(redis_url, tmp_path) as second,
        redis.asyncio.Redis.from_url(redis_url) as client,
    ):
        async with http.ws_connect(first):
            for url in (first, second):
                with pytest.raises(WSServerHandshakeError) as caught:
                    await http.ws_connect(url)
                assert caught.value.status == 503
        async with asyncio.timeout(20):
            while await client.zcard(pool_key("endpoint:main")):  # noqa: ASYNC110  # in Redis
                await asyncio.sleep(0.01)
        async with http.ws_connect(second):
            assert await client.zcard(pool_key("endpoint:main")) == 2
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.zcard(pool_key("endpoint:main")) == 0


async def test_without_redis_each_gateway_counts_its_own_slots(
    tmp_path: Path, http: ClientSession
) -> None:
    with contextlib.ExitStack() as server:
        url = server.enter_context(valkey())
        async with gateway(url, tmp_path) as media:
            server.close()
            async with http.ws_connect(media):
                with pytest.raises(WSServerHandshakeError) as caught:
                    await http.ws_connect(media)
                assert caught.value.status == 503  # by the gateway's own count


async def test_an_unreadable_routes_file_prevents_startup(redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        async with gateway(redis_url, tmp_path, routes_file=tmp_path / "none.toml"):
            pass
