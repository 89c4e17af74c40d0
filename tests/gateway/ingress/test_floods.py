"""A stream that floods its media socket ends, and does not delay other calls."""

import asyncio
import base64
import itertools
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
import uvloop

from gateway.carriers.vendors.freeswitch import FreeSwitch
from gateway.carriers.vendors.twilio import Twilio
from gateway.transcript.events import StreamEnded
from tests import pace
from tests.gateway.ingress.flooding import (
    BINARY,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    flood,
    forever,
    frame,
    text,
    watching_turns,
)
from tests.gateway.ingress.served import Served, serving
from tests.gateway.ingress.test_fuzz import Beside, open_to_all, speak
from tests.gateway.ingress.test_fuzz import Watched as FuzzWatched
from tests.waiting import eventually

# CPU time. 26 ms is usual on an idle machine; 250 ms is noticeable.
LONGEST_TURN_MS: Final = min(250.0, 130.0 * pace.unit())
FOR_S: Final = 4.0

START: Final = text(
    event="start", start={"callSid": "CA-flood", "streamSid": "MZ-flood", "tracks": ["inbound"]}
)
BINARY_START: Final = frame(TEXT, json.dumps({"call_id": "c"}).encode())


def media(ms: int, **more: str) -> bytes:
    payload = base64.b64encode(bytes(8 * ms)).decode()
    return text(event="media", media={"track": "inbound", "payload": payload, **more})


def shreds(message: bytes) -> bytes:
    """Send a message as fragments of one byte each."""
    first, *rest = (bytes([byte]) for byte in message)
    middle = b"".join(frame(CONTINUATION, each, fin=False) for each in rest)
    return frame(TEXT, first, fin=False) + middle + frame(CONTINUATION)


MARK_TEXT: Final = b'{"event":"mark","mark":{"name":"m"}}'
MARK: Final = frame(TEXT, MARK_TEXT)
FLOODS: Final[dict[str, tuple[str, bytes, bytes, str]]] = {
    "marks": ("twilio", START, MARK * 100, "message-flood"),
    "marks-before-the-start": ("twilio", b"", MARK * 100, "message-flood"),
    "digits": ("twilio", START, text(event="dtmf", dtmf={"digit": "1"}) * 100, "message-flood"),
    "starts": ("twilio", START, START * 50, "message-flood"),
    "pings": ("twilio", START, frame(PING) * 1000, "message-flood"),
    "full-pings": ("twilio", START, frame(PING, bytes(125)) * 100, "message-flood"),
    "pongs": ("twilio", START, frame(PONG) * 1000, "message-flood"),
    "empty-media": ("twilio", START, media(0) * 100, "message-flood"),
    "media-of-1-ms": ("twilio", START, media(1) * 100, "message-flood"),
    "unknown-track": (
        "twilio",
        START,
        text(event="media", media={"track": "outbound", "payload": "////"}) * 50,
        "message-flood",
    ),
    "empty-binary": ("freeswitch", BINARY_START, frame(BINARY) * 1000, "message-flood"),
    "binary-of-2-bytes": ("freeswitch", BINARY_START, frame(BINARY, b"12") * 1000, "message-flood"),
    "fragments": ("twilio", START, shreds(MARK_TEXT) * 20, "message-flood"),
    "alternating-timestamps": (
        "twilio",
        START,
        media(20, timestamp="0") + media(20, timestamp="30000"),
        "timestamps-nonsense",
    ),
    "media-of-20-ms": ("twilio", START, media(20) * 20, "too-fast"),
    "media-of-10-s": ("twilio", START, media(10_000), "too-fast"),
}


UNFINISHED: Final = START + frame(TEXT, b"x", fin=False)
HOLLOW: Final = frame(CONTINUATION, fin=False)  # adds nothing to a message, and ends none


class Watched(Served):
    """Records the ends of its streams."""

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, StreamEnded)]


def carriers() -> tuple[Any, ...]:
    twilio = Twilio(Twilio.Settings(_env_file=None, ignore_signatures=True))
    return twilio, open_to_all(FreeSwitch)


async def flooded(gateway: Watched, path: str, opening: bytes, blocks: Iterator[bytes]) -> Any:
    port = gateway.runner.addresses[0][1]
    return await asyncio.to_thread(flood, port, path, opening, blocks, FOR_S)


