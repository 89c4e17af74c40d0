"""Play a call through a stream of the gateway to a server, and check its transcript."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from gateway.transcript.events import (
    GapCause,
    StreamEnded,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from gateway.upstream.dialects.dialect import Address, Dialect, Options
from gateway.upstream.dialects.registry import fallback
from gateway.upstream.transport import StreamReceiver, UpstreamStream, UpstreamTransport
from gateway.upstream.websocket import WebSocketTransport
from tests.gateway.calls.stream_harness import StreamHarness, running_stream
from tests.gateway.scripted import ScriptedSlot, ScriptedTransport
from tests.vendors import words
from tests.vendors.words import WORD_MS, Word, texts_in

OPTIONS: Final = Options("m")
_FRAME_BYTES: Final = 640  # 80 ms of mu-law
type Talk = Sequence[tuple[int, int]]  # numbers of words, and milliseconds of silence after them

# Short answers, a sentence, and 16 s without a pause; the hang-up comes with the last word.
TALK: Final[Talk] = ((2, 1500), (1, 2000), (8, 1600), (40, 3000), (5, 0))


class Caller:
    """The carrier's side of a call on one track, in real time, and the call's events.

    Attributes:
        spoken: the words so far.
        at_ms: the time in the call.
        failures: of its sessions: why, and after how many seconds.
        took_s: from the hang-up to the last event.
    """

    def __init__(self, harness: StreamHarness) -> None:
        self.spoken: list[Word] = []
        self.at_ms = 0
        self.failures: list[tuple[str, float]] = []
        self.took_s = 0.0
        self._harness = harness
        self._dialect = harness.reservation.dialect

    async def send(self, mulaw: bytes) -> None:
        """Send audio."""
        for at in range(0, len(mulaw), _FRAME_BYTES):
            frame = mulaw[at : at + _FRAME_BYTES]
            media = {"track": "inbound", "payload": base64.b64encode(frame).decode()}
            self._harness.feed("media", media={**media, "timestamp": str(self.at_ms)})
            self.at_ms += len(frame) // 8
            await asyncio.sleep(len(frame) / 8000)
            self._look()

    async def say(self, count: int, last_ms: int = WORD_MS) -> None:
        """Speak words; of the last one only the beginning."""
        for left in range(count, 0, -1):
            number = len(self.spoken)
            length_ms = last_ms if left == 1 else WORD_MS
            self.spoken.append(Word(number, self.at_ms, self.at_ms + length_ms))
            await self.send(words.word(number)[: 8 * length_ms])

    async def pause(self, milliseconds: int) -> None:
        """Send silence."""
        await self.send(words.silence(milliseconds))

    async def talk(self, talk: Talk = TALK) -> None:
        """Speak words, with pauses."""
        for count, pause_ms in talk:
            await self.say(count)
            await self.pause(pause_ms)

    async def hold(self, seconds: float) -> None:
        """Send nothing; the carrier's clock continues."""
        await asyncio.sleep(seconds)
        self.at_ms += round(1000 * seconds)

    def _look(self) -> None:
        """Do what admission does with the outcomes of sessions."""
        reservation = self._harness.reservation
        outcomes = [each for slot in reservation.slots for each in slot.outcomes]
        if "doubted" in outcomes:
            reservation.dialect = fallback(self._dialect) or self._dialect
        reasons = [each for each in outcomes if each not in ("worked", "doubted")]
        new = reasons[len(self.failures) :]
        self.failures += [(reason, self.at_ms / 1000) for reason in new]

    @property
    def ended(self) -> StreamEnded:
        """The last event."""
        return self._harness.ended

    @property
    def finals(self) -> list[TranscriptFinal]:
        """The finals with text."""
        return [final for final in self._harness.of(TranscriptFinal) if final.text]

    @property
    def texts(self) -> list[str]:
        """The words of all finals."""
        return texts_in(" ".join(final.text for final in self.finals))

    @property
    def gaps(self) -> Sequence[TranscriptGap]:
        """All gaps."""
        return self._harness.of(TranscriptGap)

    def assert_whole(
        self,
        *,
        times: bool = True,
        delta_times: bool = False,
        gaps: bool = False,
        slack_ms: int = 1000,
    ) -> None:
        """Assert that each word was published once, in order, at its time, and the call completed.

        Args:
            times: whether the times of finals are checked.
            delta_times: likewise of deltas.
            gaps: whether gaps of the model may be declared.
            slack_ms: tolerance of times.
        """
        assert (self.ended.status, self.ended.reason) == ("completed", "carrier-stopped")
        assert gaps or not [gap for gap in self.gaps if gap.cause is not GapCause.NOT_SENT]
        self.assert_words(self.spoken, times=times, delta_times=delta_times, slack_ms=slack_ms)

    def assert_words(
        self,
        expected: Sequence[Word],
        *,
        times: bool = True,
        delta_times: bool = False,
        slack_ms: int = 1000,
    ) -> None:
        """Assert that these words were published, and with which times."""
        assert self.texts == [word.text for word in expected]
        for final in self._harness.of(TranscriptFinal):
            deltas = [
                delta
                for delta in self._harness.of(TranscriptDelta)
                if (delta.segment, delta.rev) == (final.segment, final.rev)
            ]
            assert "".join(delta.text for delta in deltas) == final.text
            if times:
                self._assert_times(final, slack_ms)
            for delta in deltas if delta_times else ():
                self._assert_times(delta, slack_ms)

    def _assert_times(self, event: TranscriptFinal | TranscriptDelta, slack_ms: int) -> None:
        """Assert that an event includes the time of its words; a final, nothing else."""
        known = [text for text in texts_in(event.text) if re.fullmatch(r"w\d{4}", text)]
        if not known:
            return
        first, last = (self.spoken[int(known[at][1:])] for at in (0, -1))
        assert event.start_ms - slack_ms <= first.start_ms, (event, first)
        assert last.end_ms <= event.end_ms + slack_ms, (event, last)
        if isinstance(event, TranscriptFinal):
            assert first.start_ms - slack_ms <= event.start_ms, (event, first)
            assert event.end_ms <= last.end_ms + slack_ms, (event, last)


