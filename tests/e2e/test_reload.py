"""SIGHUP makes a real gateway reload changed secrets and routes while calls continue."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from deploy.local.processes import answers
from gateway.carriers.auth.signatures.twilio import sign
from tests.container.cpu.dialogue import checksum_engine
from tests.e2e import test_drain as drain
from tests.redis_servers import free_port

LIMIT_S = 30.0
OLD, NEW = "the-token-of-last-year", "the-token-of-this-year"
SECRET, NEW_SECRET = "last-year-s-secret-of-ours", "this-year-s-secret-of-ours"
PUBLIC_URL = "https://gw.example.com"
FORM = {"CallSid": "CA1", "From": "+15550000001"}


class Gateway:
    """A gateway process with the carriers' secrets in files, and its log lines."""

    def __init__(self, process: Process, port: int, http: ClientSession, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = http
        self.folder = folder
        self._process = process
        self.lines: list[str] = []

    def write(self, **secrets: str) -> None:
        write(self.folder, **secrets)

    async def reload(self) -> dict[str, Any]:
        """Send SIGHUP; return the log line with the result."""
        self._process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(LIMIT_S):
            while True:
                assert self._process.stderr
                line = (await self._process.stderr.readline()).decode()
                assert line, "the gateway has exited"
                self.lines.append(line)
                event: dict[str, Any] = json.loads(line)
                if event["event"].startswith("settings-reload"):
                    return event

    async def ring(self, token: str) -> int:
        """Send Twilio's webhook for a call; return the status."""
        signature = sign(token, f"{PUBLIC_URL}/voice/twilio", FORM.items())
        headers = {"X-Twilio-Signature": signature}
        async with self.http.post(f"{self.url}/voice/twilio", data=FORM, headers=headers) as reply:
            return reply.status

    async def upgrade(self, secret: str, route: str = "") -> int:
        """Open and close a browser's media socket with a secret; return the status."""
        headers = {"Authorization": f"Bearer {secret}"}
        try:
            async with self.http.ws_connect(f"{self.url}/media/browser{route}", headers=headers):
                return 101
        except Exception as error:  # noqa: BLE001 - for a refused upgrade, it has a status
            return int(getattr(error, "status", 0))


def write(folder: Path, **secrets: str) -> None:
    """Write each secret to a file."""
    for name, value in secrets.items():
        (folder / f"GATEWAY_{name}").write_text(value + "\n")


@asynccontextmanager
async def running(redis_url: str, tmp_path: Path, **settings: str) -> AsyncIterator[Gateway]:
    folder = tmp_path / "secrets"
    folder.mkdir()
    port, admin = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "GATEWAY_PUBLIC_URL": PUBLIC_URL,
        "GATEWAY_UPSTREAM": "websocket",
        "GATEWAY_REALTIME_URL": "ws://127.0.0.1:1/v1/realtime",
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_SPOOL_DIR": str(tmp_path / "spool"),
        "GATEWAY_PORT": str(port),
        "GATEWAY_ADMIN_PORT": str(admin),
        "GATEWAY_DRAIN_TIMEOUT_S": "0",
        "GATEWAY_FINISH_TIMEOUT_S": "0.5",  # there is no model
        "GATEWAY_SECRETS_DIR": str(folder),
        "GATEWAY_TWILIO_DIAL": "+15550001111",
        **settings,
    }
    async with ClientSession() as http:
        write(folder, TWILIO_AUTH_TOKEN=OLD, BROWSER_SECRET=SECRET)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway"), cwd=tmp_path, env=environment, stderr=PIPE
        )
        gateway = Gateway(process, port, http, folder)
        try:
            ready = answers("127.0.0.1", admin, "/readyz")
            async with asyncio.timeout(LIMIT_S):
                while not await ready():
                    assert process.returncode is None
                    await asyncio.sleep(0.02)
            yield gateway
        finally:
            process.terminate()
            _, output = await process.communicate()
            gateway.lines.append(output.decode())


async def test_a_new_secret_is_accepted_and_the_old_one_refused(
    redis_url: str, tmp_path: Path
) -> None:
    """Symptom: changing a secret required a restart, which ends or drains live calls."""
    async with running(redis_url, tmp_path) as gateway:
        assert [await gateway.ring(OLD), await gateway.ring(NEW)] == [200, 403]
        headers = {"Authorization": f"Bearer {SECRET}"}
        live = await gateway.http.ws_connect(f"{gateway.url}/media/browser", headers=headers)
        start = {"type": "start", "call_id": "c1", "stream_id": "s1", "rate": 16000}
        await live.send_str(json.dumps(start))

        gateway.write(TWILIO_AUTH_TOKEN=NEW)
        line = await gateway.reload()
        assert (line["event"], line["carriers"]) == ("settings-reloaded", ["twilio"])
        assert [await gateway.ring(OLD), await gateway.ring(NEW)] == [403, 200]

        gateway.write(TWILIO_AUTH_TOKEN=f"{OLD},{NEW}", BROWSER_SECRET=NEW_SECRET)
        assert (await gateway.reload())["carriers"] == ["twilio", "browser"]
        assert [await gateway.ring(OLD), await gateway.ring(NEW)] == [200, 200]
        assert [await gateway.upgrade(SECRET), await gateway.upgrade(NEW_SECRET)] == [403, 101]

        await live.send_bytes(bytes(3200))
        await live.send_str('{"type": "stop"}')
        await asyncio.wait_for(live.receive(), LIMIT_S)
        assert live.close_code == 1000
    log = "".join(gateway.lines)
    assert not any(secret in log for secret in (OLD, NEW, SECRET, NEW_SECRET))


