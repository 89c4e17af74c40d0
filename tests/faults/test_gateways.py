"""Calls of gateways that are killed, suspended, replaced or restarted under load."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from cli.audit import account
from cli.callers.call import Call
from deploy.local.processes import Part, RunningPart, answers
from tests.faults.caller import TRACK, Caller
from tests.faults.calls import WHOLE, account_of, end_of, events_of, new_call, until_idle
from tests.faults.stack import HOST, Link, Stack, running_stack, set_credentials
from tests.redis_servers import free_port

LEASE_S: Final = 2
LIMIT_S: Final = 60.0


@dataclass
class GatewayProcess:
    """A real gateway process and its public port."""

    running: RunningPart
    port: int

    async def until_ready(self) -> None:
        await self.running.until_ready(LIMIT_S)

    async def exit_code(self) -> int:
        async with asyncio.timeout(LIMIT_S):
            while self.running.exit_code is None:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
        return self.running.exit_code


@asynccontextmanager
async def process(
    folder: Path, name: str, arguments: Sequence[str], env: Mapping[str, str], admin_port: int
) -> AsyncIterator[RunningPart]:
    """Run a Python module as a process that is ready when its admin port is healthy."""
    ready = answers(HOST, admin_port, "/healthz")
    inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    own = folder / name
    await asyncio.to_thread(own.mkdir, parents=True)
    running = await RunningPart.start(
        Part(name, (sys.executable, "-m", *arguments), {**inherited, **env}, ready), own
    )
    try:
        yield running
    finally:
        await running.end()


@asynccontextmanager
async def gateway_process(
    stack: Stack, name: str, **changed: object
) -> AsyncIterator[GatewayProcess]:
    """Run a gateway process in front of the stack."""
    port, admin_port = free_port(), free_port()
    settings = stack.settings(id=name, port=port, admin_port=admin_port, **changed)
    env = {f"GATEWAY_{key.upper()}": str(value) for key, value in settings.items()}
    env["AWS_REGION"] = env.pop("GATEWAY_AWS_REGION")
    env["GATEWAY_TWILIO_IGNORE_SIGNATURES"] = "true"
    set_credentials(env.__setitem__)
    async with process(stack.folder, name, ["gateway"], env, admin_port) as running:
        yield GatewayProcess(running, port)


@asynccontextmanager
async def janitor(stack: Stack, redis_port: int) -> AsyncIterator[RunningPart]:
    port = free_port()
    env = {
        "WORKER_REDIS_URL": f"redis://{HOST}:{redis_port}/0",
        "WORKER_LEASE_S": str(LEASE_S),
        "WORKER_METRICS_PORT": str(port),
    }
    async with process(stack.folder, "janitor", ["workers", "janitor"], env, port) as running:
        yield running


@pytest.fixture
async def stack(tmp_path: Path, redis_port: int) -> AsyncIterator[Stack]:
    async with running_stack(tmp_path, redis_port) as made:
        yield made


async def is_ended(call: Call, redis_port: int) -> bool:
    return (await events_of(call, redis_port))[-1]["type"] == "stream.ended"


async def test_a_killed_gateways_call_is_closed_within_its_lease(
    stack: Stack, redis_port: int
) -> None:
    call = new_call()
    caller = Caller(call)
    async with (
        aiohttp.ClientSession() as http,
        janitor(stack, redis_port) as watching,
        gateway_process(stack, "killed", lease_s=LEASE_S) as gateway,
    ):
        await watching.until_ready(LIMIT_S)
        await gateway.until_ready()
        playing = asyncio.ensure_future(caller.play(http, gateway.port))
        await caller.in_pause.wait()
        os.kill(gateway.running.pid, signal.SIGKILL)
        killed_s = asyncio.get_running_loop().time()
        await playing
        async with asyncio.timeout(LIMIT_S):
            while not await is_ended(call, redis_port):  # noqa: ASYNC110 - done by another process
                await asyncio.sleep(0.05)
        took_s = asyncio.get_running_loop().time() - killed_s
    published = await events_of(call, redis_port)
    assert await end_of(call, redis_port) == "lost gateway-lost"
    assert int(published[-1]["epoch"]) > int(published[0]["epoch"])
    assert took_s < 5 * LEASE_S
    found = account(published, call.tracks)
    assert found.whole
    assert found.transcribed_ms > 0


async def test_a_suspended_gateway_resumes_its_stream(stack: Stack, redis_port: int) -> None:
    """Symptom: the janitor's record fenced it, and the rest of the call was not transcribed."""
    call = new_call()
    caller = Caller(call, pace=0.8)  # slow, so that the call lasts until the gateway continues
    async with (
        aiohttp.ClientSession() as http,
        janitor(stack, redis_port) as watching,
        gateway_process(stack, "sleeping", lease_s=LEASE_S) as gateway,
    ):
        await watching.until_ready(LIMIT_S)
        await gateway.until_ready()
        playing = asyncio.ensure_future(caller.play(http, gateway.port))
        await caller.in_speech.wait()
        os.kill(gateway.running.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(LIMIT_S):
                while not await is_ended(call, redis_port):  # noqa: ASYNC110 - done by another process
                    await asyncio.sleep(0.05)
        finally:
            os.kill(gateway.running.pid, signal.SIGCONT)
        await playing
        async with asyncio.timeout(LIMIT_S):
            while await end_of(call, redis_port) != "completed carrier-stopped":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
    published = await events_of(call, redis_port)
    ends = [event["status"] for event in published if event["type"] == "stream.ended"]
    assert ends == ["lost", "completed"]
    assert await account_of(call, redis_port) == WHOLE


async def test_a_stream_that_was_taken_over_is_written_only_by_its_new_owner(
    stack: Stack, redis_port: int
) -> None:
    """A carrier reconnects to another gateway while the first one still has the stream."""
    call = new_call()
    again = Call(call.tracks, call.call_id, call.stream_id)
    first, second = Caller(call), Caller(again)
    async with aiohttp.ClientSession() as http, stack.gateway(id="old") as old:
        playing = asyncio.ensure_future(first.play(http, stack.links[Link.CARRIER].port))
        await first.in_speech.wait()
        async with stack.gateway(id="new") as new:
            await second.play(http, stack.links[Link.CARRIER].port)
            await until_idle(new)
        await playing
        await until_idle(old)
    published = await events_of(call, redis_port)
    owners = [event["gateway"] for event in published]
    assert owners == sorted(owners, reverse=True), "the old gateway wrote after the new one"
    newest = [event for event in published if event["gateway"] == "new"]
    assert account(newest, {TRACK: call.tracks[TRACK]}) == WHOLE
    assert len(newest) < len(published)


async def test_a_rolling_restart_under_load_loses_no_word(stack: Stack, redis_port: int) -> None:
    serving: list[GatewayProcess] = []
    calls: list[Call] = []

    async def place(http: aiohttp.ClientSession) -> None:
        """Try the gateways in turn, as a load balancer does, until one accepts the call."""
        call = new_call()
        calls.append(call)
        in_turn = sorted(serving, key=lambda gateway: (len(calls) + gateway.port) % 2)
        for gateway in in_turn:
            if await Caller(call).play(http, gateway.port):
                return
        pytest.fail("all gateways refused the call")

    async def load(http: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as playing:
            while not stop.is_set():
                playing.create_task(place(http))
                await asyncio.sleep(0.5)

    stop = asyncio.Event()
    async with (
        gateway_process(stack, "a") as a,
        gateway_process(stack, "b") as b,
        gateway_process(stack, "c") as c,  # gets calls when the first one has exited
        aiohttp.ClientSession() as http,
    ):
        for gateway in (a, b, c):
            await gateway.until_ready()
        serving += [a, b]
        loading = asyncio.ensure_future(load(http, stop))
        await asyncio.sleep(1.5)
        os.kill(a.running.pid, signal.SIGTERM)
        assert await a.exit_code() == 0
        serving[:] = [b, c]
        os.kill(b.running.pid, signal.SIGTERM)
        assert await b.exit_code() == 0
        stop.set()
        await loading
    assert len(calls) >= 6
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE
        assert await end_of(call, redis_port) == "completed carrier-stopped"
