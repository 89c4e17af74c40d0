"""`./run conform` ends in bounded time and memory, whatever a server sends."""

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import itertools
import math
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from cli.conform.command import RULES, Result, Verdict, result_of
from tests.cli.conform.test_conform import CREATED, server_at

RULE_TIMEOUT_S = 0.5
SLACK_S = 5.0  # closing, and this machine's delays
LIMIT_BYTES = 100 * 1024 * 1024  # most of it are four copies of the frame of 16 MiB that is sent
# The rules about errors before the update are one check with other texts.
SOME_RULES = [rule for rule in RULES if "before the update" not in rule.text]


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """Return a server's frame of less than 64 KiB (RFC 6455 section 5.2)."""
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return bytes([first]) + size + payload


def endless(data: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.repeat(data)


def giant(then: bytes) -> Callable[[], Iterable[bytes]]:
    """Begin a frame of 1 TiB."""
    return lambda: itertools.chain([b"\x81\x7f" + (1 << 40).to_bytes(8)], itertools.repeat(then))


DELTA = frame(b'{"type":"transcription.delta","delta":""}')
LARGE = frame(b'{"type":"transcription.delta","delta":"%s"}' % (b"x" * 60_000))
# What a server sends after `session.created`, and the pause between these.
SERVERS: dict[str, tuple[Callable[[], Iterable[bytes]], float]] = {
    "endless deltas": (endless(DELTA * 100), 0),
    "endless large deltas": (endless(LARGE), 0),
    "endless pings": (endless(frame(b"", 0x89) * 100), 0),
    "a message without an end": (giant(bytes(65_536)), 0),
    "a slow drip of deltas": (endless(DELTA), 0.02),
    "a slow drip of one message": (giant(b"x"), 0.02),
}


@contextlib.asynccontextmanager
async def hostile_server(sent: Callable[[], Iterable[bytes]], pause_s: float) -> AsyncIterator[str]:
    """Accept every upgrade; send without regard to what is received, and never close."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(_upgraded(request) if b"Upgrade:" in request else b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            for each in sent():
                writer.write(each)
                await writer.drain()
                await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
    finally:
        server.close()
        serving = [task for task in tasks if task]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def _upgraded(request: bytes) -> bytes:
    headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if line)
    digest = hashlib.sha1(  # noqa: S324 - RFC 6455 section 4.2.2
        headers[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    ).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n%b" % (base64.b64encode(digest), frame(CREATED.encode()))
    )


@pytest.mark.parametrize("kind", SERVERS)
async def test_no_rule_takes_long_or_much_memory(kind: str) -> None:
    """Symptom: endless deltas took 180 s per rule, and then the close did not end."""
    async with hostile_server(*SERVERS[kind]) as url, server_at(url, timeout_s=60) as server:
        tracemalloc.start()
        try:
            for rule in SOME_RULES:
                async with asyncio.timeout(RULE_TIMEOUT_S + SLACK_S):
                    await result_of(dataclasses.replace(rule, timeout_s=RULE_TIMEOUT_S), server)
            _, most_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most_bytes < LIMIT_BYTES


async def test_a_run_ends_in_time() -> None:
    async with hostile_server(*SERVERS["a slow drip of deltas"]) as url, server_at(url) as server:
        assert await result_of(RULES[-1], server, -math.inf) == Result(
            RULES[-1].text, Verdict.NOT_CHECKED, "the command ends after 600 s"
        )
