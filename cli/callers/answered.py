"""Dialogues whose opening waits for the gateway's answers. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cli.callers.call import Message
from cli.callers.caller import Dialogue


@dataclass(slots=True)
class AnsweredDialogue(Dialogue):
    """Another dialogue, that goes on when it is answered.

    Attributes:
        dialogue: what is said.
        kind: the field that tells the gateway's messages apart.
        answers: what has to come after each message of the opening; None: nothing.
    """

    dialogue: Dialogue
    kind: str
    answers: Sequence[str | None]
    _awaited: str | None = field(default=None, init=False)

    @property
    def may_speak(self) -> bool:
        """Once the last message is answered."""
        return self._awaited is None

    def opening(self) -> Iterator[Message]:
        """Write what comes before media."""
        for message, answer in zip(self.dialogue.opening(), self.answers, strict=True):
            self._awaited = answer
            yield message

    def media(self) -> Iterable[Sequence[Message]]:
        """Write the media."""
        return self.dialogue.media()

    def closing(self) -> Iterable[Message]:
        """Write what comes after media."""
        return self.dialogue.closing()

    def receive(self, message: str) -> None:
        """Look for the answer; see `Dialogue`."""
        try:
            said = msgspec.json.decode(message, type=dict[str, Any])
        except msgspec.DecodeError:
            raise ValueError("a message that is no JSON object") from None
        if said.get(self.kind) == self._awaited:
            self._awaited = None
