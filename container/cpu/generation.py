"""Run one generation, from a commit to its `transcription.done`. Pure."""

from dataclasses import dataclass

from container.cpu import protocol
from container.cpu.clock import TokenClock
from container.cpu.transcriber import Transcription


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits and settings that all sessions of an engine share."""

    model_name: str
    clock: TokenClock
    max_model_len: int = 131_072  # tokens of context
    max_backlog_s: int = 1800  # audio of one session that is not transcribed yet
    segment_tokens: int | None = None  # per segment, as Qwen3-ASR; None: one delta per token
    interpolates: bool = False  # G.711, for a model that needs it; see `Converter`

    @property
    def max_deltas(self) -> int:
        """Number of deltas that fills the context."""
        return self.max_model_len - self.clock.prompt_tokens


class Generation:
    """Turns audio into deltas by the token clock, followed by a `done`.

    It ends after a final commit, or by itself when its deltas fill the context.

    Attributes:
        done: whether `done` was returned.
    """

    def __init__(self, rules: Rules, transcription: Transcription) -> None:
        self._clock = rules.clock
        self._max_deltas = rules.max_deltas
        self._transcription = transcription
        self._samples = 0
        self._texts: list[str] = []  # of the deltas returned so far
        self._total: int | None = None  # number of deltas, once it is known
        self.done = False

    @property
    def draining(self) -> bool:
        """Whether the audio has ended, so that no more is accepted."""
        return self._total is not None

    @property
    def backlog(self) -> int:
        """Samples received but not transcribed yet."""
        return self._samples - self._transcription.confirmed

    def append(self, pcm: bytes) -> None:
        """Add audio; if it fills the context, drop the excess and end the audio."""
        limit = self._clock.samples_for(self._max_deltas)
        pcm = pcm[: 2 * (limit - self._samples)]
        self._transcription.append(pcm)
        self._samples += len(pcm) // 2
        if self._samples == limit:
            self._finish(self._max_deltas)

    def commit_final(self) -> None:
        """Pad and end the audio."""
        self._finish(min(self._clock.total(self._samples), self._max_deltas))

    def advance(self) -> list[str]:
        """Return the messages that are due: deltas, and `done` after the last of them."""
        if self._total is None:
            return self._deltas_until(self._due())
        if self._transcription.finished:
            return self._finale(self._total)
        # The last delta carries all remaining text, so it waits for the end of the transcription.
        return self._deltas_until(min(self._due(), self._total - 1))

    def fail(self) -> list[str]:
        """Stop waiting for the transcription: return an error, the deltas left and `done`."""
        failure = protocol.error("processing_error", "The model did not finish in time")
        return [failure, *self._finale(self._total or len(self._texts))]

    def abandon(self) -> None:
        """Stop the transcription; its result is no longer needed."""
        self._transcription.abandon()

    def _due(self) -> int:
        return self._clock.live(min(self._samples, self._transcription.confirmed))

    def _finish(self, total: int) -> None:
        self._total = total
        self._transcription.finish()

    def _finale(self, total: int) -> list[str]:
        deltas = self._deltas_until(total)
        self.done = True
        self._transcription.abandon()
        prompt_tokens = self._clock.prompt_tokens if total else 0
        return [*deltas, protocol.done("".join(self._texts), prompt_tokens, total)]

    def _deltas_until(self, count: int) -> list[str]:
        deltas: list[str] = []
        while len(self._texts) < count:
            text = self._transcription.next_text(last=len(self._texts) + 1 == self._total)
            self._texts.append(text)
            deltas.append(protocol.delta(text))
        return deltas
