"""A model behind the upstream seam: the CPU engine's own session core, a network, and faults.

    gateway --window, latency--> slots, RealtimeSession, checksums --latency--> gateway

`Endpoint` is the server that all gateways share, `Link` one gateway's transport to it. What befalls
a stream is drawn when it is opened (`Fate`); what befalls the endpoint as a whole comes from the
world (`refusal`, `break_all`). What a gateway may never do is noted in `breaches`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from container.cpu import protocol
from container.cpu.checksum import ChecksumTranscriber
from container.cpu.clock import TokenClock
from container.cpu.generation import Rules
from container.cpu.session import Phase, RealtimeSession
from container.cpu.slots import Slots
from gateway.errors import UpstreamError
from gateway.upstream.transport import StreamReceiver
from tests.simulation.process import OUTSIDE, Process
from tests.simulation.trace import Trace

MODEL: Final = "simulated"
_SLOW_S: Final = 0.13  # to hear one message, when slow: a chunk is 80 ms
_THROTTLED_S: Final = 0.3  # to take one from the window, when throttled

_FINAL: Final = b'{"type":"input_audio_buffer.commit","final":true}'


class Blow(StrEnum):
    """What may befall a stream."""

    NONE = "none"
    REFUSED = "refused"  # the opening, with the fate's reason
    HANGING = "hanging"  # the opening never comes to an end
    UNCREATED = "uncreated"  # opened, and then not even `session.created`
    STALLED = "stalled"  # answers no more; from the beginning: created, but mute
    RESET = "reset"  # ends with the fate's reason; what was on the way back is lost
    EOF = "eof"  # ends in good order, without `done`
    ERROR = "error"  # an `error` message
    DONE = "done"  # a `done` that nobody asked for
    SLOW = "slow"  # hears slower than real time
    THROTTLED = "throttled"  # takes messages slower than they come


@dataclass(frozen=True, slots=True)
class Fate:
    """What befalls one stream, and how long after its opening."""

    blow: Blow = Blow.NONE
    after_s: float = 0.0
    reason: str = ""  # of a refusal or reset

    def __str__(self) -> str:
        return f"{self.blow} {self.reason}".rstrip() + f" after {self.after_s:.2f} s"


@dataclass(frozen=True, slots=True)
class Nature:
    """How an endpoint is."""

    name: str
    slots: int  # generations at once; more wait in silence
    context_deltas: int  # then the context is full
    latency_s: float  # one way
    window: int  # messages that a stream queues


class Endpoint:
    """The server: one engine for all gateways.

    Args:
        nature: how it is.
        draw: gives the fate of the next stream.
        trace: where its life is noted.
        capacity: sessions that all gateways together may hold; more are a breach.
        shared: whether the gateways can always count each other's; else each counts its own.
    """

    def __init__(
        self,
        nature: Nature,
        draw: Callable[[], Fate],
        trace: Trace,
        capacity: int,
        *,
        shared: bool,
    ) -> None:
        clock = TokenClock()
        self.nature = nature
        self.rules = Rules(MODEL, clock, clock.prompt_tokens + nature.context_deltas)
        self.slots = Slots(nature.slots)
        self.transcriber = ChecksumTranscriber()
        self.trace = trace
        self.refusal: str | None = None  # the reason why every opening is refused now
        self.held: dict[object, str] = {}  # sessions, from the wish to the end, and whose they are
        self.streams: dict[Stream, None] = {}
        self.breaches: list[str] = []
        self._draw = draw
        self._capacity = capacity
        self._shared = shared
        self._opened = 0

    def fate(self) -> tuple[str, Fate]:
        """Name the next stream and say what befalls it."""
        self._opened += 1
        fate = Fate(Blow.REFUSED, 0.0, self.refusal) if self.refusal else self._draw()
        return f"{self.nature.name}#{self._opened}", fate

    def hold(self, holder: object, gateway: str) -> None:
        """Count a session that a gateway opens."""
        self.held[holder] = gateway
        counted = sum(self._shared or each == gateway for each in self.held.values())
        if counted > self._capacity:
            self.breach(f"{counted} sessions where {self._capacity} may be")

    def breach(self, what: str) -> None:
        """Note what must not be."""
        self.breaches.append(what)
        self.trace.note(self.nature.name, f"BREACH: {what}")

    def break_all(self, reason: str) -> None:
        """Reset every stream, as a restart of the engine does."""
        for stream in list(self.streams):
            stream.reset(reason)


class Link:
    """One gateway's transport to an endpoint; implements `UpstreamTransport`."""

    def __init__(self, endpoint: Endpoint, gateway: str, process: Process) -> None:
        self._endpoint = endpoint
        self._gateway = gateway
        self._process = process
        self._streams: dict[Stream, None] = {}
        self._dead = False

    async def open(self, receiver: StreamReceiver) -> "Stream":
        """Open a stream, or not, as its fate is."""
        endpoint, holder = self._endpoint, object()
        name, fate = endpoint.fate()
        endpoint.trace.note(name, f"opening: {fate}")
        endpoint.hold(holder, self._gateway)
        try:
            await asyncio.sleep(2 * endpoint.nature.latency_s)
            if fate.blow is Blow.HANGING or self._dead:
                await asyncio.Event().wait()
            if fate.blow is Blow.REFUSED:
                await asyncio.sleep(fate.after_s)
                raise UpstreamError(fate.reason)
            stream = Stream(name, endpoint, receiver, fate, self._forget, self._process)
        finally:
            del endpoint.held[holder]
        endpoint.hold(stream, self._gateway)
        self._streams[stream] = None
        return stream

    async def close(self) -> None:
        """Abort what is open."""
        for stream in list(self._streams):
            stream.abort()

    def die(self) -> None:
        """End as the process does: nobody hears of anything any more."""
        self._dead = True
        for stream in list(self._streams):
            stream.vanish()

    @property
    def open_streams(self) -> int:
        """How many streams the gateway has not let go."""
        return len(self._streams)

    def _forget(self, stream: "Stream") -> None:
        self._streams.pop(stream, None)
        self._endpoint.held.pop(stream, None)


