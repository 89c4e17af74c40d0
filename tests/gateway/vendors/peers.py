"""Calls of numbered words, in virtual time, with a server of a vendor."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

from gateway.errors import UpstreamError
from gateway.transcript.events import GapCause, TranscriptDelta, TranscriptFinal, TranscriptGap
from gateway.upstream.dialects.dialect import Address, Dialect
from gateway.upstream.transport import StreamReceiver
from tests.gateway.calls.stream_harness import StreamHarness, running_stream
from tests.gateway.scripted import ScriptedTransport
from tests.gateway.vendors import codes
from tests.gateway.vendors.nova import Close

FRAME_BYTES = 160  # 20 ms of mu-law


class Peer(Protocol):
    """One connection of a server."""

    def audio(self, pcm: bytes) -> None:
        """Receive a binary frame."""

    def control(self, text: str) -> None:
        """Receive a text frame."""

    def stop(self) -> None:
        """The connection is over."""


type Serve = Callable[[Callable[[str | Close], None]], Peer]


class PeerStream:
    """One connection in virtual time."""

    def __init__(self, receiver: StreamReceiver, serve: Serve) -> None:
        self._receiver: StreamReceiver | None = receiver
        self.peer = serve(self._deliver)

    @property
    def is_open(self) -> bool:
        return self._receiver is not None

    def send(self, message: bytes, *, is_binary: bool = False) -> bool:
        if self.is_open:
            asyncio.get_running_loop().call_soon(self._pass_on, message, is_binary)
        return self.is_open

    def _pass_on(self, message: bytes, is_binary: bool) -> None:
        if not self.is_open:
            return
        if is_binary:
            self.peer.audio(message)
        else:
            self.peer.control(message.decode())

    def finish(self) -> None:
        self._close(None)

    def abort(self) -> None:
        self._close(None)

    def lose(self) -> None:
        """Lose the connection."""
        self._close(UpstreamError("connection-lost"))

    def _deliver(self, message: str | Close) -> None:
        if isinstance(message, Close):
            is_clean = message.code == 1000
            self._close(None if is_clean else UpstreamError("internal-server-error"))
        elif self._receiver:
            self._receiver.on_message(message.encode())

    def _close(self, error: UpstreamError | None) -> None:
        self.peer.stop()
        receiver, self._receiver = self._receiver, None
        if receiver:
            asyncio.get_running_loop().call_soon(receiver.on_closed, error)


class PeerTransport:
    """Opens connections; the nth one is served by the nth function, the others by the last.

    Attributes:
        streams: the connections.
        open_s: how long it takes to open one.
    """

    longest_stream_s = None

    def __init__(self, *serve: Serve, open_s: float = 0.0) -> None:
        self.streams: list[PeerStream] = []
        self.open_s = open_s
        self._serve = serve

    async def open(self, receiver: StreamReceiver, address: Address | None = None) -> PeerStream:
        await asyncio.sleep(self.open_s)
        serve = self._serve[min(len(self.streams), len(self._serve) - 1)]
        self.streams.append(PeerStream(receiver, serve))
        return self.streams[-1]

    async def close(self) -> None:
        pass


class Caller:
    """The carrier's side of a call on one track, in real time."""

    def __init__(self, harness: StreamHarness, transport: PeerTransport) -> None:
        self.harness = harness
        self.transport = transport
        self.spoken: list[codes.Word] = []
        self.at_ms = 0

    async def send(self, mulaw: bytes) -> None:
        for at in range(0, len(mulaw), FRAME_BYTES):
            frame = mulaw[at : at + FRAME_BYTES]
            media = {"track": "inbound", "payload": base64.b64encode(frame).decode()}
            self.harness.feed("media", media={**media, "timestamp": str(self.at_ms)})
            self.at_ms += len(frame) // 8
            await asyncio.sleep(len(frame) / 8000)

    async def say(self, words: int, last_ms: int = codes.WORD_MS) -> None:
        for left in range(words, 0, -1):
            number = len(self.spoken)
            length_ms = last_ms if left == 1 else codes.WORD_MS
            self.spoken.append(codes.Word(number, self.at_ms, self.at_ms + length_ms))
            await self.send(codes.word(number)[: 8 * length_ms])

    async def pause(self, milliseconds: int) -> None:
        await self.send(codes.silence(milliseconds))

    async def hold(self, seconds: float) -> None:
        """Send nothing; the carrier's clock continues."""
        await asyncio.sleep(seconds)
        self.at_ms += round(1000 * seconds)

    @property
    def finals(self) -> list[TranscriptFinal]:
        return [final for final in self.harness.of(TranscriptFinal) if final.text]

    @property
    def words(self) -> list[str]:
        return words_of(" ".join(final.text for final in self.finals))

    @property
    def gaps(self) -> Sequence[TranscriptGap]:
        return self.harness.of(TranscriptGap)


@asynccontextmanager
async def call(transport: PeerTransport, dialect: Dialect, **limits: Any) -> AsyncIterator[Caller]:
    """Place a call; at the end of the context hang up, and wait for the last event."""
    made = cast(ScriptedTransport, transport)
    limits = {"finish_timeout_s": 30, "done_timeout_s": 15} | limits
    async with running_stream(made, **limits) as (harness, task):
        harness.reservation.dialect = dialect
        harness.start("inbound")
        yield Caller(harness, transport)
        harness.feed("stop")
        await asyncio.wait_for(task, 120)


def words_of(text: str) -> list[str]:
    return re.findall(r"w\d{4}", text.lower())


def assert_whole(
    caller: Caller,
    *,
    streams: int | None = 1,
    times: bool = True,
    gaps: bool = False,
    slack_ms: int = 1000,
) -> None:
    """Assert that every word was published once, in order, at its time."""
    assert caller.words == [word.text for word in caller.spoken]
    lost = [gap for gap in caller.gaps if gap.cause is not GapCause.NOT_SENT]
    assert gaps or not lost, lost
    assert caller.harness.ended.status == "completed"
    if streams is not None:
        assert len(caller.transport.streams) == streams
    for final in caller.harness.of(TranscriptFinal):
        deltas = [
            delta
            for delta in caller.harness.of(TranscriptDelta)
            if (delta.segment, delta.rev) == (final.segment, final.rev)
        ]
        assert "".join(delta.text for delta in deltas) == final.text
        if times:
            _assert_times(caller, final, slack_ms)
            for delta in deltas:
                for text in words_of(delta.text):
                    word = caller.spoken[int(text[1:])]
                    assert delta.start_ms - slack_ms <= word.start_ms, (delta, word)
                    assert word.end_ms <= delta.end_ms + slack_ms, (delta, word)


def _assert_times(caller: Caller, final: TranscriptFinal, slack_ms: int) -> None:
    if found := words_of(final.text):
        first, last = (caller.spoken[int(found[at][1:])] for at in (0, -1))
        assert abs(final.start_ms - first.start_ms) <= slack_ms, (final, first)
        assert abs(final.end_ms - last.end_ms) <= slack_ms, (final, last)