@pytest.mark.parametrize(("carrier", "opening", "block", "reason"), FLOODS.values(), ids=FLOODS)
async def test_flood_ends_its_stream_without_blocking_the_loop(
    carrier: str, opening: bytes, block: bytes, reason: str
) -> None:
    """Symptom: with small messages the reader never yielded; other calls waited 3 to 11 s."""
    async with serving(Watched(*carriers())) as gateway, watching_turns() as turns:
        seen = await flooded(gateway, f"/media/{carrier}", opening, forever(block))
    assert seen.close_code == 1008
    assert gateway.reasons in ([reason], [])  # empty if the stream did not start
    assert turns.longest_ms < LONGEST_TURN_MS


async def test_concurrent_floods_do_not_affect_another_call() -> None:
    """Symptom: during 2 MB/s of marks, another call's transcripts were seconds late."""
    beside = Beside(Beside.Settings(_env_file=None, ignore_signatures=True))
    async with serving(Crowd(beside, *carriers())) as gateway:
        hung_up = asyncio.Event()
        speaking = asyncio.create_task(speak(gateway, hung_up))
        await eventually(lambda: bool(gateway.beside))
        async with watching_turns() as turns:
            floods = (
                flooded(gateway, f"/media/{carrier}", opening, forever(block))
                for carrier, opening, block, _ in FLOODS.values()
            )
            seen = await asyncio.gather(*floods)
        hung_up.set()
        frames = await speaking
        ended = gateway.beside[-1]
    assert {each.close_code for each in seen} == {1008}
    assert isinstance(ended, StreamEnded)
    assert (ended.status, ended.duration_ms, ended.gap_ms) == ("completed", 20 * frames, 0)
    assert turns.longest_ms < LONGEST_TURN_MS


class Crowd(FuzzWatched, Watched):
    """Keeps the good call's events apart."""


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_flood_of_fragments_is_throttled_and_closed(run: Any) -> None:
    """Symptom: endless fragments at 50 MB/s blocked the loop for 110 ms per turn."""

    async def main() -> None:
        # The kernel's own choice is up to 32 MiB here, which the peer fills before it is throttled.
        served = serving(Watched(*carriers()), receive_bytes=1 << 20)
        async with served as gateway, watching_turns() as turns:
            port, began_s = gateway.runner.addresses[0][1], time.monotonic()
            seen = await asyncio.to_thread(
                flood, port, "/media/twilio", UNFINISHED, forever(HOLLOW * 10_000), 30.0
            )
            took_s = time.monotonic() - began_s
        assert seen.close_code == 1008
        assert gateway.reasons == ["message-flood"]
        assert turns.longest_ms < LONGEST_TURN_MS / 2
        kernel_bytes = 16 << 20  # its buffers, of both ends
        assert seen.sent_bytes < (4.5 * took_s + 1) * 2**20 + kernel_bytes

    run(main())


async def test_flood_after_stream_end_is_aborted() -> None:
    """For a flooding peer that ignores the close frame, the timeout is shorter."""
    stop = frame(TEXT, b'{"event":"stop"}')
    async with serving(Watched(*carriers())) as gateway, watching_turns() as turns:
        seen = await flooded(
            gateway, "/media/twilio", START + stop, itertools.chain([stop], forever(MARK * 100))
        )
        await eventually(lambda: gateway.streams.admitted == 0)
    assert seen.close_code == 1000
    assert turns.longest_ms < LONGEST_TURN_MS


async def test_lost_flooding_socket_is_read_in_turns() -> None:
    """A lost socket may have received thousands of messages, and all are read."""

    def burst(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            peer.sendall(HANDSHAKE.format(path="/media/twilio").encode())
            assert b" 101 " in peer.recv(4096)
            peer.sendall(START + frame(PING) * 20_000)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with serving(Watched(*carriers())) as gateway, watching_turns() as turns:
        for _ in range(5):
            await asyncio.to_thread(burst, gateway.runner.addresses[0][1])
        await eventually(lambda: gateway.streams.admitted == 0)
    assert turns.longest_ms < LONGEST_TURN_MS


async def test_pipelined_requests_are_handled_in_turns() -> None:
    """Symptom: a buffer of small requests was handled in one turn of the loop, for 1 s."""
    request = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"

    def ask(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            peer.sendall(request * 3000)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(1 << 16):
                pass

    async with serving(Watched(*carriers())) as gateway, watching_turns() as turns:
        await asyncio.to_thread(ask, gateway.runner.addresses[0][1])
    assert turns.longest_ms < LONGEST_TURN_MS
