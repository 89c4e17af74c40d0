"""The interface between a connection and the protocol that its client speaks. Pure.

`session.py` implements vLLM's Realtime API, `openai.py` OpenAI's, `mistral.py` Mistral's. All share
the connection, the slots and the transcription.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

from container.cpu.transcriber import Transcription


class BacklogError(Exception):
    """The pending audio exceeds this engine's limit. vLLM has no limit and runs out of memory."""


class UnsupportedMessageError(Exception):
    """The protocol has no such messages: the connection is dropped."""


class Phase(Enum):
    """State of a connection."""

    IDLE = auto()
    WAITING = auto()  # for a slot
    RUNNING = auto()
    DRAINING = auto()


class Close(NamedTuple):
    """The end of the connection, in the order of the messages."""

    code: int
    reason: str = ""


type Reply = str | Close


class ServerSession(Protocol):
    """The protocol state of one client.

    Methods return what to send, in order. In the phase WAITING the session needs a slot; in RUNNING
    and DRAINING it holds one.
    """

    @property
    def phase(self) -> Phase:
        """State of the connection."""

    @property
    def idle_s(self) -> float | None:
        """Time without a message after which `expire` is called; None: never."""

    def greet(self) -> Sequence[Reply]:
        """Return what the server sends first."""

    def receive(self, message: str | bytes) -> Sequence[Reply]:
        """Process one message: a str is a text frame, bytes are a binary frame.

        Raises:
            BacklogError: too much audio is pending; the connection must be closed.
            UnsupportedMessageError: the protocol has no binary frames.
        """

    def begin(self, transcription: Transcription) -> Sequence[Reply]:
        """Start what waited for a slot, with the audio received so far."""

    def progress(self) -> Sequence[Reply]:
        """Return what became due since the last call."""

    def fail(self) -> Sequence[Reply]:
        """End what is draining although its transcription does not finish, with the text so far."""

    def error(self, problem: str) -> str:
        """Encode a failure of the engine."""

    def expire(self) -> Sequence[Reply]:
        """End the connection: the client has sent nothing for `idle_s`."""

    def abandon(self) -> None:
        """Stop; the client has disconnected."""
