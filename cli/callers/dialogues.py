"""The two kinds of media sockets: JSON texts with base64 audio, and binary audio. Pure.

A JSON dialogue follows Twilio's: connected, start, media (each track, every 20 ms), stop.
"""

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from cli.callers.call import Call, Message
from cli.callers.caller import Dialogue
from cli.callers.frames import FRAME_MS, Encoder, count, cut, mulaw
from cli.callers.messages import text


class Frame(NamedTuple):
    """The audio of one media message."""

    sequence: int  # number among all messages; the start message has 1
    chunk: int  # number among the track's media messages; the first has 1
    timestamp_ms: int  # start of the audio on the stream's clock
    track: str  # as the carrier calls it
    payload: str  # base64


@dataclass(frozen=True, slots=True)
class JsonDialogue(Dialogue):
    """A socket on which every message is a JSON text.

    If the call has prepared media messages, they are sent unchanged.

    Attributes:
        call: the call to play.
        before: the messages before media.
        write: returns the media message for a frame.
        after: the messages after media.
        labels: the carrier's names of tracks, where they differ from ours.
        encoder: creates the encoder of a track.
        batch: frames of 20 ms in each media message.
    """

    call: Call
    before: Sequence[Mapping[str, object]] = field(repr=False)
    write: Callable[[Frame], str]
    after: Sequence[Mapping[str, object]] = field(default=(), repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    encoder: Callable[[], Encoder] = mulaw
    batch: int = 1

    def opening(self) -> Iterator[str]:
        """Return the messages before media."""
        return map(text, self.before)

    def media(self) -> Iterator[Sequence[str]]:
        """Yield a message of each track whenever a batch is full, and nothing in between."""
        if self.call.prepared is not None:
            yield from self.call.prepared
            return
        names = [self.labels.get(track, track) for track in self.call.tracks]
        encoders = [self.encoder() for _ in names]
        batches = itertools.batched(cut(list(self.call.tracks.values())), self.batch)
        sequence = 1
        for number, batch in enumerate(batches):
            yield from [()] * (len(batch) - 1)
            at_ms = number * self.batch * FRAME_MS
            group = []
            parts = map(b"".join, zip(*batch, strict=True))
            for name, encode, part in zip(names, encoders, parts, strict=True):
                sequence += 1
                payload = base64.b64encode(encode(part)).decode()
                group.append(self.write(Frame(sequence, number + 1, at_ms, name, payload)))
            yield group

    def closing(self) -> Iterator[str]:
        """Return the messages after media."""
        return map(text, self.after)


def last_sequence(call: Call, batch: int = 1) -> int:
    """Return the sequence number of the message after all media."""
    return 2 + count(list(call.tracks.values()), batch)


@dataclass(frozen=True, slots=True)
class BinaryDialogue(Dialogue):
    """A socket on which one text message is followed by binary audio.

    Attributes:
        call: the call to play.
        first: the text before media.
        write: returns the message for one frame of each of the call's tracks, in their order.
        after: the texts after media; often none, and closing the socket ends the stream.
    """

    call: Call
    first: str = field(repr=False)
    write: Callable[[Sequence[bytes]], bytes]
    after: Sequence[str] = ()

    def opening(self) -> Iterator[str]:
        """Yield the text before media."""
        yield self.first

    def media(self) -> Iterator[Sequence[bytes]]:
        """Yield a message for each 20 ms."""
        for frames in cut(list(self.call.tracks.values())):
            yield [self.write(frames)]

    def closing(self) -> Sequence[str]:
        """Return the texts after media."""
        return self.after


@dataclass(slots=True)
class AnsweredDialogue(Dialogue):
    """Another dialogue whose opening waits for the gateway's answers.

    Attributes:
        dialogue: the dialogue to speak.
        kind: the field that contains the type of the gateway's messages.
        answers: for each message of the opening, the type of the message to wait for; None if the
            next message need not wait.
    """

    dialogue: Dialogue
    kind: str
    answers: Sequence[str | None]
    _awaited: str | None = field(default=None, init=False)

    @property
    def may_speak(self) -> bool:
        """Whether the last message has been answered."""
        return self._awaited is None

    def opening(self) -> Iterator[Message]:
        """Yield the messages before media."""
        for message, answer in zip(self.dialogue.opening(), self.answers, strict=True):
            self._awaited = answer
            yield message

    def media(self) -> Iterable[Sequence[Message]]:
        """Return the media messages."""
        return self.dialogue.media()

    def closing(self) -> Iterable[Message]:
        """Return the messages after media."""
        return self.dialogue.closing()

    def receive(self, message: str) -> None:
        """Stop waiting if the message is the expected answer; see `Dialogue`."""
        try:
            received = msgspec.json.decode(message, type=dict[str, Any])
        except msgspec.DecodeError:
            raise ValueError("a message that is no JSON object") from None
        if received.get(self.kind) == self._awaited:
            self._awaited = None