class _Addressed:
    """A transport whose streams have the address that the newest slot's session asked for."""

    longest_stream_s = None

    def __init__(self, transport: UpstreamTransport, key: str | None) -> None:
        self.slots: list[ScriptedSlot] = []
        self._transport = transport
        self._key = key

    async def open(self, receiver: StreamReceiver, _: Address | None = None) -> UpstreamStream:
        slot = self.slots[-1]
        address = slot.dialect.address(slot.asked or slot.options, self._key)
        return await self._transport.open(receiver, address)


@asynccontextmanager
async def call(
    to: str | UpstreamTransport,
    dialect: Dialect,
    options: Options = OPTIONS,
    key: str | None = None,
    **limits: Any,
) -> AsyncIterator[Caller]:
    """Place a call; at the end of the context hang up, and wait for the last event.

    Args:
        to: URL of the server, or the transport to it.
        dialect: of the endpoint.
        options: likewise.
        key: likewise.
        limits: see `CallLimits`.
    """
    transport = WebSocketTransport(to) if isinstance(to, str) else to
    addressed = _Addressed(transport, key)
    limits = {"finish_timeout_s": 30, "done_timeout_s": 15} | limits
    loop = asyncio.get_running_loop()
    try:
        async with running_stream(cast(ScriptedTransport, addressed), **limits) as (harness, task):
            harness.reservation.dialect = dialect
            harness.reservation.options = options
            addressed.slots = harness.reservation.slots
            harness.start("inbound")
            caller = Caller(harness)
            yield caller
            hung_up_s = loop.time()
            harness.feed("stop")
            await asyncio.wait_for(task, 120)
            caller.took_s = loop.time() - hung_up_s
    finally:
        await transport.close()


async def play(url: str, dialect: Dialect, talk: Talk = TALK, **limits: Any) -> Caller:
    """Play a call."""
    async with call(url, dialect, **limits) as caller:
        await caller.talk(talk)
    return caller
