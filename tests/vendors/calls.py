"""Play a call through a stream of the gateway to a server, and check its transcript."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any, Final

from gateway.metrics import Metrics
from gateway.transcript.events import (
    StreamEnded,
    TranscriptDelta,
    TranscriptEvent,
    TranscriptFinal,
    TranscriptGap,
)
from gateway.upstream.dialects.dialect import Address, Dialect, Options
from gateway.upstream.dialects.registry import fallback
from gateway.upstream.transport import StreamReceiver, UpstreamStream
from gateway.upstream.websocket import WebSocketTransport
from tests.gateway.calls.stream_harness import running_stream
from tests.gateway.scripted import ScriptedTransport
from tests.vendors.spelling import WORD_MS, WORDS, quiet, say

OPTIONS: Final = Options("m")
_FRAME: Final = 640  # bytes: 80 ms
_TOLERANCE_MS: Final = 1000


@dataclass(frozen=True)
class Talk:
    """Words and pauses: (numbers of words, milliseconds of silence after them)."""

    parts: tuple[tuple[range, int], ...]

    @property
    def mulaw(self) -> bytes:
        """The audio."""
        return b"".join(say(numbers) + quiet(pause_ms) for numbers, pause_ms in self.parts)

    @property
    def words(self) -> list[tuple[str, int]]:
        """All words, with their times."""
        found, at_ms = [], 0
        for numbers, pause_ms in self.parts:
            for number in numbers:
                found.append((WORDS[number], at_ms))
                at_ms += WORD_MS
            at_ms += pause_ms
        return found


# Short answers, a sentence, and 18 s without a pause; the hang-up comes with the last word.
TALK: Final = Talk(
    (
        (range(2), 1500),
        (range(2, 3), 2000),
        (range(4, 12), 700),
        (range(12, 14), 1600),
        (range(20, 65), 5000),
        (range(75, 82), 0),
    )
)


@dataclass(frozen=True)
class Played:
    """A call and its events."""

    talk: Talk
    events: list[TranscriptEvent]
    metrics: Metrics
    took_s: float  # from the hang-up to its end
    failures: list[tuple[str, float]]  # of its sessions: why, and when, from its start

    @property
    def ended(self) -> StreamEnded:
        """The last event."""
        assert isinstance(self.events[-1], StreamEnded)
        return self.events[-1]

    @property
    def text(self) -> str:
        """The text of all finals."""
        return " ".join(e.text for e in self.events if isinstance(e, TranscriptFinal) and e.text)

    @property
    def gaps(self) -> list[TranscriptGap]:
        """All gaps."""
        return [e for e in self.events if isinstance(e, TranscriptGap)]

    def assert_whole(self) -> None:
        """Assert that each word is there once, in order, at its time, and no gap was declared."""
        assert (self.ended.status, self.ended.reason) == ("completed", "carrier-stopped"), (
            self.ended
        )
        self.assert_words(self.talk.words)
        assert self.gaps == []

    def assert_words(self, expected: list[tuple[str, int]]) -> None:
        """Assert that these are the words of the finals, and about their times."""
        assert self.text.lower().replace(".", "").split() == [word for word, _ in expected]
        words = iter(expected)
        for final in (e for e in self.events if isinstance(e, TranscriptFinal) and e.text):
            times = [next(words)[1] for _ in final.text.split()]
            assert abs(final.start_ms - times[0]) <= _TOLERANCE_MS, final
            assert abs(final.end_ms - times[-1] - WORD_MS) <= _TOLERANCE_MS, final

    def assert_deltas(self) -> None:
        """Assert that the deltas of each segment's last revision are its final's text."""
        texts: dict[tuple[int, int], str] = {}
        for event in self.events:
            if isinstance(event, TranscriptDelta):
                key = event.segment, event.rev
                texts[key] = texts.get(key, "") + event.text
            elif isinstance(event, TranscriptFinal):
                assert texts.get((event.segment, event.rev), "") == event.text


class _Transport(ScriptedTransport):
    """Opens WebSockets, with what the dialect adds to the address."""

    def __init__(self, url: str, dialect: Dialect) -> None:
        super().__init__()
        self._sockets = WebSocketTransport(url)
        self._address = dialect.address(OPTIONS, None)

    async def open(  # type: ignore[override]
        self, receiver: StreamReceiver, address: Address | None = None
    ) -> UpstreamStream:
        return await self._sockets.open(receiver, self._address)

    async def close(self) -> None:
        await self._sockets.close()


async def play(url: str, dialect: Dialect, talk: Talk = TALK, **limits: Any) -> Played:
    """Play a call in real time."""
    transport = _Transport(url, dialect)
    loop = asyncio.get_running_loop()
    try:
        async with running_stream(transport, **limits) as (harness, task):
            harness.reservation.dialect = dialect
            harness.start()
            mulaw, began_s = talk.mulaw, loop.time()
            failures: list[tuple[str, float]] = []
            for at in range(0, len(mulaw), _FRAME):
                payload = base64.b64encode(mulaw[at : at + _FRAME]).decode()
                harness.feed("media", media={"track": "inbound", "payload": payload})
                await asyncio.sleep(0.08)
                outcomes = [each for slot in harness.reservation.slots for each in slot.outcomes]
                if "doubted" in outcomes:
                    harness.reservation.dialect = fallback(dialect) or dialect
                reasons = [each for each in outcomes if each not in ("worked", "doubted")]
                failures += [(each, loop.time() - began_s) for each in reasons[len(failures) :]]
            hung_up_s = loop.time()
            harness.feed("stop")
            async with asyncio.timeout(60):
                await task
            took_s = loop.time() - hung_up_s
        return Played(talk, harness.events, harness.metrics, took_s, failures)
    finally:
        await transport.close()
