"""A simulated model endpoint: the CPU engine's session logic behind a network with faults.

    gateway --window, latency--> slots, server's session, checksums --latency--> gateway

`Endpoint` is the server that all gateways share, `Link` one gateway's transport to it. The fault of
a stream is drawn when the stream is opened (`PlannedFault`). The world injects faults of the whole
endpoint (`refusal`, `break_all`). Violations of the protocol by a gateway are collected in
`breaches`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from container.cpu import mistral_text, protocol
from container.cpu.checksum import ChecksumTranscriber, ChecksumTranscription
from container.cpu.clock import TOKEN_SAMPLES, TokenClock
from container.cpu.conversion import G711_HZ, Coding
from container.cpu.deepgram import ListenSession
from container.cpu.deepgram_query import ListenOptions
from container.cpu.generation import Rules
from container.cpu.mistral import MistralRules, MistralSession
from container.cpu.openai import OpenAiSession
from container.cpu.openai_protocol import OpenAiServer
from container.cpu.server_session import Close, Phase, Reply, ServerSession
from container.cpu.session import RealtimeSession
from container.cpu.slots import Slots
from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address
from gateway.upstream.dialects.registry import DialectName
from gateway.upstream.transport import StreamReceiver
from tests.simulation.process import OUTSIDE, Process
from tests.simulation.trace import Trace

MODEL: Final = "simulated"
_SLOW_S: Final = 0.13  # to process a message if slow; a chunk is 80 ms
_THROTTLED_S: Final = 0.3  # to send a message from the window if throttled

_CHUNK_BYTES: Final = 2 * TOKEN_SAMPLES
_RINGING_BYTES: Final = 2 * 46  # of the gateway's filter, after sound

_FINALS: Final = (
    b'{"type":"input_audio_buffer.commit","final":true}',
    b'{"type":"CloseStream"}',
    b'{"type":"input_audio.end"}',
)
# Without guesses, because a wrong word becomes final if no session is left to correct it.
_LISTEN: Final = ListenOptions(
    interim_results=True,
    endpointing_ms=1000,
    utterance_end_ms=1000,
    coding=Coding.MULAW,  # as the carrier sends it
    rate_hz=G711_HZ,
    guesses=False,
)


@dataclass(frozen=True, slots=True)
class Server:
    """What a server's messages look like.

    Attributes:
        session: creates the state of a session.
        done: the beginning of the message that ends a session or a turn.
        error: the beginning of an error.
        unasked_done: a `done` that was not requested.
        harmless: part of an error that a correct client may cause.
        answers_speech: whether it answers nothing else.
    """

    session: Callable[["EndpointSpec"], ServerSession]
    done: str
    error: str
    unasked_done: str
    harmless: str = "-"
    answers_speech: bool = False


def _rules(spec: "EndpointSpec") -> Rules:
    clock = TokenClock()
    longest = clock.prompt_tokens + spec.context_deltas
    return Rules(MODEL, clock, longest, segment_tokens=spec.segment_tokens)


_VLLM: Final = Server(
    session=lambda spec: RealtimeSession(_rules(spec)),
    done='{"type":"transcription.done"',
    error='{"type":"error"',
    unasked_done=protocol.done("", 0, 0),
)
_SGLANG: Final = Server(
    session=lambda spec: OpenAiSession(_rules(spec), OpenAiServer.SGLANG),
    done=_VLLM.done,
    error=_VLLM.error,
    unasked_done=_VLLM.unasked_done,
)
_SPEACHES: Final = Server(
    session=lambda spec: OpenAiSession(_rules(spec), OpenAiServer.SPEACHES, model=MODEL),
    done=_VLLM.done,
    error=_VLLM.error,
    unasked_done=_VLLM.unasked_done,
)
_OPENAI: Final = Server(
    session=lambda spec: OpenAiSession(_rules(spec), spec.openai),
    done=_VLLM.done,
    error=_VLLM.error,
    unasked_done=_VLLM.unasked_done,
)
_DEEPGRAM: Final = Server(
    session=lambda _: ListenSession(_LISTEN),
    done='{"type":"Metadata"',
    error='{"type":"Error"',
    unasked_done='{"type":"Metadata","duration":0.0001}',
)
_MISTRAL: Final = Server(
    session=lambda spec: MistralSession(_rules(spec), spec.extras),
    done='{"type":"transcription.done"',
    error='{"type":"error"',
    unasked_done=mistral_text.encode("transcription.done", model=MODEL, text="", usage={}),
    harmless="Turn detection is not supported",
    answers_speech=True,
)
_SERVERS: Final = {  # others: vLLM
    DialectName.DEEPGRAM: _DEEPGRAM,
    DialectName.MISTRAL: _MISTRAL,
    DialectName.OPENAI: _OPENAI,
    DialectName.SGLANG: _SGLANG,
    DialectName.SPEACHES: _SPEACHES,
}


class StreamFault(StrEnum):
    """The kinds of faults of a stream."""

    NONE = "none"
    REFUSED = "refused"  # the stream is refused with the fault's reason
    HANGING = "hanging"  # opening the stream never completes
    UNCREATED = "uncreated"  # opened, but `session.created` is never sent
    STALLED = "stalled"  # no more replies; from the beginning: only `session.created`
    RESET = "reset"  # ends with the fault's reason; pending replies are lost
    EOF = "eof"  # closed normally, but without `done`
    ERROR = "error"  # an `error` message
    DONE = "done"  # an unrequested `done`
    SLOW = "slow"  # processes audio slower than real time
    THROTTLED = "throttled"  # accepts messages slower than they arrive


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """The fault of one stream, and how many seconds after opening it begins."""

    kind: StreamFault = StreamFault.NONE
    after_s: float = 0.0
    reason: str = ""  # of a refusal or reset

    def __str__(self) -> str:
        return f"{self.kind} {self.reason}".rstrip() + f" after {self.after_s:.2f} s"


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """The properties of an endpoint."""

    name: str
    slots: int  # generations at once; further ones wait without an error
    context_deltas: int  # number of deltas that fills the context
    latency_s: float  # one way
    window: int  # messages that a stream can queue
    segment_tokens: int | None = None  # as in the engine's `Rules`
    dialect: DialectName | None = None  # None: that of the plan
    extras: MistralRules = field(default_factory=MistralRules)
    openai: OpenAiServer = OpenAiServer.STREAMING


class _SpeechOnly:
    """The checksums of a server that answers only speech: none for the ringing of a filter.

    Args:
        checksums: those of all audio.
    """

    def __init__(self, checksums: ChecksumTranscription) -> None:
        self._checksums = checksums
        self._pcm = bytearray()  # starting with the next chunk

    @property
    def confirmed(self) -> int:
        """Samples that are transcribed."""
        return self._checksums.confirmed

    @property
    def finished(self) -> bool:
        """Whether the audio has ended."""
        return self._checksums.finished

    def append(self, pcm: bytes) -> None:
        """Add audio."""
        self._pcm += pcm
        self._checksums.append(pcm)

    def finish(self) -> None:
        """End the audio."""
        self._checksums.finish()

    def next_text(self, *, last: bool) -> str:
        """Return the checksum of the next chunk, if it has more than ringing."""
        chunk = self._pcm[:_CHUNK_BYTES]
        del self._pcm[:_CHUNK_BYTES]
        text = self._checksums.next_text(last=last)
        return text if len(chunk.strip(b"\0")) > _RINGING_BYTES else ""

    def abandon(self) -> None:
        """Do nothing: no work runs in the background."""


class Endpoint:
    """The server: one engine for all gateways.

    Args:
        spec: its properties.
        draw: draws the fault of the next stream.
        trace: records what happens.
        capacity: sessions that may be open at once; more are a breach.
        shared: whether `capacity` applies to all gateways together; otherwise to each of them.
        dialect: what its server speaks.
    """

    def __init__(
        self,
        spec: EndpointSpec,
        draw: Callable[[], PlannedFault],
        trace: Trace,
        capacity: int,
        *,
        shared: bool,
        dialect: DialectName = DialectName.VOXTRAL,
    ) -> None:
        self.server = _SERVERS.get(dialect, _VLLM)
        self.spec = spec
        self.slots = Slots(spec.slots)
        self.transcriber = ChecksumTranscriber()
        self.trace = trace
        self.refusal: str | None = None  # the reason with which all new streams are refused now
        self.held: dict[object, str] = {}  # sessions, from opening to end, with their gateways
        self.streams: dict[Stream, None] = {}
        self.breaches: list[str] = []
        self._draw = draw
        self._capacity = capacity
        self._shared = shared
        self._opened = 0

    def next_stream(self) -> tuple[str, PlannedFault]:
        """Return the name and the fault of the next stream."""
        self._opened += 1
        name = f"{self.spec.name}#{self._opened}"
        if self.refusal:
            return name, PlannedFault(StreamFault.REFUSED, 0.0, self.refusal)
        return name, self._draw()

    def hold(self, holder: object, gateway: str) -> None:
        """Count a session that a gateway opens; report a breach if there are too many."""
        self.held[holder] = gateway
        counted = sum(self._shared or each == gateway for each in self.held.values())
        if counted > self._capacity:
            self.breach(f"{counted} sessions, {self._capacity} allowed")

    def breach(self, what: str) -> None:
        """Record a violation."""
        self.breaches.append(what)
        self.trace.note(self.spec.name, f"BREACH: {what}")

    def break_all(self, reason: str) -> None:
        """Reset all streams, as a restart of the engine does."""
        for stream in list(self.streams):
            stream.reset(reason)

    def stall_all(self) -> None:
        """Send no more replies on the streams that are open now."""
        for stream in self.streams:
            stream.stall()


class Link:
    """One gateway's transport to an endpoint; implements `UpstreamTransport`."""

    longest_stream_s: Final = None

    def __init__(self, endpoint: Endpoint, gateway: str, process: Process) -> None:
        self._endpoint = endpoint
        self._gateway = gateway
        self._process = process
        self._streams: dict[Stream, None] = {}
        self._crashed = False

    async def open(self, receiver: StreamReceiver, _: Address | None = None) -> "Stream":
        """Open a stream, unless its fault prevents it."""
        endpoint, holder = self._endpoint, object()
        name, fault = endpoint.next_stream()
        endpoint.trace.note(name, f"opening: {fault}")
        endpoint.hold(holder, self._gateway)
        try:
            await asyncio.sleep(2 * endpoint.spec.latency_s)
            if fault.kind is StreamFault.HANGING or self._crashed:
                await asyncio.Event().wait()
            if fault.kind is StreamFault.REFUSED:
                await asyncio.sleep(fault.after_s)
                raise UpstreamError(fault.reason)
            stream = Stream(name, endpoint, receiver, fault, self._remove, self._process)
        finally:
            del endpoint.held[holder]
        endpoint.hold(stream, self._gateway)
        self._streams[stream] = None
        return stream

    async def close(self) -> None:
        """Abort all open streams."""
        for stream in list(self._streams):
            stream.abort()

    def crash(self) -> None:
        """End all streams without callbacks, because the process has crashed."""
        self._crashed = True
        for stream in list(self._streams):
            stream.vanish()

    @property
    def open_streams(self) -> int:
        """Number of streams that the gateway has not closed."""
        return len(self._streams)

    def _remove(self, stream: "Stream") -> None:
        self._streams.pop(stream, None)
        self._endpoint.held.pop(stream, None)