ROUTES = """
[endpoints.blue]
url = "{blue}"
drain = {drain}

[endpoints.green]
url = "{green}"

[[routes]]
name = "{route}"
endpoints = ["blue", "green"]
spread = "in-order"
"""


async def test_draining_an_endpoint_moves_live_calls_and_new_ones(
    redis_url: str, tmp_path: Path
) -> None:
    """Moving calls to another endpoint required a restart of all gateways. No word is lost."""
    file = tmp_path / "routes.toml"
    async with checksum_engine() as blue, checksum_engine() as green:
        urls = {"blue": blue.replace("http", "ws"), "green": green.replace("http", "ws")}
        file.write_text(ROUTES.format(**urls, drain="false", route="old"))
        async with drain.running(
            redis_url,
            GATEWAY_ROUTES_FILE=str(file),
            GATEWAY_ROLLOVER_SOFT_S="0.5",
            GATEWAY_ROLLOVER_HARD_S="1.5",
        ) as gateway:

            async def slots(endpoint: str) -> str:
                """Return the value of a metric as text."""
                _, metrics = await gateway.private("GET", "/metrics")
                name = f'callscribe_places_held{{endpoint="{endpoint}"}} '
                return metrics.partition(name)[2].partition("\n")[0]

            call = await gateway.call("CA1")
            await call.speak(400)
            assert (await slots("blue"), await slots("green")) == ("1.0", "0.0")

            file.write_text(ROUTES.format(**urls, drain="true", route="new"))
            gateway.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(LIMIT_S):
                while await slots("blue") != "0.0":
                    await call.speak(100)
                    await asyncio.sleep(0.1)
            assert await slots("green") == "1.0"
            second = await gateway.call("CA2")
            assert await slots("blue") == "0.0"
            assert float(await slots("green")) > 1
            await second.send("stop")
            await call.send("stop")
            assert await call.closed() == 1000
            transcript = await drain.record(redis_url, call)
    assert (transcript.status, transcript.reason) == ("completed", "carrier-stopped")


async def test_an_invalid_routes_file_changes_nothing(redis_url: str, tmp_path: Path) -> None:
    """The carriers' settings of the same reload don't take effect either."""
    file, urls = tmp_path / "routes.toml", {"blue": "ws://127.0.0.1:1", "green": "ws://127.0.0.1:2"}
    file.write_text(ROUTES.format(**urls, drain="false", route="old"))
    async with running(redis_url, tmp_path, GATEWAY_ROUTES_FILE=str(file)) as gateway:
        for text, problem in (
            ("[endpoints", f"routes file {file} is not valid TOML: "),
            (
                ROUTES.format(blue="ws://127.0.0.1:3", green="ws://x", drain="false", route="new"),
                "endpoint blue: give it another name, or restart the gateway, to change its ",
            ),
        ):
            file.write_text(text)
            gateway.write(TWILIO_AUTH_TOKEN=NEW)
            line = await gateway.reload()
            assert line["event"] == "settings-reload-failed"
            assert line["problem"].startswith(problem)
            assert [await gateway.ring(OLD), await gateway.ring(NEW)] == [200, 403]
            assert await gateway.upgrade(SECRET, "/new") == 404
            assert await gateway.upgrade(SECRET, "/old") == 101

        file.write_text(ROUTES.format(**urls, drain="true", route="new"))
        assert (await gateway.reload())["event"] == "settings-reloaded"
        assert [await gateway.ring(OLD), await gateway.ring(NEW)] == [403, 200]
        assert await gateway.upgrade(SECRET, "/new") == 101
        assert await gateway.upgrade(SECRET, "/old") == 404


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"BROWSER_SECRET": "short"}, "GATEWAY_BROWSER_SECRET: must have at least 16 characters"),
        (
            {"TWILIO_AUTH_TOKN": "x"},
            "unknown: GATEWAY_TWILIO_AUTH_TOKN (did you mean GATEWAY_TWILIO_AUTH_TOKEN?)",
        ),
        (
            {"BANDWIDTH_SECRET": SECRET},
            "bandwidth: restart the gateway to enable or disable a carrier or its webhook",
        ),
    ],
)
async def test_an_invalid_setting_changes_nothing(
    redis_url: str, tmp_path: Path, wrong: dict[str, str], problem: str
) -> None:
    """One log line reports the problem, and all previous secrets stay valid."""
    async with running(redis_url, tmp_path) as gateway:
        gateway.write(TWILIO_AUTH_TOKEN=NEW, **wrong)
        line = await gateway.reload()
        assert (line["event"], line["level"]) == ("settings-reload-failed", "error")
        assert line["problem"] == problem
        assert [await gateway.ring(OLD), await gateway.ring(NEW)] == [200, 403]
        assert await gateway.upgrade(SECRET) == 101
