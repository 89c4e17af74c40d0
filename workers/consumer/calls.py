"""The calls of a partition whose state a handler keeps in memory. Pure."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from workers.client.transcript import Numbering

_MAX_CALLS: Final = 1000  # of a partition, in memory; others are rebuilt when they continue


class Identity(NamedTuple):
    """What identifies an event of a call."""

    stream_id: str
    epoch: int
    n: int

    @classmethod
    def of(cls, fields: Mapping[str, str], number: str = "n") -> "Identity":
        """Return the identity in an entry's fields; `number` names the field of its number."""
        return cls(fields["stream_id"], int(fields["epoch"]), int(fields[number]))

    def precedes(self, other: "Identity") -> bool:
        """Return whether another event is the next one of the same stream and epoch."""
        return other == self._replace(n=self.n + 1)


@dataclass(slots=True)
class Progress:
    """Which events of a call were applied.

    Attributes:
        open_streams: those that have not ended.
    """

    open_streams: set[str] = field(default_factory=set)
    _streams: dict[str, Numbering] = field(default_factory=dict)

    def is_next(self, event: Identity) -> bool:
        """Return whether an event is the next one of its stream, or the first."""
        numbering = self._streams.get(event.stream_id)
        if numbering is None:
            return event.n == 1
        return event.epoch >= numbering.epoch and event.n == numbering.expected(event.epoch)

    def note(self, event: Identity, kind: str) -> None:
        """Record that an event of a type was applied."""
        numbering = self._streams.setdefault(event.stream_id, Numbering())
        numbering.epoch, numbering.n = event.epoch, event.n
        if kind == "stream.ended":
            self.open_streams.discard(event.stream_id)
        else:
            self.open_streams.add(event.stream_id)


class CallState(Protocol):
    """The state of a call; it follows from the call's events."""

    @property
    def progress(self) -> Progress:
        """The events that it was made from."""


class Calls[State: CallState]:
    """The states of a partition's calls with open streams, at most `_MAX_CALLS`.

    A handler takes a call's state out, applies an event and puts it back. If it raises an error
    meanwhile, the state is dropped. A state that is not there has to be rebuilt from the call's
    stream.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()

    def take(self, call_id: str, event: Identity) -> State | None:
        """Remove and return a call's state; None if it is absent or the event is not its next."""
        state = self._states.pop(call_id, None)
        return state if state and state.progress.is_next(event) else None

    def put(self, call_id: str, state: State) -> None:
        """Store a call's state unless the call is over; drop the one that was put longest ago."""
        if state.progress.open_streams:
            self._states[call_id] = state
            if len(self._states) > _MAX_CALLS:
                self._states.popitem(last=False)

    def drop(self, call_id: str) -> None:
        """Remove a call's state, if it is there."""
        self._states.pop(call_id, None)

    def items(self) -> list[tuple[str, State]]:
        """Return all calls and their states, the one that was put longest ago first."""
        return list(self._states.items())
