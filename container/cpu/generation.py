"""One generation: from a commit to its `done`. Pure."""

from dataclasses import dataclass

from container.cpu import protocol
from container.cpu.clock import TokenClock
from container.cpu.transcriber import Transcription


@dataclass(frozen=True, slots=True)
class Rules:
    """What all sessions of an engine share."""

    model_name: str
    clock: TokenClock
    max_model_len: int = 131_072  # tokens of context
    max_backlog_s: int = 1800  # audio of one session that nothing has heard yet

    @property
    def max_deltas(self) -> int:
        """Deltas that fill the context."""
        return self.max_model_len - self.clock.prompt_tokens


class Generation:
    """Audio in, deltas out, by the token clock; at last a `done`.

    It ends by a final commit, or unasked when its deltas fill the context.
    """

    def __init__(self, rules: Rules, transcription: Transcription) -> None:
        self._clock = rules.clock
        self._max_deltas = rules.max_deltas
        self._transcription = transcription
        self._samples = 0
        self._texts: list[str] = []  # of the deltas so far
        self._total: int | None = None  # deltas it will have, once that is known
        self.done = False  # was `done` given?

    @property
    def draining(self) -> bool:
        """Does it take no more audio?"""
        return self._total is not None

    @property
    def unheard(self) -> int:
        """Samples the model is behind."""
        return self._samples - self._transcription.settled

    def hear(self, pcm: bytes) -> None:
        """Take audio; what is past a full context is dropped, and the generation drains."""
        limit = self._clock.samples_for(self._max_deltas)
        pcm = pcm[: 2 * (limit - self._samples)]
        self._transcription.hear(pcm)
        self._samples += len(pcm) // 2
        if self._samples == limit:
            self._finish(self._max_deltas)

    def commit_final(self) -> None:
        """Pad the audio, and drain."""
        self._finish(min(self._clock.total(self._samples), self._max_deltas))

    def advance(self) -> list[str]:
        """Give the deltas that are due; `done` after the last of them."""
        if self._total is None:
            return self._deltas_until(self._due())
        if self._transcription.finished:
            return self._finale(self._total)
        # The last delta waits for the transcription: it carries what is left.
        return self._deltas_until(min(self._due(), self._total - 1))

    def give_up(self) -> list[str]:
        """Stop waiting for the transcription: an error, then the finale with what text there is."""
        failure = protocol.error("processing_error", "The model did not finish in time")
        return [failure, *self._finale(self._total or len(self._texts))]

    def abandon(self) -> None:
        """Stop working: nobody listens any more."""
        self._transcription.abandon()

    def _due(self) -> int:
        return self._clock.live(min(self._samples, self._transcription.settled))

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
        deltas = []
        while len(self._texts) < count:
            text = self._transcription.next_text(last=len(self._texts) + 1 == self._total)
            self._texts.append(text)
            deltas.append(protocol.delta(text))
        return deltas
