"""Dialogues of a first text, then binary audio; the end is the socket's, usually. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cli.callers.call import Call
from cli.callers.caller import Dialogue
from cli.callers.frames import cut


@dataclass(frozen=True, slots=True)
class BinaryDialogue(Dialogue):
    """One socket.

    Attributes:
        call: what to play.
        first: the text before media.
        write: gives the message of a frame of each of the call's tracks, in their order.
        after: the texts after media.
    """

    call: Call
    first: str = field(repr=False)
    write: Callable[[Sequence[bytes]], bytes]
    after: Sequence[str] = ()

    def opening(self) -> Iterator[str]:
        """Write what comes before media."""
        yield self.first

    def media(self) -> Iterator[Sequence[bytes]]:
        """Write a message for each 20 ms."""
        for frames in cut(list(self.call.tracks.values())):
            yield [self.write(frames)]

    def closing(self) -> Sequence[str]:
        """Give what comes after media."""
        return self.after
