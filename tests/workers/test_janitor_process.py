"""The janitor as a process, with a real server and gateways that are killed or frozen."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from gateway.redis_client.client import RedisClient
from tests.gateway.publishing.publisher_harness import EPOCH, client_of, entries, keys_of
from tests.redis_servers import free_port

_LEASE_S = 3.0  # long enough for a busy machine to delay a running gateway
_LIMIT_S = 40.0


@contextlib.asynccontextmanager
async def process(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    """Run `python -m ...`; kill it at the end."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, env=kept | environment, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


@contextlib.asynccontextmanager
async def janitor(redis_url: str) -> AsyncIterator[tuple[Process, str]]:
    """Run a janitor; yield its process and the URL of its private port."""
    port = free_port()
    async with process(
        "workers",
        "janitor",
        WORKER_REDIS_URL=redis_url,
        WORKER_LEASE_S=str(_LEASE_S),
        WORKER_METRICS_PORT=str(port),
    ) as running:
        yield running, f"http://127.0.0.1:{port}"


def gateway(
    redis_url: str, call_id: str, epoch: int = EPOCH, name: str = "g1"
) -> contextlib.AbstractAsyncContextManager[Process]:
    arguments = (redis_url, call_id, str(epoch), str(_LEASE_S), name)
    return process("tests.workers.a_gateway", *arguments)


async def until(
    redis: RedisClient, call_id: str, holds: Callable[[list[str]], bool]
) -> list[dict[str, str]]:
    """Wait until `holds` is true for the types of a call's events; return the events."""
    async with asyncio.timeout(_LIMIT_S):
        while True:
            events = await entries(redis, keys_of(call_id).call)
            if holds([event["type"] for event in events]):
                return events
            await asyncio.sleep(0.05)


def is_speaking(types: list[str]) -> bool:
    return types[-1:] == ["transcript.delta"]


async def test_streams_of_killed_and_frozen_gateways_are_closed(redis_url: str) -> None:
    """Symptom: a gateway that was frozen for longer than its lease was fenced afterwards."""
    async with (
        client_of(redis_url) as redis,
        janitor(redis_url) as (_, url),
        gateway(redis_url, "KILLED") as killed,
        gateway(redis_url, "FROZEN") as frozen,
        gateway(redis_url, "ALIVE"),
        aiohttp.ClientSession() as http,
    ):
        for call_id in ("KILLED", "FROZEN", "ALIVE"):
            await until(redis, call_id, is_speaking)
        killed.kill()
        frozen.send_signal(signal.SIGSTOP)
        for call_id in ("KILLED", "FROZEN"):
            *before, last = await until(redis, call_id, lambda types: "stream.ended" in types)
            assert (last["status"], last["reason"], last["n"]) == ("lost", "gateway-lost", "1")
            assert int(last["epoch"]) > EPOCH
            assert int(last["duration_ms"]) == 80 * (len(before) - 1)
            assert [int(e["n"]) for e in before] == list(range(1, len(before) + 1))
        frozen.send_signal(signal.SIGCONT)
        events = await until(redis, "FROZEN", is_speaking)
        at = next(i for i, e in enumerate(events) if e["type"] == "stream.ended")
        before, resumed = events[:at], events[at + 1 :]
        assert [e["type"] for e in resumed[:2]] == ["stream.started", "transcript.delta"]
        assert {e["epoch"] for e in resumed} == {str(int(events[at]["epoch"]) + 1)}
        assert resumed[0]["resumes"] == before[0]["epoch"]
        assert [int(e["n"]) for e in resumed] == list(range(1, len(resumed) + 1))
        deltas = [e for e in events if e["type"] == "transcript.delta"]
        assert [int(e["end_ms"]) for e in deltas] == [80 * n for n in range(1, len(deltas) + 1)]
        async with gateway(redis_url, "FROZEN", EPOCH - 3_600_000, name="g2"):  # an hour behind
            assert await asyncio.wait_for(frozen.wait(), _LIMIT_S) == 0, "another gateway fences it"
            events = await until(redis, "FROZEN", lambda types: types.count("stream.started") == 3)
            assert int(events[-1]["epoch"]) == int(resumed[-1]["epoch"]) + 1
        await until(redis, "ALIVE", is_speaking)
        async with http.get(f"{url}/metrics") as response:
            assert "callscribe_janitor_lost_streams_total 2.0" in await response.text()
        async with http.get(f"{url}/healthz") as response:
            assert response.status == 200


async def test_sigterm_ends_it_while_redis_is_unavailable() -> None:
    """It retries until Redis is available, and does not wait for it at the end."""
    async with janitor(f"redis://127.0.0.1:{free_port()}") as (running, url):
        async with aiohttp.ClientSession() as http, asyncio.timeout(_LIMIT_S):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(f"{url}/metrics") as response:
                        if 'errors_total{reason="redis-unavailable"}' in await response.text():
                            break
                await asyncio.sleep(0.05)
        running.terminate()
        assert await asyncio.wait_for(running.wait(), _LIMIT_S) == 0


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["janiter"], 2), (["--help"], 0), (["janitor", "--help"], 0)]
)
async def test_exit_code_of_command_lines(arguments: list[str], code: int) -> None:
    async with process("workers", *arguments) as running:
        assert await asyncio.wait_for(running.wait(), _LIMIT_S) == code
