"""What the relay sends to viewers: messages, each encoded once for all of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import msgspec

from workers.client.events import AnyEvent, Entry, Hole, read_event

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a viewer.

    Attributes:
        data: JSON, on one line.
        id: resumes the feed after this message; empty if it can't be resumed there.
        name: the kind of message; empty for an event of a call.
        sse: the message as part of a response of type text/event-stream.
    """

    data: bytes = field(repr=False)
    id: str = ""
    name: str = ""
    sse: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Encode the message."""
        lines = f"id: {self.id}\n" if self.id else ""
        lines += f"event: {self.name}\n" if self.name else ""
        object.__setattr__(self, "sse", b"%bdata: %b\n\n" % (lines.encode(), self.data))

    @property
    def text(self) -> str:
        """The message as a text message of a WebSocket."""
        names = {"id": self.id, "event": self.name}
        head = _encode({name: value for name, value in names.items() if value})[:-1].decode()
        return f'{head}{"," if len(head) > 1 else ""}"data":{self.data.decode()}}}'


class End(msgspec.Struct, frozen=True):
    """All streams of the call have ended.

    Attributes:
        events: number of events of the call.
        missing: number of events missing from their numbering.
    """

    events: int
    missing: int


class Gone(msgspec.Struct, frozen=True):
    """A call is no longer in the list. In the feed of a call, the last message: it was erased.

    Attributes:
        call_id: the call.
    """

    call_id: str


class Expired(msgspec.Struct, frozen=True):
    """The viewer's session has ended: sign in again. The last message of a feed."""


def named(name: str, value: object) -> Message:
    """Return a message other than an event."""
    return Message(_encode(value), name=name)


def hole(missing: Hole) -> Message:
    """Return the message that declares missing events."""
    return named("hole", missing)


class Order(NamedTuple):
    """The place of an event among those of all calls, which orders them by when they were written.

    Attributes:
        ms: Unix ms, by the clock of the Redis server that wrote it.
        sequence: orders events of one partition in the same ms.
        partition: orders events of several partitions.
    """

    ms: int
    sequence: int
    partition: int

    @classmethod
    def of(cls, entry_id: str, partition: int) -> Self:
        """Return the order of an entry."""
        ms, _, sequence = entry_id.partition("-")
        return cls(int(ms), int(sequence or 0), partition)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the id of a message of the feed of all calls; raise ValueError if it is none."""
        ms, sequence, partition = map(int, text.split("-"))
        return cls(ms, sequence, partition)

    @property
    def after(self) -> str:
        """The id after which to read the partition itself."""
        return f"{self.ms}-{self.sequence}"

    def __str__(self) -> str:
        """Return the id of the event in the feed of all calls."""
        return f"{self.ms}-{self.sequence}-{self.partition}"


class Item(NamedTuple):
    """One event, as messages of both kinds of feed."""

    event: AnyEvent
    order: Order
    of_call: Message
    of_all: Message

    @property
    def size(self) -> int:
        """Bytes that it occupies."""
        return len(self.of_call.data)


def item(entry: Entry, partition: int) -> Item:
    """Encode an entry.

    Raises:
        EventError: it is not an event of version 1.
    """
    event = read_event(entry.id, entry.fields)
    order = Order.of(entry.id, partition)
    data = _encode(event)
    return Item(event, order, Message(data, entry.id), Message(data, str(order)))


class Merge:
    """Orders the events of all partitions.

    Events are held until no earlier one can follow, from any partition.
    """

    def __init__(self) -> None:
        self._held: list[Item] = []

    @property
    def is_empty(self) -> bool:
        """Whether no event is held."""
        return not self._held

    def add(self, items: Iterable[Item]) -> None:
        """Add new events of any partition."""
        self._held.extend(items)

    def release(self, before_ms: int) -> list[Item]:
        """Return the events written before a time, in order.

        Args:
            before_ms: all events written before this time have been added, by the clock of each
                server, in Unix ms.
        """
        self._held.sort(key=_order)
        count = sum(each.order.ms < before_ms for each in self._held)
        if len(self._held) - count > _MAX_HELD:  # a server's clock is far ahead of another's
            count = len(self._held)
        released, self._held = self._held[:count], self._held[count:]
        return released


_MAX_HELD: Final = 100_000


def _order(each: Item) -> Order:
    return each.order
