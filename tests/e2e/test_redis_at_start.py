"""Startup of the gateway and the janitor without Redis, or with invalid Redis settings."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError, ClientSession

from tests.gateway.publishing.publisher_harness import client_of
from tests.redis_servers import free_port, valkey

LIMIT_S = 60.0
_MODULES = [("gateway",), ("workers", "janitor")]


def environment(redis_url: str, admin_port: int = 0) -> dict[str, str]:
    """Return the environment variables of both processes."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {
        "GATEWAY_PUBLIC_URL": "https://gw.example.com",
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_UPSTREAM": "websocket",
        "GATEWAY_REALTIME_URL": "ws://127.0.0.1:1/v1/realtime",
        "GATEWAY_PORT": "0",
        "GATEWAY_ADMIN_PORT": str(admin_port),
        "WORKER_REDIS_URL": redis_url,
        "WORKER_METRICS_PORT": "0",
    }


async def refused(module: tuple[str, ...], redis_url: str) -> str:
    """Run a process that must exit with 2; return its last line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module, env=environment(redis_url), stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, errors = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 2
    assert b"Traceback" not in output + errors
    return errors.decode().splitlines()[-1]


@contextlib.asynccontextmanager
async def readyz(redis_url: str) -> AsyncIterator[str]:
    """Run a gateway; yield the URL of its /readyz."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=environment(redis_url, port), stderr=DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}/readyz"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until(url: str, status: int, text: str) -> None:
    async with asyncio.timeout(LIMIT_S), ClientSession() as http:
        while True:
            with contextlib.suppress(ClientError):  # the gateway does not listen yet
                async with http.get(url) as answer:
                    if answer.status == status and text in await answer.text():
                        return
            await asyncio.sleep(0.05)


async def test_the_gateway_starts_without_redis_and_is_ready_once_redis_is_available() -> None:
    """Symptom: the gateway exited, although live calls continue without Redis."""
    port = free_port()
    async with readyz(f"redis://127.0.0.1:{port}") as url:
        await until(url, 503, "not ready: redis-unavailable")
        with valkey(port):
            await until(url, 200, "ok\n")
        await until(url, 200, "ok\ndegraded: redis-unavailable")


@pytest.mark.parametrize("module", _MODULES, ids=" ".join)
async def test_wrong_credentials_end_the_process_with_one_line(module: tuple[str, ...]) -> None:
    with valkey() as url:
        async with client_of(url) as client:
            await client.execute_command("CONFIG", "SET", "requirepass", "right")
        address = url.removeprefix("redis://")
        for wrong in (url, url.replace("//", "//:secret@")):
            line = await refused(module, wrong)
            name = " ".join(module)
            why = "refuses the connection: wrong user or password"
            assert line == f"{name}: Redis at {address} {why}"


@pytest.mark.parametrize("module", _MODULES, ids=" ".join)
@pytest.mark.parametrize("url", ["redis://:12/secret@h", "http://:secret@h", "redis://:secret@"])
async def test_a_malformed_url_ends_the_process_without_quoting_it(
    module: tuple[str, ...], url: str
) -> None:
    line = await refused(module, url)
    assert line.startswith(f"{' '.join(module)}: the Redis URL")
    assert "secret" not in line
    assert "12" not in line
