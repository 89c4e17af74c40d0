"""A server of Mistral's hosted realtime transcription, and what its documentation leaves open.

Written from Mistral's documentation (realtime transcription, turn detection, limits), the types of
mistralai 3.7 for Python, and reports of its users. It shares no code with the CPU engine.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.vendors import servers
from tests.vendors.servers import Close, Send, VendorServer
from tests.vendors.words import Ears, Word

MODEL = "voxtral-mini-transcribe-realtime-3"
_MOST_BYTES = 262_144
_SEGMENT_PAUSE_MS = 600
_FORMATS = (
    {"encoding": "pcm_s16le", "sample_rate": 16_000},
    {"encoding": "pcm_mulaw", "sample_rate": 8000},
)


@dataclass(frozen=True)
class Script:
    """What a server may do.

    Attributes:
        segments: "none", "times", "null" (without times) or "other" (their text differs).
        segment_ms: longest segment.
        segment_error_ms: how much too long they are on both sides.
        turns: whether it can detect turns; else `turn_detection` is an error.
        end_threshold_ms: silence after which a turn ends.
        burst_s: time for which deltas are kept, then sent together; 0: none.
        pieces: whether a word comes in several deltas.
        punctuation: whether marks come in deltas of their own, one word late.
        held_words: how many words only `done` has.
        language: whether it reports languages.
        message: of an error, as the types allow: a text or an object.
        error_s: when it reports an error; None: never.
        lag_s: how late all its text is.
        stall: "A": no message after `stall_s`, "B": no text before it, "C": `done` at once, without
            the newest 2 s, "D": `done` although it was not asked for, at `stall_s`.
        stall_s: when the stall begins.
    """

    segments: str = "none"
    segment_ms: int = 10_000
    segment_error_ms: int = 0
    turns: bool = True
    end_threshold_ms: int = 700
    burst_s: float = 0.0
    pieces: bool = True
    punctuation: bool = False
    held_words: int = 0
    language: bool = False
    message: Any = "Something failed"
    error_s: float | None = None
    lag_s: float = 0.0
    stall: str = ""
    stall_s: float = 0.0


class MistralPeer:
    """One connection.

    Args:
        script: what it does.
        send: sends a message, or ends the connection.
    """

    def __init__(self, script: Script, send: Send) -> None:
        self.ears = Ears(16_000)
        self.settings: dict[str, Any] = {}
        self._script = script
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._loop.time()
        self._is_over = False
        self._is_ended = False
        self._sent_words = 0  # as deltas
        self._deltas = ""
        self._segmented = 0  # words that are in a segment
        self._turn_from: int | None = None  # number of words when the turn began
        self._mark = ""  # that belongs to the newest word and was not sent
        self._last_s = 0.0
        self._say("session.created", session=self._session())
        if script.error_s is not None:
            self._loop.call_later(script.error_s, self._fail)

    def audio(self, pcm: bytes) -> None:
        """Receive a binary frame, which is none of this protocol's."""
        raise AssertionError("a binary frame")

    def control(self, text: str) -> None:
        """Receive a text frame."""
        message = json.loads(text)
        match message["type"]:
            case "session.update":
                assert not self.ears.heard_ms
                self._update(message["session"])
            case "input_audio.append":
                assert not self._is_ended
                pcm = base64.b64decode(message["audio"], validate=True)
                assert 0 < len(pcm) <= _MOST_BYTES
                self._hear(pcm)
            case "input_audio.flush":
                pass
            case "input_audio.end":
                self._is_ended = True
                self._end()
            case kind:
                raise AssertionError(kind)

    def stop(self) -> None:
        """The connection is over."""
        self._is_over = True

    def _session(self) -> dict[str, Any]:
        form = {"encoding": "pcm_s16le", "sample_rate": 16_000}
        return {"request_id": "r", "model": MODEL, "audio_format": form, **self.settings}

    def _update(self, settings: dict[str, Any]) -> None:
        if settings.get("turn_detection") is not None and not self._script.turns:
            self._error("Turn detection is not available for this model")
            return
        self.settings = settings
        form = settings["audio_format"]
        assert form in _FORMATS
        self.ears = Ears(form["sample_rate"])
        self._say("session.updated", session=self._session())

    def _error(self, message: Any) -> None:
        self._say("error", error={"message": message, "code": 3000})

    def _fail(self) -> None:
        self._error(self._script.message)
        self._later(Close(1011, "internal error"), 0)

    # Audio

    @property
    def _delay_ms(self) -> int:
        return int(self.settings.get("target_streaming_delay_ms") or 480)

    def _hear(self, pcm: bytes) -> None:
        self.ears.hear(pcm)
        script = self._script
        is_stalled = script.stall == "B" and self._loop.time() - self._opened_s < script.stall_s
        if is_stalled:
            self._sent_words = self._segmented = len(self.ears.words)
            return
        self._advance(self.ears.heard_ms - self._delay_ms)
        if script.stall == "D" and self._loop.time() - self._opened_s >= script.stall_s:
            self._finish()

    def _advance(self, until_ms: int, *, is_end: bool = False) -> None:
        """Send what is known of the audio before a time."""
        words = self.ears.words
        least = len(words) - (1 if self.ears.is_in_word and not is_end else 0)
        known = [word for word in words[:least] if word.end_ms <= until_ms]
        held = self._script.held_words if is_end else 0
        for word in known[self._sent_words : max(self._sent_words, len(known) - held)]:
            self._delta(word)
        last_ms = known[-1].end_ms if known else 0
        if not is_end:
            self._segment(known, until_ms)
            self._turn(until_ms, last_ms)

    def _delta(self, word: Word) -> None:
        if self._turn_from is None:
            self._turn_from = self._sent_words
            if self._has_turns:
                self._say("turn.start", time_s=word.start_ms / 1000)
        if self._script.language and not self._sent_words:
            self._say("transcription.language", audio_language="en")
        self._sent_words += 1
        pieces = [f" {word.text[:2]}", word.text[2:]] if self._script.pieces else [f" {word.text}"]
        if self._script.punctuation:
            pieces = [self._mark, *pieces] if self._mark else pieces
            self._mark = "." if word.number % 3 == 0 else ","
        for piece in pieces:
            text = piece if self._deltas else piece.lstrip()
            self._deltas += text
            self._say("transcription.text.delta", text=text)

    def _segment(self, known: list[Word], until_ms: int) -> None:
        words = known[self._segmented :]
        if self._script.segments == "none" or not words:
            return
        is_pause = until_ms - words[-1].end_ms >= _SEGMENT_PAUSE_MS
        is_long = until_ms - words[0].start_ms >= self._script.segment_ms
        if is_pause or is_long:
            self._end_segment(words)

    def _end_segment(self, words: list[Word]) -> None:
        self._segmented += len(words)
        text, error_ms = " ".join(word.text for word in words), self._script.segment_error_ms
        start = max(0, words[0].start_ms - error_ms) / 1000
        end = (words[-1].end_ms + error_ms) / 1000
        match self._script.segments:
            case "null":
                self._say("transcription.segment", text=f" {text}", start=None, end=None)
            case "other":
                other = f"{text.upper().replace(' ', ',  ')}. "
                self._say("transcription.segment", text=other, start=start, end=end)
            case _:
                self._say("transcription.segment", text=f" {text}", start=start, end=end)

    @property
    def _has_turns(self) -> bool:
        return self.settings.get("turn_detection") is not None

    def _turn(self, until_ms: int, last_ms: int) -> None:
        if self._turn_from is None or until_ms - last_ms < self._script.end_threshold_ms:
            return
        self._turn_from = None
        if self._has_turns:
            self._say("turn.eager_end", time_s=(last_ms + 100) / 1000)
            self._say("turn.end", time_s=until_ms / 1000, end_reason="threshold")

    # The end

    def _end(self) -> None:
        if self._script.stall == "C":
            self._say("transcription.done", **self._summary(self._deltas))
            return
        self._finish()

    def _finish(self) -> None:
        self._advance(self.ears.heard_ms, is_end=True)
        words = self.ears.words
        if self._script.segments != "none" and words[self._segmented :]:
            self._end_segment(words[self._segmented :])
        text = self._deltas
        for word in words[self._sent_words :]:
            text += f" {word.text}"
        self._say("transcription.done", **self._summary(text))
        self._is_ended = True

    def _summary(self, text: str) -> dict[str, Any]:
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        return {"model": MODEL, "text": text, "language": None, "segments": [], "usage": usage}

    def _say(self, kind: str, **fields: Any) -> None:
        self._later(json.dumps({"type": kind, **fields}), self._script.lag_s)

    def _later(self, message: str | Close, delay_s: float) -> None:
        script, now_s = self._script, self._loop.time()
        due_s = now_s + 0.06 + (delay_s if self.settings else 0)
        if script.burst_s and self.settings:
            due_s = self._opened_s + (due_s - self._opened_s) // script.burst_s * script.burst_s
            due_s += script.burst_s
        due_s = self._last_s = max(due_s, self._last_s + 1e-6)
        self._loop.call_at(due_s, self._deliver, message)

    def _deliver(self, message: str | Close) -> None:
        script = self._script
        is_stalled = script.stall == "A" and self._loop.time() - self._opened_s >= script.stall_s
        if not (self._is_over or is_stalled):
            self._send(message)


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[VendorServer[MistralPeer]]:
    """Serve the nth connection by the nth script, and the others by the last."""
    async with servers.serving(
        "/v1/audio/transcriptions/realtime",
        lambda number, send: MistralPeer(scripts[min(number, len(scripts)) - 1], send),
    ) as server:
        yield server