class Stream:
    """One stream: the gateway's end of it, the network, the server's end."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        receiver: StreamReceiver,
        fate: Fate,
        on_over: Callable[["Stream"], None],
        process: Process,
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._receiver: StreamReceiver | None = receiver
        self._fate = fate
        self._on_over = on_over
        self._process = process  # the gateway's
        self._loop = asyncio.get_running_loop()
        self._session = RealtimeSession(endpoint.rules)
        self.is_half_closed = False
        self._queued = 0  # in our window
        self._blocked = False  # the gateway waits for room
        self._free_s = 0.0  # when the network takes the next message
        self._received_at = 0.0  # when the server is done with the last
        self._up: deque[bytes | None] = deque()  # under way to the server; None: half-closed
        self._down: deque[list[str]] = deque()  # under way to the gateway
        self._final = False  # committed
        self._struck = False
        endpoint.streams[self] = None
        if fate.blow not in (Blow.NONE, Blow.UNCREATED):
            self._loop.call_later(fate.after_s, self._strike, context=OUTSIDE)
        if fate.blow is not Blow.UNCREATED:
            self._reply([protocol.session_created("0" * 16, 0)])

    # The gateway's end

    def send(self, message: bytes) -> bool:
        """Take a message into the window, or say that it is full."""
        if self._receiver is None:
            return False
        if self._queued >= self._endpoint.nature.window:
            self._blocked = True
            return False
        if self._final:
            self._endpoint.breach(f"{self._name}: sent after the final commit")
        self._final = message == _FINAL
        self._queued += 1
        self._put(message)
        return True

    def finish(self) -> None:
        """Half-close."""
        if self._receiver is not None:
            self._endpoint.trace.note(self._name, "half-closed")
            self.is_half_closed = True
            self._on_over(self)
            self._queued += 1
            self._put(None)

    def abort(self) -> None:
        """End at once; the gateway hears `on_closed`, the server soon learns of it."""
        if self._receiver is not None:
            self._endpoint.trace.note(self._name, "aborted")
            self._loop.call_soon(self._receiver.on_closed, None)
            self.vanish()

    def vanish(self) -> None:
        """End without a word to the gateway."""
        self._let_go()
        self._loop.call_later(self._endpoint.nature.latency_s, self._leave, context=OUTSIDE)

    # What befalls it

    def reset(self, reason: str) -> None:
        """End with an error; nothing that was under way arrives."""
        self._close(UpstreamError(reason))

    def _strike(self) -> None:
        if self._receiver is None:
            return
        self._struck = True
        match self._fate.blow:
            case Blow.RESET:
                self.reset(self._fate.reason)
            case Blow.EOF:
                self._close(None)
            case Blow.ERROR:
                self._reply([protocol.error("processing_error", "simulated")])
            case Blow.DONE:
                self._reply([protocol.done("", 0, 0)])
            case _:
                pass  # it shows in how messages are taken and answered from now on

    def _is(self, blow: Blow) -> bool:
        return self._struck and self._fate.blow is blow

    # The network

    def _put(self, message: bytes | None) -> None:
        now_s = self._loop.time()
        self._free_s = max(now_s, self._free_s + (_THROTTLED_S if self._is(Blow.THROTTLED) else 0))
        self._up.append(message)
        at_s = self._free_s + self._endpoint.nature.latency_s
        self._loop.call_at(at_s, self._arrive, context=OUTSIDE)

    def _arrive(self) -> None:
        """Have the oldest message leave the window and reach the server."""
        message = self._up.popleft()
        self._queued -= 1
        if self._blocked and self._receiver is not None:
            self._blocked = False
            self._process.enter(self._receiver.on_writable)
        if self._is(Blow.SLOW):
            self._received_at = max(self._loop.time(), self._received_at) + _SLOW_S
            self._loop.call_at(self._received_at, self._serve, message, context=OUTSIDE)
        else:
            self._serve(message)

    def _reply(self, messages: Sequence[str]) -> None:
        if messages:
            self._down.append(list(messages))
            self._loop.call_later(self._endpoint.nature.latency_s, self._deliver, context=OUTSIDE)

    def _deliver(self) -> None:
        for message in self._down.popleft() if self._down else ():
            if self._receiver is not None:
                self._process.enter(self._receiver.on_message, message.encode())

    # The server's end

    def _serve(self, message: bytes | None) -> None:
        if self not in self._endpoint.streams:
            return  # it has ended meanwhile
        if message is None:
            latency_s = self._endpoint.nature.latency_s
            self._loop.call_later(latency_s, self._close, None, context=OUTSIDE)
            return
        replies = self._session.receive(message)
        self._follow()
        self._say(replies)

    def _say(self, replies: Sequence[str]) -> None:
        if any(reply.startswith('{"type":"error"') for reply in replies):
            self._endpoint.breach(f"{self._name}: sent what the server refuses")
        if not self._is(Blow.STALLED):
            self._reply(replies)

    def _follow(self) -> None:
        match self._session.phase:
            case Phase.WAITING:
                self._endpoint.slots.claim(self, self._begin)
            case Phase.IDLE:
                self._endpoint.slots.release(self)
            case Phase.HEARING | Phase.DRAINING:
                pass

    def _begin(self) -> None:
        transcription = self._endpoint.transcriber.begin(lambda: None)
        replies = self._session.begin(transcription)
        self._follow()
        self._say(replies)

    # The end

    def _close(self, error: UpstreamError | None) -> None:
        """End from the server's side."""
        receiver = self._receiver
        self._leave()
        if receiver is not None:
            self._endpoint.trace.note(self._name, f"closed: {error or 'end of stream'}")
            self._let_go()
            self._process.enter(receiver.on_closed, error)

    def _let_go(self) -> None:
        self._receiver = None
        self._on_over(self)

    def _leave(self) -> None:
        self._session.abandon()
        self._endpoint.slots.release(self)
        self._endpoint.streams.pop(self, None)
