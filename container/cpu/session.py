"""One connection of the Realtime API: its queue and its generations, one at a time. Pure.

    IDLE --commit--> WAITING --begin()--> HEARING --final or context full--> DRAINING --done--> IDLE

The queue is vLLM's: audio and final commits in the order they came. A generation takes from it
until a final commit; what comes while none runs, or after its final, stays in the queue; `done`
discards what is left. Hence a final commit while idle "poisons" the queue: the next generation ends
at once.
"""

from collections import deque
from enum import Enum, auto

from container.cpu import protocol
from container.cpu.clock import RATE_HZ
from container.cpu.generation import Generation, Rules
from container.cpu.protocol import Append, Commit, Request, RequestError, Update
from container.cpu.transcriber import Transcription

_NOT_VALIDATED = "Model not validated. Send a session.update event with a valid model first."


class BacklogError(Exception):
    """More audio waits than this engine keeps. vLLM has no such bound, and runs out of memory."""


class Phase(Enum):
    """Where a connection stands."""

    IDLE = auto()
    WAITING = auto()  # for a slot
    HEARING = auto()
    DRAINING = auto()


class RealtimeSession:
    """What one client said and is owed.

    Methods give the messages to send, in order. `phase` says whether it needs a slot (WAITING) or
    holds one (HEARING, DRAINING).
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._model_validated = False
        self._queue: deque[bytes | None] = deque()  # None: a final commit
        self._queued_samples = 0
        self._waiting = False
        self._generation: Generation | None = None

    @property
    def phase(self) -> Phase:
        """Where the connection stands."""
        if self._generation is not None:
            return Phase.DRAINING if self._generation.draining else Phase.HEARING
        return Phase.WAITING if self._waiting else Phase.IDLE

    def receive(self, text: str | bytes) -> list[str]:
        """Take one text frame.

        Raises:
            BacklogError: the connection must end.
        """
        try:
            return self._obey(protocol.parse(text))
        except RequestError as refusal:
            return [protocol.error(refusal.code, refusal.message)]

    def begin(self, transcription: Transcription) -> list[str]:
        """Start the generation that waited for a slot, with all that is queued."""
        self._waiting = False
        self._generation = generation = Generation(self._rules, transcription)
        while self._queue and not generation.draining:
            self._hear(generation, self._queue.popleft())
        self._queued_samples = sum(len(item or b"") // 2 for item in self._queue)
        return self.progress()

    def progress(self) -> list[str]:
        """Say what the transcription made possible since."""
        generation = self._generation
        return self._settle(generation, generation.advance()) if generation else []

    def give_up(self) -> list[str]:
        """End a draining generation whose transcription doesn't finish, with the text there is."""
        generation = self._generation
        if generation is None or not generation.draining:
            return []
        return self._settle(generation, generation.give_up())

    def abandon(self) -> None:
        """Stop working for a client that has gone."""
        if self._generation is not None:
            self._generation.abandon()
        self._waiting = False
        self._discard()

    def _obey(self, request: Request) -> list[str]:
        match request:
            case Append(pcm):
                return self._enqueue(pcm)
            case Update(model):
                if model != self._rules.model_name:
                    problem = f"The model `{model}` does not exist."
                    raise RequestError("model_not_found", problem)
                self._model_validated = True
                return []
            case Commit(final):
                if not self._model_validated:
                    raise RequestError("model_not_validated", _NOT_VALIDATED)
                if final:
                    return self._enqueue(None)
                self._waiting = self._generation is None
                return []

    def _enqueue(self, item: bytes | None) -> list[str]:
        generation = self._generation
        if generation is not None and not generation.draining:
            self._hear(generation, item)
            self._check_backlog(generation.unheard)
            return self.progress()
        self._queue.append(item)
        self._queued_samples += len(item or b"") // 2
        self._check_backlog(self._queued_samples)
        return []

    def _hear(self, generation: Generation, item: bytes | None) -> None:
        if item is None:
            generation.commit_final()
        else:
            generation.hear(item)

    def _settle(self, generation: Generation, messages: list[str]) -> list[str]:
        if generation.done:
            self._discard()
        return messages

    def _discard(self) -> None:
        self._generation = None
        self._queue.clear()
        self._queued_samples = 0

    def _check_backlog(self, samples: int) -> None:
        if samples > self._rules.max_backlog_s * RATE_HZ:
            raise BacklogError
