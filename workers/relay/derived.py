"""Alerts and wrap-ups on their way to viewers: where they come from, and what was sent. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Self

import msgspec

from workers.client.events import (
    AssistAlert,
    AssistWrapup,
    DerivedEvent,
    Entry,
    EventError,
    read_event,
)
from workers.relay.messages import Message, Order
from workers.relay.sign_in.viewer import Text

_encode: Final = msgspec.json.Encoder().encode
_BEGINNING: Final = "0"
_BETWEEN: Final = "_"


class Source(StrEnum):
    """A stream of alerts or wrap-ups, by the suffix of its key."""

    ALERTS = "alerts"
    REDACTED_WRAPUPS = "redacted-wrapups"
    WRAPUPS = "wrapups"


def sources(text: Text) -> tuple[Source, ...]:
    """Return what a viewer of a kind of text may read.

    Alerts contain no words of the call. A wrap-up that was made from raw text may repeat them.
    """
    if text is Text.RAW:
        return tuple(Source)
    return Source.ALERTS, Source.REDACTED_WRAPUPS


class Derived(NamedTuple):
    """One alert or wrap-up, encoded once for all viewers."""

    event: DerivedEvent
    source: Source
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that it occupies."""
        return len(self.data)


def derived(entry: Entry, source: Source) -> Derived:
    """Encode an entry of a source.

    Raises:
        EventError: it is not an event that belongs there. What is said in a call must not get to
            viewers of redacted text, whoever writes it into one of these streams.
    """
    event = read_event(entry.id, entry.fields)
    match event, source:
        case AssistAlert(), Source.ALERTS:
            return Derived(event, source, _encode(event))
        case AssistWrapup(made_from="redacted"), Source.REDACTED_WRAPUPS:
            return Derived(event, source, _encode(event))
        case AssistWrapup(), Source.WRAPUPS:
            return Derived(event, source, _encode(event))
        case _:
            raise EventError(f"an event that does not belong to the stream {source}")


@dataclass(slots=True)
class Places:
    """How far a viewer has read each source of a call.

    The ids of several streams have no common order, so a viewer's place has one id per source.
    """

    _ids: dict[Source, str] = field(default_factory=lambda: dict.fromkeys(Source, _BEGINNING))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the id of a message; the text must be one, see `str`."""
        return cls(dict(zip(Source, text.split(_BETWEEN), strict=True)))

    def of(self, source: Source) -> str:
        """Return the entry id after which to read a source."""
        return self._ids[source]

    def advance(self, each: Derived) -> Message | None:
        """Return the message of an event; None if it was sent before."""
        if Order.of(each.event.id, 0) <= Order.of(self._ids[each.source], 0):
            return None
        self._ids[each.source] = each.event.id
        return Message(each.data, str(self))

    def __str__(self) -> str:
        """Return the id of the message that was sent last."""
        return _BETWEEN.join(self._ids[source] for source in Source)
