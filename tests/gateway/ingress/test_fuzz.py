"""Malformed sessions at every carrier's media socket, while another call continues.

Each session is a recorded dialogue with some messages damaged, out of order, of another kind, or
10 MiB long, with stray control frames between. The gateway may refuse it, for a reason it
documents; the call beside it loses nothing. More of them:

    CALLSCRIBE_FUZZ_SESSIONS=3000 ./run test tests/gateway/ingress/test_fuzz.py
"""

import asyncio
import base64
import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from aiohttp import ClientError, ClientWebSocketResponse, WSCloseCode, WSMsgType

from gateway.calls import termination
from gateway.carriers.carrier import Carrier, Request, Upgrade
from gateway.carriers.registry import CARRIERS
from gateway.carriers.vendors.twilio import Twilio
from gateway.errors import REASONS
from gateway.transcript.events import (
    StreamEnded,
    StreamStarted,
    TranscriptEvent,
    TranscriptGap,
)
from tests.gateway.carriers.test_wire import ADAPTERS
from tests.gateway.ingress.served import Served, serving
from tests.gateway.scripted import ScriptedStream
from tests.waiting import eventually
from tests.wire.playbook import recordings

SESSIONS: Final = int(os.environ.get("CALLSCRIBE_FUZZ_SESSIONS", "12"))  # of each carrier
AT_ONCE: Final = 6
SOON_S: Final = 0.2  # a message that is refused is refused by then
LIMIT_S: Final = 30.0
HUGE: Final = 10 << 20
MAX_GROWTH_MB: Final = 150

ENDINGS: Final = {
    each.reason for each in vars(termination).values() if isinstance(each, termination.Termination)
}
DOCUMENTED: Final = (REASONS.keys() | ENDINGS) - {"internal-error"}
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 10**40, 1e308, "", "\0", "9" * 5000),
    *([], {}, [[[]]], {"": {}}),
)

type Sent = str | bytes


def open_to_all(kind: Any) -> Any:
    """Make a carrier that lets anybody in."""

    class Open(kind):  # type: ignore[misc]  # it is one of the registry's
        missing_setting = None
        webhook_missing_setting = "it is about media"
        warning = None

        def __init__(self) -> None:
            pass

        def upgrade(self, request: Request) -> Upgrade:
            return Upgrade(ADAPTERS[self.name]())

    return Open()


def recorded(path: Path) -> Iterator[Sent]:
    for line in map(json.loads, path.read_text().splitlines()):
        match line:
            case {"in": str() as text}:
                yield text
            case {"in": message}:
                yield json.dumps(message)
            case {"binary": text}:
                yield base64.b64decode(text)
            case _:
                pass


class Fuzzer:
    """Damages one dialogue."""

    def __init__(self, carrier: str, seed: int) -> None:
        self.chance = Random(f"{carrier} {seed}")  # noqa: S311  # it is to be repeated
        self.messages = list(recorded(self.chance.choice(recordings(carrier))))

    def dialogue(self) -> list[Sent]:
        messages = self.messages * self.chance.choice((1, 1, 2))
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randrange(len(messages) + 1)
            damage = self.chance.choice(
                (self._drop, self._repeat, self._swap, self._spoil, self._retype, self._invent)
            )
            damage(messages, at)
        return messages

    def _drop(self, messages: list[Sent], at: int) -> None:
        del messages[at : at + 1]

    def _repeat(self, messages: list[Sent], at: int) -> None:
        messages[at:at] = messages[at : at + 1] * self.chance.choice((1, 200))

    def _swap(self, messages: list[Sent], at: int) -> None:
        messages.insert(
            self.chance.randrange(len(messages) + 1), messages.pop(at - 1) if messages else ""
        )

    def _spoil(self, messages: list[Sent], at: int) -> None:
        """Cut a message, change a value in it, or a byte."""
        if at >= len(messages):
            return
        message = messages[at]
        if isinstance(message, str) and self.chance.random() < 0.7:
            with contextlib.suppress(ValueError, RecursionError):
                messages[at] = json.dumps(self._change(json.loads(message)))
                return
        data = bytearray(message.encode() if isinstance(message, str) else message)
        if data and self.chance.random() < 0.5:
            data[self.chance.randrange(len(data))] = self.chance.randrange(256)
        else:
            del data[self.chance.randrange(len(data) + 1) :]
        messages[at] = data.decode(errors="replace") if isinstance(message, str) else bytes(data)

    def _change(self, value: Any) -> Any:
        if not isinstance(value, dict) or not value or self.chance.random() < 0.2:
            return self.chance.choice(VALUES)
        name = self.chance.choice([*value])
        return {**value, name: self._change(value[name])}

    def _retype(self, messages: list[Sent], at: int) -> None:
        """Send text as binary, or the other way round."""
        if at < len(messages):
            each = messages[at]
            messages[at] = each.encode() if isinstance(each, str) else each.decode("latin-1")

    def _invent(self, messages: list[Sent], at: int) -> None:
        inventions: tuple[Callable[[], Sent], ...] = (
            lambda: "x" * HUGE,
            lambda: bytes(HUGE),
            lambda: '{"event":"media","media":{"payload":"' + "A" * HUGE + '"}}',
            lambda: "[" * 100_000,
            lambda: self.chance.randbytes(self.chance.randrange(2000)),
            lambda: b"",
            lambda: "",
        )
        messages.insert(at, self.chance.choice(inventions)())

    async def stray(self, socket: ClientWebSocketResponse) -> None:
        """Send an unexpected control frame or an invalid frame."""
        match self.chance.randrange(6):
            case 0:
                await socket.ping(self.chance.randbytes(self.chance.randrange(125)))
            case 1:
                await socket.pong(b"unasked")
            case 2:
                await socket.send_frame(b"half", WSMsgType.CONTINUATION)
            case 3 if (writer := socket._writer) is not None:  # noqa: SLF001  # below its API
                writer.transport.write(self.chance.randbytes(20))
            case _:
                pass


