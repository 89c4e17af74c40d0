"""`python -m workers wrapup`: killed in the middle, and without a server."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from common.settings import SettingsError
from gateway.redis_client.client import RedisClient, create_client
from tests.redis_servers import free_port
from tests.workers.wrapup.a_server import good, hanging, serving
from tests.workers.wrapup.calls import call_fields
from workers.settings import Settings as WorkerSettings
from workers.wrapup.assembly import wrapup
from workers.wrapup.settings import RouteRules, Settings

_PATIENCE_S = 60.0


@contextlib.asynccontextmanager
async def process(redis_url: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the worker."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WORKER_")},
        "WORKER_REDIS_URL": redis_url,
        "WORKER_TAKEOVER_S": "1",
        "WORKER_METRICS_PORT": str(free_port()),
        **{f"WORKER_WRAPUP_{name.upper()}": value for name, value in settings.items()},
    }
    command = (sys.executable, "-m", "workers", "wrapup")
    running = await asyncio.create_subprocess_exec(
        *command, env=env, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def joined(client: RedisClient) -> None:
    """Wait until a worker runs."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await client.zcard("cs:consumers:wrapup"):  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.01)


async def until(client: Any, key: str) -> list[Any]:
    """Return the entries of a stream as soon as it has some."""
    async with asyncio.timeout(_PATIENCE_S):
        while not (found := await client.xrange(key)):  # noqa: ASYNC110 - Redis sends no event
            await asyncio.sleep(0.02)
    return list(found)


@pytest.mark.timeout(150)
async def test_worker_that_is_killed_leaves_its_jobs_to_another(redis_url: str) -> None:
    async with (
        serving(lambda _: hanging) as server,
        contextlib.aclosing(create_client(redis_url)) as client,
    ):
        settings = {"url": server.url, "model": "m", "grace_s": "0"}
        async with process(redis_url, **settings) as first:
            await joined(client)
            for event in call_fields():
                fields: Any = event
                for key in ("cs:{p53}:call:CA1:redacted", "cs:{p53}:redacted"):
                    await client.xadd(key, fields)
            await server.until(1)
            first.kill()
            await first.wait()
        assert not await client.exists("cs:{p53}:redacted-wrapups")
        server.script = good
        async with process(redis_url, **settings) as second:
            assert len(await until(client, "cs:{p53}:redacted-wrapups")) == 1
            async with asyncio.timeout(_PATIENCE_S):
                while await client.exists("cs:{p53}:jobs:wrapup"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            second.terminate()
            assert await second.wait() == 0
        for key in ("cs:{p53}:call:CA1:redacted-wrapups", "cs:{p53}:redacted-wrapups"):
            assert await client.xlen(key) == 1
        assert len(server.requests) == 2


async def test_worker_without_a_url_reports_it_and_idles(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop, shared = asyncio.Event(), WorkerSettings(_env_file=None)
    async with contextlib.aclosing(create_client(redis_url)) as client:
        settings = Settings(_env_file=None)
        async with wrapup(settings, shared, client, CollectorRegistry()) as run:
            running = asyncio.create_task(run(stop))
            assert "wrapup-off WORKER_WRAPUP_URL is not set" in caplog.text
            done, _ = await asyncio.wait([running], timeout=0.1)
            assert not done
            assert not await client.exists("cs:consumers:wrapup")
            stop.set()
            await running


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": "http://h/v1"}, "needs WORKER_WRAPUP_MODEL"),
        ({"url": "ftp://h"}, "url"),
        ({"context_tokens": 4096, "answer_tokens": 4000}, "must exceed"),
        ({"routes": "{"}, "must be"),
        ({"routes": '{"a": {"disposition": []}}'}, "must be"),
    ],
)
def test_invalid_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(_env_file=None, **values)


def test_routes_override_the_settings() -> None:
    settings = Settings(
        _env_file=None,
        dispositions="sale, no sale",
        language="English",
        routes={"a": RouteRules(enabled=False), "b": RouteRules(dispositions=(), language="")},
    )
    assert settings.rules("a") is None
    assert settings.rules("b") == ((), "")
    assert settings.rules("") == (("sale", "no sale"), "English")


async def test_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "workers.wrapup.client", raising=False)
    settings = Settings(_env_file=None, url="http://h/v1", model="m")
    client: Any = None
    with pytest.raises(SettingsError, match=r"install callscribe\[wrapup\]"):
        async with wrapup(settings, WorkerSettings(_env_file=None), client, CollectorRegistry()):
            pass
