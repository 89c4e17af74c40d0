"""A peer that floods one media socket, and a measurement of the event loop's turns."""

import asyncio
import contextlib
import gc
import itertools
import json
import select
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

LIMIT_S: Final = 20.0
TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0

HANDSHAKE: Final = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Make a client's frame, masked with zeros."""
    first = opcode | (0x80 if fin else 0)
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


def text(**message: object) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


@dataclass
class Flood:
    """The result of one flood."""

    sent_bytes: int = 0
    received: bytearray = field(default_factory=bytearray)

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that was received, or None."""
        data = bytes(self.received)
        while len(data) >= 2:
            opcode, size, at = data[0] & 0xF, data[1], 2
            if size == 126:
                size, at = struct.unpack("!H", data[2:4])[0], 4
            if opcode == CLOSE:
                return int(struct.unpack("!H", data[at : at + 2])[0])
            data = data[at + size :]
        return None


def flood(port: int, path: str, opening: bytes, blocks: Iterator[bytes], for_s: float) -> Flood:
    """Send blocks as fast as possible until closed or for `for_s` seconds. Runs in a thread."""
    seen = Flood()
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(HANDSHAKE.format(path=path).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += peer.recv(1)
        assert b" 101 " in head, head
        end_s = time.monotonic() + for_s
        with contextlib.suppress(OSError):
            peer.sendall(opening)
            for block in blocks:
                if time.monotonic() >= end_s or _has_close(peer, seen):
                    break
                peer.sendall(block)
                seen.sent_bytes += len(block)
        with contextlib.suppress(OSError):
            while seen.close_code is None and (data := peer.recv(65536)):
                seen.received += data
    return seen


def _has_close(peer: socket.socket, seen: Flood) -> bool:
    """Read what was received, without waiting; return whether the connection has ended."""
    if not select.select([peer], [], [], 0)[0]:
        return False
    data = peer.recv(65536)
    seen.received += data
    return not data or seen.close_code is not None


def forever(block: bytes) -> Iterator[bytes]:
    return itertools.repeat(block)


@dataclass
class Turns:
    """The turns of the event loop while it was watched.

    Attributes:
        longest_ms: CPU time of the loop's thread in its longest turn. Other threads and processes
            do not count, so the load of the machine does not matter.
        count: the number of turns.
    """

    longest_ms: float = 0.0
    count: int = 0


@contextlib.asynccontextmanager
async def watching_turns() -> AsyncIterator[Turns]:
    """Measure the loop's turns for as long as the context lasts."""
    turns = Turns()

    async def watch() -> None:
        last_s = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            turns.longest_ms = max(turns.longest_ms, 1000 * (now_s - last_s))
            turns.count += 1
            last_s = now_s

    gc.collect()
    gc.disable()  # the test's own heap is large
    task = asyncio.create_task(watch())
    try:
        yield turns
    finally:
        task.cancel()
        await asyncio.wait([task])
        gc.enable()
