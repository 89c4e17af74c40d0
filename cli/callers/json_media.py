"""Dialogues of JSON texts with base64 audio, as Twilio began them. Pure.

connected . start . media (each track, every 20 ms) . stop
"""

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cli.callers.call import Call
from cli.callers.caller import Dialogue
from cli.callers.frames import FRAME_MS, Encoder, count, cut, mulaw
from cli.callers.json_texts import text


class Frame(NamedTuple):
    """The audio of one media message."""

    sequence: int  # of all messages; the start's is 1
    chunk: int  # of its track's messages; the first is 1
    timestamp_ms: int  # where it lies on the stream's clock
    track: str  # as the carrier calls it
    payload: str  # base64


@dataclass(frozen=True, slots=True)
class JsonDialogue(Dialogue):
    """One stream in a carrier's words; what is written beforehand is sent as it is.

    Attributes:
        call: what to play.
        before: the messages before media.
        write: gives a media message.
        after: the messages after media.
        labels: what the carrier calls tracks that it does not call ours.
        encoder: makes what encodes a track.
        batch: how many frames of 20 ms a message has.
    """

    call: Call
    before: Sequence[Mapping[str, object]] = field(repr=False)
    write: Callable[[Frame], str]
    after: Sequence[Mapping[str, object]] = field(default=(), repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    encoder: Callable[[], Encoder] = mulaw
    batch: int = 1

    def opening(self) -> Iterator[str]:
        """Write what comes before media."""
        return map(text, self.before)

    def media(self) -> Iterator[Sequence[str]]:
        """Write a message of each track for each batch, when it is full."""
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
        """Write what comes after media."""
        return map(text, self.after)


def last_sequence(call: Call, batch: int = 1) -> int:
    """The sequence number of the message after all media."""
    return 2 + count(list(call.tracks.values()), batch)
