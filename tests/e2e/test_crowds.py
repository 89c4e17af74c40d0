"""A gateway process under CPU overload, and without free file descriptors."""

import asyncio
import resource
import signal
import socket
from asyncio import StreamReader
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from aiohttp import WSServerHandshakeError

from tests.e2e.test_drain import HOST, LIMIT_S, Call, Gateway, record, running


@asynccontextmanager
async def stopping(gateway: Gateway) -> AsyncIterator[None]:
    yield
    gateway.process.send_signal(signal.SIGTERM)
    assert await gateway.exit_code() == 0


async def crowd(gateway: Gateway, calls: list[Call]) -> None:
    while True:
        calls.append(await gateway.call(f"CA-more-{len(calls)}"))


async def metrics(gateway: Gateway) -> str:
    status, text = await gateway.private("GET", "/metrics")
    assert status == 200
    return text


async def test_an_overloaded_gateway_is_not_ready_and_refuses_calls(redis_url: str) -> None:
    four_calls = "0.09"  # a call needs 0.02
    async with (
        running(redis_url, GATEWAY_OVERLOAD_CPU=four_calls) as gateway,
        stopping(gateway),
    ):
        call = await gateway.call("CA1")
        await call.speak(400)
        others: list[Call] = []  # a call that nothing refers to is closed, and ends the overload
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(WSServerHandshakeError) as refused:
                await crowd(gateway, others)
        assert refused.value.status == 503
        await gateway.until("/readyz", lambda status, text: status == 503 and "overloaded" in text)
        shown = await metrics(gateway)
        assert 'refused_requests_total{carrier="twilio",reason="overloaded"} 1.0' in shown
        assert "\ncallscribe_cpu_ratio " in shown
        await call.speak(400)
        await call.send("stop")
        assert await call.closed() == 1000
        await record(redis_url, call)
        for other in others:
            await other.send("stop")
            assert await other.closed() == 1000


async def test_a_gateway_without_descriptors_keeps_its_calls_and_its_admin_port(
    redis_url: str,
) -> None:
    """Symptom: no log or a traceback per second; no sockets for /metrics and model sessions."""
    async with running(redis_url) as gateway, stopping(gateway):
        pid = gateway.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
        call = await gateway.call("CA1")
        await call.speak(400)
        with ExitStack() as peers:
            for _ in range(400):
                peer = socket.create_connection((HOST, gateway.public_port), timeout=LIMIT_S)
                peers.enter_context(peer)
                await asyncio.sleep(0.001)
            shown = await gateway.until("/metrics", lambda _, text: EXHAUSTED in text)
            assert "\ncallscribe_live_calls" in shown
            assert (await gateway.private("GET", "/readyz")) == (200, "ok\n")
            await call.speak(400)
            await call.send("stop")
            assert await call.closed() == 1000
        await record(redis_url, call)
        async with asyncio.timeout(LIMIT_S):  # until the peers' descriptors are released
            while not await answers_known_path(gateway):
                pass


EXHAUSTED = 'refused_connections_total{reason="descriptors-exhausted"}'


async def answers_known_path(gateway: Gateway) -> bool:
    reader, writer = await asyncio.open_connection(HOST, gateway.public_port)
    try:
        writer.write(b"GET /media/twilio HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await status_of(reader) == 400
    finally:
        writer.close()


async def status_of(reader: StreamReader) -> int:
    try:
        line = await reader.readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0
