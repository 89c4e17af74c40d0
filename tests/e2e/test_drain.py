"""Shutdown of a gateway process: live calls, refused calls, pending words and exit codes.

The tests use real processes and signals. The model is the checksum engine, so that every word
proves which audio was received.
"""

import asyncio
import base64
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from cli import audit, events
from deploy.local.processes import answers
from tests.container.cpu.dialogue import checksum_engine
from tests.redis_servers import free_port
from workers.client import CallTranscript, read_event

LIMIT_S = 30.0
HOST = "127.0.0.1"
TOKEN = "operator-0123456789abcdef"
SCOPES = ["read", "terminate", "drain"]
FRAME_BYTES = 160  # 20 ms of mu-law


class Gateway:
    """A gateway process and its URLs."""

    def __init__(self, process: Process, public: int, admin: int, http: ClientSession) -> None:
        self.process = process
        self.public_port = public
        self.public_url = f"http://{HOST}:{public}"
        self.admin_url = f"http://{HOST}:{admin}"
        self.http = http

    async def private(self, method: str, path: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.request(method, self.admin_url + path, headers=headers) as response:
            return response.status, await response.text()

    async def until(self, path: str, holds: Callable[[int, str], bool]) -> str:
        """Poll a path until the response meets the condition; return its body."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                status, text = await self.private("GET", path)
                if holds(status, text):
                    return text
                await asyncio.sleep(0.01)

    async def until_draining(self) -> None:
        await self.until(
            "/readyz", lambda status, text: (status, text) == (503, "not ready: draining\n")
        )

    async def until_received(self, call: "Call") -> None:
        """Wait until the gateway has received all audio of a call."""

        def all_there(_: int, text: str) -> bool:
            durations = [live["duration_ms"] for live in json.loads(text)["calls"]]
            return durations == [len(call.audio) // 8]

        await self.until("/calls", all_there)

    async def call(self, call_sid: str, stream_sid: str = "MZ1", track: str = "inbound") -> "Call":
        socket = await self.http.ws_connect(self.public_url + "/media/twilio")
        call = Call(call_sid, socket)
        start = {"callSid": call_sid, "streamSid": stream_sid, "tracks": [track]}
        await call.send("start", start=start)
        return call

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), LIMIT_S)


class Call:
    """The carrier's side of a call, which sends noise."""

    def __init__(self, call_sid: str, socket: ClientWebSocketResponse) -> None:
        self.call_sid = call_sid
        self.audio = b""
        self._socket = socket

    async def send(self, event: str, **fields: object) -> None:
        await self._socket.send_str(json.dumps({"event": event, **fields}))

    async def speak(self, milliseconds: int) -> None:
        more = audit.noise(len(self.audio), milliseconds)
        for at in range(0, len(more), FRAME_BYTES):
            payload = base64.b64encode(more[at : at + FRAME_BYTES]).decode()
            timestamp = str((len(self.audio) + at) // 8)
            await self.send("media", media={"payload": payload, "timestamp": timestamp})
        self.audio += more

    async def closed(self) -> int | None:
        message = await asyncio.wait_for(self._socket.receive(), LIMIT_S)
        assert message.type is WSMsgType.CLOSE
        return self._socket.close_code


async def record(redis_url: str, call: Call) -> CallTranscript:
    """Read a call's events until it ends; assert that all its audio is transcribed."""
    async with events.connect(redis_url) as redis:
        seen = await events.until_ended(redis, call.call_sid, idle_s=LIMIT_S)
    length_ms = len(call.audio) // 8
    assert audit.account(seen, {"inbound": call.audio}) == audit.Account(length_ms, length_ms)
    transcript = CallTranscript(call.call_sid)
    for event in seen:
        transcript.apply(read_event("0-0", event))
    return transcript


def environment(redis_url: str, **settings: str) -> Mapping[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    defaults = {
        "GATEWAY_PUBLIC_URL": "https://gw.example.com",
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_UPSTREAM": "websocket",
        "GATEWAY_REALTIME_URL": "ws://127.0.0.1:1/v1/realtime",
        "GATEWAY_TWILIO_IGNORE_SIGNATURES": "true",
        "GATEWAY_TWILIO_DIAL": "+15550100002",
        "GATEWAY_ADMIN_TOKENS": json.dumps({"ops": {"token": TOKEN, "scopes": SCOPES}}),
    }
    return {**others, **defaults, **settings}


@asynccontextmanager
async def running(
    redis_url: str, log: IO[bytes] | None = None, **settings: str
) -> AsyncIterator[Gateway]:
    """Run a gateway process with a checksum engine; kill it if it still runs at the end."""
    public, admin = free_port(), free_port()
    ports = {"GATEWAY_PORT": str(public), "GATEWAY_ADMIN_PORT": str(admin)}
    async with checksum_engine() as url, ClientSession() as http:
        model = {"GATEWAY_REALTIME_URL": url.replace("http", "ws", 1)}
        env = environment(redis_url, **{**model, **ports, **settings})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", env=env, stderr=log
        )
        try:
            ready = answers(HOST, admin, "/readyz")
            async with asyncio.timeout(LIMIT_S):
                while not await ready():
                    assert process.returncode is None
                    await asyncio.sleep(0.02)
            yield Gateway(process, public, admin, http)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_sigterm_refuses_new_calls_and_exits_after_the_last_live_call(
    redis_url: str,
) -> None:
    async with running(redis_url) as gateway:
        call = await gateway.call("CA1")
        await call.speak(400)
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.until_draining()

        with pytest.raises(WSServerHandshakeError) as refused:
            await gateway.call("CA2")
        assert refused.value.status == 503
        form = {"CallSid": "CA3"}
        async with gateway.http.post(gateway.public_url + "/voice/twilio", data=form) as webhook:
            assert webhook.status == 503
        status, metrics = await gateway.private("GET", "/metrics")
        assert status == 200
        assert 'refused_requests_total{carrier="twilio",reason="draining"} 2.0' in metrics

        await call.speak(400)
        await call.send("stop")
        assert await call.closed() == 1000
        assert await gateway.exit_code() == 0
    transcript = await record(redis_url, call)
    assert (transcript.status, transcript.reason) == ("completed", "carrier-stopped")


@pytest.mark.parametrize(
    ("drain_timeout_s", "signals"),
    [
        pytest.param("0.2", [signal.SIGTERM], id="deadline"),
        pytest.param("1800", [signal.SIGTERM, signal.SIGTERM], id="second-sigterm"),
        pytest.param("1800", [signal.SIGINT], id="sigint"),
    ],
)
async def test_calls_that_are_ended_lose_no_words(
    redis_url: str, drain_timeout_s: str, signals: Sequence[signal.Signals]
) -> None:
    async with running(redis_url, GATEWAY_DRAIN_TIMEOUT_S=drain_timeout_s) as gateway:
        call = await gateway.call("CA1")
        await call.speak(500)
        await gateway.until_received(call)
        first, *others = signals
        gateway.process.send_signal(first)
        for number in others:
            await gateway.until_draining()  # a signal that is still pending is not queued twice
            gateway.process.send_signal(number)
        assert await call.closed() == 1012
        assert await gateway.exit_code() == 0
    transcript = await record(redis_url, call)
    assert (transcript.status, transcript.reason) == ("drained", "draining")
    assert transcript.duration_ms == 500
    assert transcript.gap_ms == 0


async def test_sigterm_after_a_drain_request_does_not_end_live_calls(
    redis_url: str,
) -> None:
    """Symptom: after POST /drain the first SIGTERM ended the live calls."""
    async with running(redis_url) as gateway:
        call = await gateway.call("CA1")
        await call.speak(400)
        assert (await gateway.private("POST", "/drain"))[0] == 202
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.until_draining()
        await call.speak(400)
        await gateway.until_received(call)
        await call.send("stop")
        assert await call.closed() == 1000
        assert await gateway.exit_code() == 0
    transcript = await record(redis_url, call)
    assert (transcript.status, transcript.reason) == ("completed", "carrier-stopped")


async def test_the_admin_api_shows_and_ends_a_call_and_drains(redis_url: str) -> None:
    async with running(redis_url) as gateway:
        call = await gateway.call("CA1")
        await call.speak(1000)
        await gateway.until_received(call)
        _, text = await gateway.private("GET", "/calls")
        (summary,) = json.loads(text)["calls"]
        assert (summary["call_id"], summary["state"], summary["tracks"]) == (
            "CA1",
            "live",
            ["inbound"],
        )
        details = await gateway.until(
            "/calls/CA1", lambda _, text: '"first_partial_s":null' not in text
        )
        track = json.loads(details)["streams"][0]["tracks"][0]
        assert track["role"] == "customer"
        assert track["first_audio_s"] >= 0
        assert track["first_partial_s"] >= track["first_audio_s"]
        assert (track["reconnects"], track["gap_ms"]) == (0, 0)

        assert (await gateway.private("DELETE", "/calls/CA1"))[0] == 202
        assert await call.closed() == 1000
        await gateway.until("/calls/CA1", lambda status, _: status == 404)
        assert await gateway.private("GET", "/readyz") == (200, "ok\n")
        assert (await gateway.private("POST", "/drain"))[0] == 202
        assert await gateway.exit_code() == 0
    transcript = await record(redis_url, call)
    assert (transcript.status, transcript.reason) == ("completed", "terminated")


async def test_without_tokens_there_is_no_admin_api(redis_url: str) -> None:
    async with running(redis_url, GATEWAY_ADMIN_TOKENS="") as gateway:
        for method, path in (("GET", "/calls"), ("DELETE", "/calls/CA1"), ("POST", "/drain")):
            assert (await gateway.private(method, path))[0] == 404
        status, metrics = await gateway.private("GET", "/metrics")
        assert status == 200
        for name in ("process_resident_memory_bytes", "process_open_fds", "callscribe_tasks"):
            assert f"\n{name} " in metrics
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.exit_code() == 0


async def test_invalid_admin_tokens_prevent_startup(redis_url: str) -> None:
    env = environment(redis_url, GATEWAY_ADMIN_TOKENS='{"ops": "hush-0123456789abcdef"}')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=env, stderr=PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    line = errors.decode().splitlines()[-1]
    assert line.startswith("gateway: GATEWAY_ADMIN_TOKENS: must be {")
    assert b"hush" not in errors