class Stream:
    """One stream: the gateway's side, the network and the server's side."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        receiver: StreamReceiver,
        fault: PlannedFault,
        on_end: Callable[["Stream"], None],
        process: Process,
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._receiver: StreamReceiver | None = receiver
        self._fault = fault
        self._on_end = on_end
        self._process = process  # the gateway's
        self._loop = asyncio.get_running_loop()
        self._server = endpoint.server
        self._session = endpoint.server.session(endpoint.spec)
        self._idle: asyncio.TimerHandle | None = None
        self.is_half_closed = False
        self._queued = 0  # in the window
        self._blocked = False  # the gateway waits for room
        self._free_s = 0.0  # when the network can send the next message
        self._received_at = 0.0  # when the server has processed the last message
        # In flight to the server: audio in binary, other messages; None: the half-close.
        self._up: deque[bytes | str | None] = deque()
        self._down: deque[list[Reply]] = deque()  # in flight to the gateway
        self._final = False  # whether the last message was the final commit
        self._fault_active = False
        endpoint.streams[self] = None
        if fault.kind not in (StreamFault.NONE, StreamFault.UNCREATED):
            self._loop.call_later(fault.after_s, self._activate_fault, context=OUTSIDE)
        if fault.kind is not StreamFault.UNCREATED:
            self._reply(self._session.greet())
        self._watch_idle()

    # The gateway's side

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        """Queue a message in the window; return False if the window is full."""
        if self._receiver is None:
            return False
        if self._queued >= self._endpoint.spec.window:
            self._blocked = True
            return False
        if self._final:
            self._endpoint.breach(f"{self._name}: sent after the final commit")
        self._final = message in _FINALS
        self._queued += 1
        self._put(message if is_binary else message.decode())
        return True

    def finish(self) -> None:
        """Half-close."""
        if self._receiver is not None:
            self._endpoint.trace.note(self._name, "half-closed")
            self.is_half_closed = True
            self._on_end(self)
            self._queued += 1
            self._put(None)

    def abort(self) -> None:
        """End at once: call `on_closed` and close the server's side after the latency."""
        if self._receiver is not None:
            self._endpoint.trace.note(self._name, "aborted")
            self._loop.call_soon(self._receiver.on_closed, None)
            self.vanish()

    def vanish(self) -> None:
        """End without a callback to the gateway."""
        self._detach()
        self._loop.call_later(self._endpoint.spec.latency_s, self._release_session, context=OUTSIDE)

    # Faults

    def reset(self, reason: str) -> None:
        """End with an error; messages in flight are lost."""
        self._close(UpstreamError(reason))

    def stall(self) -> None:
        """Send no more replies."""
        self._fault, self._fault_active = PlannedFault(StreamFault.STALLED), True

    def _activate_fault(self) -> None:
        if self._receiver is None:
            return
        self._fault_active = True
        match self._fault.kind:
            case StreamFault.RESET:
                self.reset(self._fault.reason)
            case StreamFault.EOF:
                self._close(None)
            case StreamFault.ERROR:
                self._reply([self._session.error("simulated")])
            case StreamFault.DONE:
                self._reply([self._server.unasked_done])
            case _:
                pass  # from now on, `_has_fault` changes how messages are processed

    def _has_fault(self, kind: StreamFault) -> bool:
        return self._fault_active and self._fault.kind is kind

    # The network

    def _put(self, message: bytes | str | None) -> None:
        now_s = self._loop.time()
        interval_s = _THROTTLED_S if self._has_fault(StreamFault.THROTTLED) else 0
        self._free_s = max(now_s, self._free_s + interval_s)
        self._up.append(message)
        at_s = self._free_s + self._endpoint.spec.latency_s
        self._loop.call_at(at_s, self._arrive, context=OUTSIDE)

    def _arrive(self) -> None:
        """Move the oldest message from the window to the server."""
        message = self._up.popleft()
        self._queued -= 1
        if self._blocked and self._receiver is not None:
            self._blocked = False
            self._process.enter(self._receiver.on_writable)
        if self._has_fault(StreamFault.SLOW):
            self._received_at = max(self._loop.time(), self._received_at) + _SLOW_S
            self._loop.call_at(self._received_at, self._serve, message, context=OUTSIDE)
        else:
            self._serve(message)

    def _reply(self, messages: Sequence[Reply]) -> None:
        if messages:
            self._down.append(list(messages))
            self._loop.call_later(self._endpoint.spec.latency_s, self._deliver, context=OUTSIDE)

    def _deliver(self) -> None:
        for message in self._down.popleft() if self._down else ():
            if message is self._server.unasked_done and self._is_undecidable:
                self._endpoint.trace.note(self._name, "crossed: done")
                continue
            if isinstance(message, Close):
                is_clean = message.code == 1000
                self._close(None if is_clean else UpstreamError("internal-server-error"))
            elif self._receiver is not None:
                self._final = self._final and not message.startswith(self._server.done)
                self._process.enter(self._receiver.on_message, message.encode())

    @property
    def _is_undecidable(self) -> bool:
        """Whether an unasked `done` would look like the end that was asked for.

        It crosses the gateway's last message, and a server that answers only speech does not say
        how much of it is answered. See docs/models.md.
        """
        return self._final and self._server.answers_speech

    # The server's side

    def _watch_idle(self) -> None:
        if (idle_s := self._session.idle_s) is not None:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = self._loop.call_later(idle_s, self._expire, context=OUTSIDE)

    def _expire(self) -> None:
        self._send_replies(self._session.expire())

    def _serve(self, message: bytes | str | None) -> None:
        if self not in self._endpoint.streams:
            return  # the stream has ended meanwhile
        self._watch_idle()
        if message is None:
            latency_s = self._endpoint.spec.latency_s
            self._loop.call_later(latency_s, self._close, None, context=OUTSIDE)
            return
        self._send_replies(self._session.receive(message))
        self._apply_phase()

    def _send_replies(self, replies: Sequence[Reply]) -> None:
        texts = [reply for reply in replies if isinstance(reply, str)]
        server = self._server
        if any(t.startswith(server.error) and server.harmless not in t for t in texts):
            self._endpoint.breach(f"{self._name}: sent a message that the server rejects")
        if not self._has_fault(StreamFault.STALLED):
            self._reply(replies)

    def _apply_phase(self) -> None:
        match self._session.phase:
            case Phase.WAITING:
                self._endpoint.slots.claim(self, self._begin)
            case Phase.IDLE:
                self._endpoint.slots.release(self)
            case Phase.RUNNING | Phase.DRAINING:
                pass

    def _begin(self) -> None:
        checksums = self._endpoint.transcriber.begin(lambda: None)
        transcription = _SpeechOnly(checksums) if self._server.answers_speech else checksums
        self._send_replies(self._session.begin(transcription))
        self._apply_phase()

    # The end

    def _close(self, error: UpstreamError | None) -> None:
        """Close from the server's side."""
        receiver = self._receiver
        self._release_session()
        if receiver is not None:
            self._endpoint.trace.note(self._name, f"closed: {error or 'end of stream'}")
            self._detach()
            self._process.enter(receiver.on_closed, error)

    def _detach(self) -> None:
        self._receiver = None
        self._on_end(self)

    def _release_session(self) -> None:
        self._session.abandon()
        if self._idle is not None:
            self._idle.cancel()
        self._endpoint.slots.release(self)
        self._endpoint.streams.pop(self, None)