async def fuzz(gateway: Served, carrier: str, seed: int) -> None:
    """Run one session; it may end with any documented reason."""
    fuzzer = Fuzzer(carrier, seed)
    code = fuzzer.chance.choice((1000, 1001, 3000, 4999))
    async with gateway.client.ws_connect(f"/media/{carrier}", max_msg_size=0) as socket:
        with contextlib.suppress(ClientError, ConnectionError):  # refused before all was said
            for message in fuzzer.dialogue():
                if fuzzer.chance.random() < 0.1:
                    await fuzzer.stray(socket)
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)
        with contextlib.suppress(TimeoutError):  # the gateway sends no more
            while (answer := await socket.receive(timeout=SOON_S)).type is WSMsgType.TEXT:
                pass
            if answer.type is WSMsgType.CLOSE and answer.extra:
                assert answer.extra in DOCUMENTED, f"seed {seed}"
        await socket.close(code=code, message=b"goodbye")
    assert socket.close_code != WSCloseCode.INTERNAL_ERROR, f"seed {seed}"


async def speak(gateway: Served, hung_up: asyncio.Event) -> int:
    """Run a regular call; return the number of its frames."""
    socket = await gateway.client.ws_connect("/media/beside")
    start = {"callSid": "CA-beside", "streamSid": "MZ-beside", "tracks": ["inbound"]}
    await socket.send_json({"event": "start", "start": start})
    frames = 0
    payload = base64.b64encode(bytes(160)).decode()
    while not hung_up.is_set():
        media = {"track": "inbound", "chunk": str(frames + 1), "payload": payload}
        await socket.send_json({"event": "media", "media": media | {"timestamp": str(20 * frames)}})
        frames += 1
        await asyncio.sleep(0.02)
    await socket.send_json({"event": "stop"})
    await socket.receive(timeout=LIMIT_S)
    await socket.close()
    return frames


def resident_mb() -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


class Watched(Served):
    """Stores the events of the regular call separately; its model sends only empty deltas."""

    def __init__(self, *carriers: Carrier) -> None:
        self.beside: list[TranscriptEvent] = []
        super().__init__(*carriers)

    def greet(self, stream: ScriptedStream) -> None:
        def answer(message: dict[str, Any]) -> None:
            if "audio" in message:
                stream.delta("")
            elif message.get("final"):
                stream.done()

        stream.on_sent = answer
        stream.created()

    def open_writer(self, call_id: str, *rest: Any, **owner: Any) -> Any:
        if call_id == "CA-beside":
            return type("Beside", (), {"publish": lambda _, event: self.beside.append(event)})()
        return super().open_writer(call_id, *rest, **owner)


class Beside(Twilio):
    """Twilio with another name, for the regular call."""

    name = "beside"


@pytest.mark.parametrize("kind", CARRIERS, ids=lambda kind: kind.name)
async def test_malformed_session_does_not_affect_another_call(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Beside(Beside.Settings(_env_file=None, ignore_signatures=True))
    monkeypatch.setattr("gateway.ingress.media._FAREWELL_REPLY_TIMEOUT_S", SOON_S)
    async with serving(Watched(beside, open_to_all(kind))) as gateway:
        hung_up = asyncio.Event()
        speaking = asyncio.create_task(speak(gateway, hung_up))
        await eventually(lambda: bool(gateway.beside))
        before_mb = resident_mb()
        async with asyncio.timeout(LIMIT_S + SESSIONS):
            for first in range(0, SESSIONS, AT_ONCE):
                last = min(first + AT_ONCE, SESSIONS)
                await asyncio.gather(*(fuzz(gateway, kind.name, n) for n in range(first, last)))
        growth_mb = resident_mb() - before_mb
        hung_up.set()
        frames = await speaking
        started, *others, ended = gateway.beside
    assert isinstance(started, StreamStarted)
    assert isinstance(ended, StreamEnded)
    assert [event for event in others if isinstance(event, TranscriptGap)] == []
    assert (ended.status, ended.duration_ms, ended.gap_ms) == ("completed", 20 * frames, 0)
    reasons = {event.reason for event in gateway.events if isinstance(event, StreamEnded)}
    assert reasons <= DOCUMENTED
    assert growth_mb < MAX_GROWTH_MB
    assert gateway.slots_held == 0
    assert gateway.streams.admitted == 0
