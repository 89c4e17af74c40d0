"""The numbered segments of a call, from its events. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from workers.client.events import AnyEvent, StreamEnded, StreamStarted
from workers.client.transcript import CallTranscript, Segment


class Said(NamedTuple):
    """One segment, as the model receives it.

    Attributes:
        number: from 1, in the order in which the segments began; sentences cite it.
        segment: the segment.
    """

    number: int
    segment: Segment

    @property
    def text(self) -> str:
        """What was said."""
        return self.segment.text.strip()


class Position(NamedTuple):
    """An event of the call, by its number in the stream of events that was read."""

    stream_id: str
    epoch: int
    n: int


_NOWHERE: Final = Position("", 0, 0)


@dataclass(slots=True)
class Conversation:
    """A call up to an event."""

    call_id: str
    transcript: CallTranscript
    tenant: str = ""
    route: str = ""
    last: Position = _NOWHERE  # the last event
    source_n: int = 0  # its number in the raw events
    last_end: Position | None = None  # the last `stream.ended`
    _began: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, call_id: str, events: Iterable[AnyEvent]) -> "Conversation":
        """Return the call after some events."""
        conversation = cls(call_id, CallTranscript(call_id))
        for event in events:
            conversation.apply(event)
        return conversation

    def apply(self, event: AnyEvent) -> None:
        """Apply the next event; ignore a repetition."""
        if not self.transcript.apply(event):
            return
        self.transcript.latencies_ms.clear()  # it would grow with the call
        self.tenant = self.tenant or event.tenant
        self.last = Position(event.stream_id, event.epoch, event.n)
        self.source_n = event.n if event.source_n is None else event.source_n
        if isinstance(event, StreamStarted):
            self.route = self.route or event.route or ""
            self._began.setdefault(event.stream_id, event.at)
        elif isinstance(event, StreamEnded):
            self.last_end = self.last

    @property
    def is_over(self) -> bool:
        """Whether every stream that started has ended."""
        return self.transcript.over

    def said(self) -> list[Said]:
        """Return the segments that have text, in the order in which they began.

        Media clocks of several streams are compared by the time at which each stream began.
        """
        segments = [each for each in self.transcript.segments if each.text.strip()]
        segments.sort(key=self._began_ms)  # stable: keeps the order within a stream
        return [Said(number, each) for number, each in enumerate(segments, start=1)]

    def _began_ms(self, segment: Segment) -> float:
        began = self._began.get(segment.stream_id)
        return (began.timestamp() * 1000 if began else 0.0) + segment.start_ms
