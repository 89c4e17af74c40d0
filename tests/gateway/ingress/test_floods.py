"""One stream that floods its media socket ends, and holds up no other call meanwhile."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from gateway.carriers.freeswitch import FreeSwitch
from gateway.carriers.twilio import Twilio
from gateway.transcript.events import StreamEnded
from tests.gateway.ingress.flooding import (
    BINARY,
    CONTINUATION,
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
from tests.gateway.ingress.test_fuzz import open_to_all

LONGEST_TURN_MS: Final = 100.0  # of CPU; a few are usual, and 250 may be felt
FOR_S: Final = 4.0

START: Final = text(
    event="start", start={"callSid": "CA-flood", "streamSid": "MZ-flood", "tracks": ["inbound"]}
)
BINARY_START: Final = frame(TEXT, json.dumps({"call_id": "c"}).encode())


def media(ms: int) -> bytes:
    payload = base64.b64encode(bytes(8 * ms)).decode()
    return text(event="media", media={"track": "inbound", "payload": payload})


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
    "media-of-20-ms": ("twilio", START, media(20) * 20, "too-fast"),
    "media-of-10-s": ("twilio", START, media(10_000), "too-fast"),
}


class Watched(Served):
    """Knows the ends of its streams."""

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
async def test_a_flood_ends_its_stream_and_never_keeps_the_loop(
    carrier: str, opening: bytes, block: bytes, reason: str
) -> None:
    """Symptom: small messages kept the reader from ever yielding; others waited 3 to 11 s."""
    async with serving(Watched(*carriers())) as gateway, watching_turns() as turns:
        seen = await flooded(gateway, f"/media/{carrier}", opening, forever(block))
    assert seen.close_code == 1008
    assert gateway.reasons in ([reason], [])  # none: it never started
    assert turns.longest_ms < LONGEST_TURN_MS
