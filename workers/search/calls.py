"""Folds the events of a call into changes of the index. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from workers.client.events import (
    AnyEvent,
    AssistAlert,
    AssistWrapup,
    EventError,
    StreamStarted,
    TranscriptFinal,
    TranscriptGap,
)
from workers.consumer.calls import Identity, Progress
from workers.search.index import (
    MAX_TEXT,
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    GapNoted,
    Said,
    has_large_number,
)


@dataclass(slots=True)
class CallFold:
    """The state of one call after the events so far."""

    progress: Progress = field(default_factory=Progress)
    seen: CallSeen | None = None
    owners: dict[str, int] = field(default_factory=dict)  # see `Said.owner`

    def apply(self, event: AnyEvent) -> list[Change]:
        """Return the changes that the next event makes.

        Raises:
            EventError: a number of the event is too large for an index; its call continues.
        """
        if has_large_number(event):
            raise EventError("a number is too large")
        identity = Identity(event.stream_id, event.epoch, event.n)
        self.progress.note(identity, type_of(event))
        self.owners.setdefault(event.stream_id, event.epoch)
        match event:
            case StreamStarted():
                return self._start(event)
            case TranscriptFinal():
                return self._say(event)
            case TranscriptGap():
                return self._note_gap(event)
            case _:
                return []  # has no words

    def _start(self, event: StreamStarted) -> list[Change]:
        if event.resumes is None:
            self.owners[event.stream_id] = event.epoch
        before = self.seen or CallSeen(event.call_id, "", "", "")
        self.seen = CallSeen(
            event.call_id,
            before.tenant or event.tenant,
            before.carrier or event.carrier,
            before.route or event.route or "",
        )
        return [self.seen] if self.seen != before else []

    def _say(self, event: TranscriptFinal) -> list[Change]:
        text = event.text.strip()[:MAX_TEXT]
        said = Said(
            event.call_id,
            event.stream_id,
            self.owners[event.stream_id],
            event.track,
            event.segment,
            event.rev,
            event.role,
            milliseconds(event.at),
            event.start_ms,
            event.end_ms,
            text,
        )
        return [*self._introduce(event), said] if text else []

    def _note_gap(self, event: TranscriptGap) -> list[Change]:
        ends = event.from_ms, event.to_ms
        gap = GapNoted(event.call_id, event.stream_id, event.track, *ends, event.cause)
        return [*self._introduce(event), gap]

    def _introduce(self, event: AnyEvent) -> list[Change]:
        """Return the call if its first event was not received: its tenant is in every event."""
        if self.seen:
            return []
        self.seen = CallSeen(event.call_id, event.tenant, "", "")
        return [self.seen]


def facts(event: AnyEvent) -> list[Change]:
    """Return the changes that an alert or a wrap-up makes."""
    match event:
        case AssistAlert():
            is_raised = event.state == "raised"
            note = event.alert, event.rule, event.severity
            return [AlertNoted(event.call_id, *note, is_raised=is_raised)]
        case AssistWrapup():
            return [DispositionNoted(event.call_id, event.disposition or "")]
        case _:
            return []


def type_of(event: AnyEvent) -> str:
    """Return an event's type."""
    return str(event.__struct_config__.tag)


def milliseconds(at: datetime) -> int:
    """Return a time in Unix ms."""
    return int(at.timestamp() * 1000)
