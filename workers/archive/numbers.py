"""The numbering of a call's events: which are there, and which are missing. Pure.

docs/events.md specifies it: within one (stream_id, epoch), `n` is 1, 2, 3 … A hole is a proof that
events are missing.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from workers.client.events import Event

_MOST_HOLES: Final = 100  # named of each epoch; more are counted


class Epoch(msgspec.Struct, omit_defaults=True):
    """The events of one epoch of a stream.

    Attributes:
        stream_id: the stream.
        epoch: the epoch.
        first: the lowest `n`.
        last: the highest `n`.
        events: how many there are; `last` if none is missing.
        holes: the missing numbers, as pairs of first and last; at most 100.
        source_first: in a redacted copy, the lowest `n` of the originals.
        source_last: in a redacted copy, the highest `n` of the originals.
    """

    stream_id: str
    epoch: int
    first: int
    last: int
    events: int = 0
    holes: list[tuple[int, int]] = msgspec.field(default_factory=list)
    source_first: int | None = None
    source_last: int | None = None

    def add(self, event: Event) -> None:
        """Count an event that is above all others."""
        expected = self.last + 1 if self.events else 1
        if event.n > expected and len(self.holes) < _MOST_HOLES:
            self.holes.append((expected, event.n - 1))
        self.last = event.n
        self.events += 1
        if event.source_n is not None:
            self.source_first = min(self.source_first or event.source_n, event.source_n)
            self.source_last = max(self.source_last or 0, event.source_n)


@dataclass(slots=True)
class Numbers:
    """The numbering of all streams of a call, after the events so far."""

    epochs: dict[tuple[str, int], Epoch] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)  # by stream_id, the epoch

    def add(self, event: Event) -> bool:
        """Count an event; return False if it is a repetition."""
        key = event.stream_id, event.epoch
        epoch = self.epochs.get(key)
        is_older = event.epoch < self.newest.get(event.stream_id, event.epoch)
        if is_older or (epoch and event.n <= epoch.last):
            return False
        if epoch is None:
            epoch = self.epochs[key] = Epoch(event.stream_id, event.epoch, event.n, event.n)
        self.newest[event.stream_id] = event.epoch
        epoch.add(event)
        return True
