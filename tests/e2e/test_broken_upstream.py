"""A gateway process whose upstream fails: its logs, metrics and shutdown."""

import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from aiohttp import web

from cli import events
from common.serving import listening
from common.version import version
from tests.e2e.test_drain import LIMIT_S, Call, Gateway, running
from tests.waiting import eventually

WITHOUT_CREDENTIALS = {
    "GATEWAY_UPSTREAM": "sagemaker",
    "GATEWAY_SAGEMAKER_ENDPOINT": "callscribe",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Log:
    """The log of a running process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        with self._path.open("wb") as file:
            yield file

    def lines(self, event: str) -> list[dict[str, Any]]:
        complete = self._path.read_text().rpartition("\n")[0]
        read = [json.loads(line) for line in complete.splitlines() if line.startswith("{")]
        return [line for line in read if line["event"] == event]


async def failing_call(gateway: Gateway, log: Log) -> Call:
    """Start a call, and wait until its sessions fail."""
    call = await gateway.call("CA1")
    await call.speak(1000)
    await eventually(lambda: bool(log.lines("upstream-failing")))
    return call


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "gateway.log")


async def test_missing_credentials_are_logged_and_counted(redis_url: str, log: Log) -> None:
    """Symptom: nothing was logged during a 44 s call or in the 43 s after it."""
    with log.opened() as file:
        async with running(redis_url, file, **WITHOUT_CREDENTIALS) as gateway:
            _ = await failing_call(gateway, log)
            failing = 'callscribe_endpoint_failing{endpoint="callscribe"} 1.0'
            await gateway.until("/metrics", lambda _, text: failing in text)
            status, text = await gateway.private("GET", "/readyz")
            assert (status, text) == (200, "ok\ndegraded: no-credentials (endpoint callscribe)\n")
            [started] = log.lines("gateway-started")
            assert (started["version"], started["carriers"]) == (version(), ["twilio"])
            assert (started["endpoints"], started["admin_api"]) == (["callscribe"], True)
            [line] = log.lines("upstream-failing")
            assert line["gateway"] == started["gateway"]
            assert (line["level"], line["endpoint"]) == ("warning", "callscribe")
            assert (line["reason"], line["fault"]) == ("no-credentials", "credentials")
            assert "AWS_ACCESS_KEY_ID" in line["hint"]


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
async def test_shutdown_is_prompt_and_publishes_the_end(
    redis_url: str, log: Log, signals: list[signal.Signals]
) -> None:
    """Symptom: Ctrl-C took a minute."""
    with log.opened() as file:
        async with running(redis_url, file, **WITHOUT_CREDENTIALS) as gateway:
            call = await failing_call(gateway, log)
            began_s = time.monotonic()
            for number in signals:
                gateway.process.send_signal(number)
                await gateway.until_draining()
            assert await call.closed() == 1012
            assert await gateway.exit_code() == 0
            assert time.monotonic() - began_s < LIMIT_S  # half of GATEWAY_FINISH_TIMEOUT_S
    async with events.connect(redis_url) as redis:
        seen = await events.until_ended(redis, "CA1", idle_s=LIMIT_S)
    assert (seen[-1]["status"], seen[-1]["reason"]) == ("drained", "draining")


@asynccontextmanager
async def silent_model() -> AsyncIterator[str]:
    """Serve a model that starts sessions and never replies; yield its URL."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "session.created", "id": "sess-0", "created": 0})
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", serve)
    async with listening(app, "127.0.0.1", 0) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def test_a_second_ctrl_c_ends_the_process_at_once(redis_url: str) -> None:
    """Symptom: the second one had no effect while the first waited for a silent model."""
    names = ("MUTE_TIMEOUT_S", "DONE_TIMEOUT_S", "FINISH_TIMEOUT_S")
    long_s = {f"GATEWAY_{name}": "1000" for name in names}
    async with (
        silent_model() as url,
        running(redis_url, None, GATEWAY_REALTIME_URL=url, **long_s) as here,
    ):
        call = await here.call("CA1")
        await call.speak(500)
        await here.until("/calls/CA1", lambda _, text: '"state":"live"' in text)
        here.process.send_signal(signal.SIGINT)
        await here.until_draining()
        here.process.send_signal(signal.SIGINT)
        assert await here.exit_code() == 0
    async with events.connect(redis_url) as redis:
        seen = await events.until_ended(redis, "CA1", idle_s=LIMIT_S)
    assert (seen[-1]["status"], seen[-1]["reason"]) == ("drained", "draining")
