"""One connection of the Realtime API: its queue and its generations, one at a time. Pure.

    IDLE --commit--> WAITING --begin()--> RUNNING --final or context full--> DRAINING --done--> IDLE

The queue works like vLLM's. It holds audio and final commits in the order of arrival. A generation
consumes it until a final commit. What arrives while no generation runs, or after the final commit,
stays in the queue; `done` discards the rest. A final commit that arrives while idle therefore ends
the next generation at once.
"""

from collections import deque
from typing import Final

from container.cpu import protocol
from container.cpu.clock import RATE_HZ
from container.cpu.generation import Generation, Rules
from container.cpu.protocol import Append, Commit, Request, RequestError, Update
from container.cpu.segments import SegmentGeneration
from container.cpu.server_session import BacklogError, Phase, UnsupportedMessageError
from container.cpu.transcriber import Transcription

_NOT_VALIDATED = "Model not validated. Send a session.update event with a valid model first."


class RealtimeSession:
    """The protocol state of one client; implements `ServerSession`."""

    idle_s: Final = None

    def __init__(self, rules: Rules, session_id: str = "", created_s: int = 0) -> None:
        self._rules = rules
        self._id = session_id
        self._created_s = created_s
        self._model_validated = False
        self._queue: deque[bytes | None] = deque()  # None: a final commit
        self._queued_samples = 0
        self._waiting = False
        self._generation: Generation | SegmentGeneration | None = None

    @property
    def phase(self) -> Phase:
        """State of the connection."""
        if self._generation is not None:
            return Phase.DRAINING if self._generation.draining else Phase.RUNNING
        return Phase.WAITING if self._waiting else Phase.IDLE

    def greet(self) -> list[str]:
        """Return `session.created`."""
        return [protocol.session_created(self._id, self._created_s)]

    def receive(self, message: str | bytes) -> list[str]:
        """Process one text frame; raises as `ServerSession.receive`."""
        if isinstance(message, bytes):
            raise UnsupportedMessageError
        try:
            return self._handle(protocol.parse(message))
        except RequestError as error:
            return [protocol.error(error.code, error.message)]

    def begin(self, transcription: Transcription) -> list[str]:
        """Start the generation that waited for a slot, with the queued audio."""
        self._waiting = False
        self._generation = generation = self._new_generation(transcription)
        while self._queue and not generation.draining:
            self._consume(generation, self._queue.popleft())
        self._queued_samples = sum(len(item or b"") // 2 for item in self._queue)
        return self.progress()

    def progress(self) -> list[str]:
        """Return the messages that became due since the last call."""
        generation = self._generation
        return self._discard_if_done(generation, generation.advance()) if generation else []

    def fail(self) -> list[str]:
        """End a draining generation whose transcription does not finish, with the text so far."""
        generation = self._generation
        if generation is None or not generation.draining:
            return []
        return self._discard_if_done(generation, generation.fail())

    def error(self, problem: str) -> str:
        """Encode a failure of the engine."""
        return protocol.error("processing_error", problem)

    def expire(self) -> list[str]:
        """Return nothing: a client may be idle."""
        return []

    def abandon(self) -> None:
        """Stop the generation; the client has disconnected."""
        if self._generation is not None:
            self._generation.abandon()
        self._waiting = False
        self._discard()

    def _new_generation(self, transcription: Transcription) -> Generation | SegmentGeneration:
        if self._rules.segment_tokens is None:
            return Generation(self._rules, transcription)
        return SegmentGeneration(self._rules.segment_tokens, transcription)

    def _handle(self, request: Request) -> list[str]:
        match request:
            case Append(pcm):
                return self._enqueue(pcm)
            case Update(model):
                if model != self._rules.model_name:
                    problem = f"The model `{model}` does not exist."
                    raise RequestError("model_not_found", problem)
                self._model_validated = True
                return []
            case Commit():
                if not self._model_validated:
                    raise RequestError("model_not_validated", _NOT_VALIDATED)
                if request.is_final():
                    return self._enqueue(None)
                self._waiting = self._generation is None
                return []

    def _enqueue(self, item: bytes | None) -> list[str]:
        generation = self._generation
        if generation is not None and not generation.draining:
            self._consume(generation, item)
            self._check_backlog(generation.backlog)
            return self.progress()
        self._queue.append(item)
        self._queued_samples += len(item or b"") // 2
        self._check_backlog(self._queued_samples)
        return []

    def _consume(self, generation: Generation | SegmentGeneration, item: bytes | None) -> None:
        if item is None:
            generation.commit_final()
        else:
            generation.append(item)

    def _discard_if_done(
        self, generation: Generation | SegmentGeneration, messages: list[str]
    ) -> list[str]:
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
