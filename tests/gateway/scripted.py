"""Scripted model servers and reservations, controlled by the test."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from gateway.calls.services import RouteTerms
from gateway.carriers.events import CallStarted
from gateway.errors import CarrierError, UpstreamError
from gateway.upstream.dialects.dialect import Address, Dialect, Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.transport import StreamReceiver, UpstreamTransport


class ScriptedStream:
    """One stream to a model server. Everything sent is stored, decoded."""

    def __init__(self, receiver: StreamReceiver) -> None:
        self.receiver = receiver
        self.sent: list[dict[str, Any]] = []
        self.room = 1_000_000
        self.finished = False
        self.aborted = False
        self.on_sent: Callable[[dict[str, Any]], None] = lambda _: None

    def audio(self, append: int) -> bytes:
        """Return the audio of one append."""
        messages = [message for message in self.sent if "audio" in message]
        return base64.b64decode(messages[append]["audio"])

    @property
    def types(self) -> list[str]:
        return [message["type"].removeprefix("input_audio_buffer.") for message in self.sent]

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self.sent.append(json.loads(message))
        asyncio.get_running_loop().call_soon(self.on_sent, self.sent[-1])
        return True

    def finish(self) -> None:
        self.finished = True

    def abort(self) -> None:
        self.aborted = True

    # What the peer does

    def say(self, kind: str, **fields: Any) -> None:
        self.receiver.on_message(json.dumps({"type": kind, **fields}).encode())

    def created(self) -> None:
        self.say("session.created", id="sess-0", created=0)

    def delta(self, text: str) -> None:
        self.say("transcription.delta", delta=text)

    def done(self) -> None:
        self.say("transcription.done", text="", usage={})

    def answer_all(self) -> None:
        """Send an empty delta for every 80 ms received, then done, as a model does at the end."""
        audio = [base64.b64decode(message.get("audio", "")) for message in self.sent]
        for _ in range(-(-sum(map(len, audio)) // 2560)):
            self.delta("")
        self.done()

    def make_room(self, messages: int) -> None:
        self.room += messages
        self.receiver.on_writable()

    def close(self, error: UpstreamError | None = None) -> None:
        self.receiver.on_closed(error)


class ScriptedTransport:
    """Opens scripted streams; `greet` is called with each new stream."""

    longest_stream_s: float | None = None

    def __init__(self, greet: Callable[[ScriptedStream], None] = ScriptedStream.created) -> None:
        self.streams: list[ScriptedStream] = []
        self.refusal: UpstreamError | None = None
        self.on_open: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()  # `open` waits for it
        self.gate.set()
        self._greet = greet

    async def open(
        self, receiver: StreamReceiver, address: Address | None = None
    ) -> ScriptedStream:
        self.on_open()
        await self.gate.wait()
        if self.refusal:
            raise self.refusal
        stream = ScriptedStream(receiver)
        self.streams.append(stream)
        asyncio.get_running_loop().call_soon(self._greet, stream)
        return stream

    async def close(self) -> None:
        pass


class ScriptedSlot:
    """A session slot with a scripted transport."""

    endpoint: str = "main"

    def __init__(self, reservation: "ScriptedReservation") -> None:
        self.dialect = reservation.dialect
        self.options = reservation.options
        self.transport: UpstreamTransport = reservation.transport
        self._reservation = reservation
        self.held = True
        self.outcomes: list[str] = []
        self.asked: Options | None = None  # of the server, by the session
        reservation.slots.append(self)

    def address(self, options: Options) -> Address | None:
        self.asked = options
        return None

    async def acquire_replacement(self) -> "ScriptedSlot":
        return await self._reservation.acquire_slot()

    def doubted(self) -> None:
        self.outcomes.append("doubted")

    def worked(self) -> None:
        self.outcomes.append("worked")

    def failed(self, error: UpstreamError) -> None:
        self.outcomes.append(error.reason)

    def release(self) -> None:
        self.held = False


class ScriptedReservation:
    """Admits a stream with an unlimited number of slots, unless the test sets a refusal."""

    def __init__(self, transport: ScriptedTransport) -> None:
        self.transport = transport
        self.dialect: Dialect = Voxtral()
        self.options = Options("m")
        self.slots: list[ScriptedSlot] = []
        self.refusal: CarrierError | None = None
        self.route: str | None = "default"
        self.has_endpoint_left = False
        self.full = False
        self.has_a_bug = False
        self.roles: dict[str, str] = {}
        self.tenant = "default"

    def choose(self, start: CallStarted) -> RouteTerms:
        return RouteTerms(self.tenant, self.roles)

    async def reserve_slots(self, start: CallStarted) -> None:
        if self.refusal:
            raise self.refusal

    async def acquire_slot(self) -> ScriptedSlot:
        if self.full:
            raise UpstreamError("endpoint-at-capacity")
        if self.has_a_bug:
            raise ZeroDivisionError
        return ScriptedSlot(self)


async def settle() -> None:
    """Yield until all ready callbacks and tasks have run."""
    for _ in range(10):
        await asyncio.sleep(0)
