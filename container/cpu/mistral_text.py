"""The messages with text of Mistral's protocol: deltas, segments, turns and `done`. Pure.

The deltas have the text of the engine, one for each 80 ms that has any. A segment ends at a pause,
or at `SEGMENT_MS`; its times are those of its first and last delta. A turn ends after a pause whose
length the client chooses.
"""

import msgspec

from container.cpu.clock import TOKEN_MS, TOKEN_SAMPLES, TokenClock
from container.cpu.transcriber import Transcription

SEGMENT_MS = 8000  # a longer one ends between two deltas
PAUSE_MS = 480  # that ends a segment; before the end of a turn

_encode = msgspec.json.Encoder().encode


def encode(kind: str, **fields: object) -> str:
    """Encode a message."""
    return _encode({"type": kind, **fields}).decode()


class Transcript:
    """The messages with text, as the transcription proceeds."""

    def __init__(
        self,
        transcription: Transcription,
        clock: TokenClock,
        *,
        language: str | None,
        turn_pause_ms: int | None,
        has_segments: bool,
    ) -> None:
        self._transcription = transcription
        self._clock = clock
        self._language = language
        self._turns = _TurnDetector(turn_pause_ms) if turn_pause_ms else None
        self._segment = _SegmentWriter() if has_segments else None
        self._samples = 0
        self._tokens = 0
        self._has_ended = False
        self._texts: list[str] = []

    @property
    def confirmed(self) -> int:
        """Samples that are transcribed."""
        return self._transcription.confirmed

    @property
    def is_complete(self) -> bool:
        """Whether all text was returned."""
        return self._has_ended and self._tokens >= self._total and self._transcription.finished

    @property
    def _total(self) -> int:
        return -(-self._samples // TOKEN_SAMPLES)

    def append(self, pcm: bytes) -> None:
        """Add audio."""
        self._transcription.append(pcm)
        self._samples += len(pcm) // 2

    def finish(self) -> None:
        """End the audio."""
        self._has_ended = True
        self._transcription.finish()

    def abandon(self) -> None:
        """Stop the transcription; its result is no longer needed."""
        self._transcription.abandon()

    def advance(self) -> list[str]:
        """Return the messages that are due."""
        due = self._clock.live(min(self._samples, self._transcription.confirmed))
        if self._has_ended:
            # The last token has all text that is left, so it waits for the end.
            due = self._total if self._transcription.finished else min(due, self._total - 1)
        messages: list[str] = []
        while self._tokens < due:
            self._tokens += 1
            is_last = self._has_ended and self._tokens == self._total
            messages += self._token(self._transcription.next_text(last=is_last))
        return messages

    def _token(self, text: str) -> list[str]:
        messages = []
        end_ms = TOKEN_MS * self._tokens
        if text:
            if self._language is None:
                self._language = "en"
                messages.append(encode("transcription.language", audio_language="en"))
            self._texts.append(text)
            messages.append(encode("transcription.text.delta", text=text))
        if self._segment and (segment := self._segment.add(text, end_ms)):
            messages.append(segment)
        if self._turns:
            messages += self._turns.add(end_ms, has_text=bool(text))
        return messages

    def finale(self, model: str, audio_s: float) -> list[str]:
        """Return the last messages."""
        messages = []
        segments = None
        if self._segment:
            if segment := self._segment.end():
                messages.append(segment)
            segments = self._segment.all
        count = len(self._texts)
        usage = {
            "prompt_tokens": self._clock.prompt_tokens,
            "completion_tokens": count,
            "total_tokens": self._clock.prompt_tokens + count,
            "prompt_audio_seconds": int(audio_s),
        }
        done: dict[str, object] = {"model": model, "text": "".join(self._texts), "usage": usage}
        if segments is not None:
            done["segments"] = segments
        messages.append(encode("transcription.done", language=self._language, **done))
        return messages


class _SegmentWriter:
    """Writes segments.

    Attributes:
        all: those of the session.
    """

    def __init__(self) -> None:
        self.all: list[dict[str, object]] = []
        self._text = ""
        self._start_ms = 0
        self._end_ms = 0

    def add(self, text: str, end_ms: int) -> str | None:
        """Add 80 ms; return a segment that ends before or after it."""
        if text:
            if not self._text:
                self._start_ms = end_ms - TOKEN_MS
            self._text += text
            self._end_ms = end_ms
        is_paused = end_ms - self._end_ms >= PAUSE_MS
        is_long = end_ms - self._start_ms >= SEGMENT_MS
        return self.end() if is_paused or is_long else None

    def end(self) -> str | None:
        """Return the open segment."""
        if not self._text:
            return None
        times = {"start": self._start_ms / 1000, "end": self._end_ms / 1000}
        text, self._text = self._text.strip(), ""
        self.all.append({"type": "transcription_segment", "text": text, **times})
        return encode("transcription.segment", text=text, **times)


class _TurnDetector:
    """Writes the events of turns; `pause_ms` of silence end one."""

    def __init__(self, pause_ms: int) -> None:
        self._pause_ms = pause_ms
        self._end_ms: int | None = None  # of the open turn's text
        self._is_ending = False

    def add(self, end_ms: int, *, has_text: bool) -> list[str]:
        """Add 80 ms; return the events."""
        if has_text:
            begins, self._end_ms = self._end_ms is None, end_ms
            resumes, self._is_ending = self._is_ending, False
            kind = "turn.start" if begins else "turn.resume"
            time_s = (end_ms - TOKEN_MS) / 1000
            return [encode(kind, time_s=time_s)] if begins or resumes else []
        if self._end_ms is None:
            return []
        silent_ms = end_ms - self._end_ms
        if silent_ms >= self._pause_ms:
            self._end_ms, self._is_ending = None, False
            return [encode("turn.end", time_s=end_ms / 1000, end_reason="threshold")]
        if silent_ms >= self._pause_ms / 2 and not self._is_ending:
            self._is_ending = True
            return [encode("turn.eager_end", time_s=end_ms / 1000)]
        return []
