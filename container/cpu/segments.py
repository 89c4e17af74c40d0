"""Run one generation as Qwen3-ASR does on vLLM: in segments of 5 s. Pure.

    audio    |<---- 5 s ---->|<---- 5 s ---->|<- the rest, at the final commit ->|
    deltas                   burst           burst                          burst, done

Each segment's deltas are one burst: `language`, ` English`, `<asr_text>`, the words, and an empty
one for its end. The next segment follows without a space. A segment without speech has the
language `None` and no words. A segment has a limited number of tokens; its further words, and its
end, are dropped. There is no padding.

In vLLM a word on the edge of two segments is cut in two; here the model receives the audio as one.
vLLM's engine fails if a generation exceeds the context; here it has no limit.

Source: vLLM 0.33, `models/qwen3_asr_realtime.py`.
"""

from collections.abc import Iterator
from typing import Final

from container.cpu import protocol
from container.cpu.clock import RATE_HZ, TOKEN_SAMPLES
from container.cpu.transcriber import Transcription

SEGMENT_SAMPLES: Final = 5 * RATE_HZ
_PROMPT_TOKENS: Final = 10  # of each segment, besides its audio
_AUDIO_TOKENS_PER_S: Final = 13
_HEADERS: Final = {
    True: ("language", " English", "<asr_text>"),
    False: ("language", " None", "<asr_text>"),
}


class SegmentGeneration:
    """Turns audio into segments of deltas, followed by a `done`; see `Generation`.

    Args:
        max_tokens: of each segment, including its header and its end.
        transcription: of the audio.

    Attributes:
        draining: whether the audio has ended, so that no more is accepted.
        done: whether `done` was returned.
    """

    def __init__(self, max_tokens: int, transcription: Transcription) -> None:
        self.draining = False
        self.done = False
        self._max_tokens = max_tokens
        self._transcription = transcription
        self._samples = 0
        self._read = 0  # samples whose text was read from the transcription
        self._segments = 0
        self._texts: list[str] = []  # of the deltas returned so far

    @property
    def backlog(self) -> int:
        """Samples received but not transcribed yet."""
        return self._samples - self._transcription.confirmed

    def append(self, pcm: bytes) -> None:
        """Add audio."""
        self._transcription.append(pcm)
        self._samples += len(pcm) // 2

    def commit_final(self) -> None:
        """End the audio."""
        self.draining = True
        self._transcription.finish()

    def advance(self) -> list[str]:
        """Return the messages that are due: whole segments, and `done` after the last of them."""
        if self.draining and self._transcription.finished:
            return self._finale()
        known = min(self._samples, self._transcription.confirmed)
        messages: list[str] = []
        while (until := (self._segments + 1) * SEGMENT_SAMPLES) <= known:
            if self.draining and until >= self._samples:
                break  # the last segment has all text that is left
            messages += self._segment(until, last=False)
        return messages

    def fail(self) -> list[str]:
        """Stop waiting for the transcription: return an error, the segments left and `done`."""
        failure = protocol.error("processing_error", "The model did not finish in time")
        return [failure, *self._finale()]

    def abandon(self) -> None:
        """Stop the transcription; its result is no longer needed."""
        self._transcription.abandon()

    def _finale(self) -> list[str]:
        messages: list[str] = []
        while self._segments * SEGMENT_SAMPLES < self._samples:
            until = min((self._segments + 1) * SEGMENT_SAMPLES, self._samples)
            messages += self._segment(until, last=until == self._samples)
        self.done = True
        self._transcription.abandon()
        first = min(self._samples, SEGMENT_SAMPLES)
        prompt_tokens = _PROMPT_TOKENS + -(-first * _AUDIO_TOKENS_PER_S // RATE_HZ) if first else 0
        return [*messages, protocol.done("".join(self._texts), prompt_tokens, len(self._texts))]

    def _segment(self, until: int, *, last: bool) -> list[str]:
        """Return the deltas of the segment that ends at this sample."""
        self._segments += 1
        words = list(self._words(until, last=last))
        deltas = [*_HEADERS[bool(words)], *words, ""][: self._max_tokens]
        self._texts += deltas
        return [protocol.delta(text) for text in deltas]

    def _words(self, until: int, *, last: bool) -> Iterator[str]:
        """Yield the words that end before this sample; in the last segment, all that are left."""
        is_first = True
        while self._read < until if last else self._read + TOKEN_SAMPLES <= until:
            self._read += TOKEN_SAMPLES
            text = self._transcription.next_text(last=last and self._read >= until)
            for number, word in enumerate(text.split()):
                glued = is_first or (number == 0 and not text[0].isspace())
                yield word if glued else f" {word}"
                is_first = False
