"""The state of one call, for the list of calls and for search. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from workers.client.events import (
    AnyEvent,
    StreamEnded,
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)
from workers.client.transcript import CallTranscript, Segment
from workers.relay.alerts import CallAlerts
from workers.relay.sign_in.viewer import Scope

_LAST_WORDS: Final = 160  # characters
_BEFORE_MATCH: Final = 40  # characters of a snippet
_AFTER_MATCH: Final = 80


class LastWords(msgspec.Struct, frozen=True):
    """The end of the newest segment.

    Attributes:
        role: who speaks, or the track if that is unknown.
        text: the last 160 characters.
        final: whether the segment is closed.
    """

    role: str
    text: str
    final: bool


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of the list of calls.

    Attributes:
        call_id: the call.
        tenant: whose call it is.
        carrier: of its first stream.
        route: name of its route; empty if none matched.
        state: `live`, or how it ended: `completed`, or the status of a stream that failed.
        reason: of that stream; empty while the call is live.
        started: when its first stream began; null if that is not known.
        ended: when its last event happened; null while it is live.
        duration_ms: the newest position on the media clock.
        roles: who speaks, in order of appearance.
        gaps: number of gaps.
        gap_ms: audio in gaps.
        events: number of events.
        missing: number of events missing from their numbering.
        alerts: number of open alerts; at most 1000 of a call are counted.
        severity: the highest severity of the open alerts; null if there are none.
        last: the newest words; null if there are none.
        match: in a search, the text around the match.
    """

    call_id: str
    tenant: str
    carrier: str
    route: str
    state: str
    reason: str
    started: datetime | None
    ended: datetime | None
    duration_ms: int
    roles: list[str]
    gaps: int
    gap_ms: int
    events: int
    missing: int
    alerts: int
    severity: str | None
    last: LastWords | None
    match: str | None = None


class CallList(msgspec.Struct, frozen=True):
    """The calls of the list; what changes follows as other messages.

    Attributes:
        calls: one row for each call.
    """

    calls: list[Summary]


@dataclass(slots=True)
class CallState:
    """The state of a call after the events so far."""

    call_id: str
    transcript: CallTranscript
    tenant: str = ""
    carrier: str = ""
    route: str = ""
    roles: dict[str, None] = field(default_factory=dict)  # in order of appearance
    started: datetime | None = None
    newest: datetime | None = None  # when the last event happened
    gaps: int = 0
    gap_ms: int = 0
    position_ms: int = 0  # of the newest text or gap
    last: LastWords | None = field(default=None, repr=False)

    @classmethod
    def begin(cls, call_id: str) -> "CallState":
        """Return the state before the first event."""
        return cls(call_id, CallTranscript(call_id))

    def apply(self, event: AnyEvent) -> bool:
        """Apply the next event; return False if it is a repetition."""
        if not self.transcript.apply(event):
            return False
        self.transcript.latencies_ms.clear()  # a list that would grow for as long as the call
        self.tenant = self.tenant or event.tenant
        self.newest = event.at
        match event:
            case StreamStarted():
                self._start(event)
            case TranscriptDelta() | TranscriptFinal():
                self._show(event)
            case TranscriptGap():
                self.gaps += 1
                self.gap_ms += event.to_ms - event.from_ms
                self.position_ms = max(self.position_ms, event.to_ms)
            case StreamEnded():
                self.position_ms = max(self.position_ms, event.duration_ms)
            case _:
                pass  # changes nothing that the list shows
        return True

    def _start(self, event: StreamStarted) -> None:
        self.carrier = self.carrier or event.carrier
        self.route = self.route or event.route or ""
        self.started = self.started or event.at
        self.roles |= dict.fromkeys(track.role for track in event.tracks)

    def _show(self, event: TranscriptDelta | TranscriptFinal) -> None:
        self.position_ms = max(self.position_ms, event.end_ms)
        if segment := self.transcript.segment_of(event):
            text = segment.text.strip()
            self.last = LastWords(segment.speaker, text[-_LAST_WORDS:], segment.final)

    @property
    def is_over(self) -> bool:
        """Whether every stream that started has ended."""
        return self.transcript.over

    @property
    def segments(self) -> list[Segment]:
        """All segments, ordered by their start."""
        return self.transcript.segments

    def is_in(self, scope: Scope) -> bool:
        """Return whether a viewer's scope admits the call."""
        return scope.admits(call_id=self.call_id, route=self.route, tenant=self.tenant)

    def summarize(
        self,
        match: str | None = None,
        *,
        with_text: bool = True,
        alerts: CallAlerts | None = None,
    ) -> Summary:
        """Return the row of the list of calls."""
        transcript = self.transcript
        return Summary(
            call_id=self.call_id,
            tenant=self.tenant,
            carrier=self.carrier,
            route=self.route,
            state=transcript.status,
            reason=transcript.reason if self.is_over else "",
            started=self.started,
            ended=self.newest if self.is_over else None,
            duration_ms=self.position_ms,
            roles=list(self.roles),
            gaps=self.gaps,
            gap_ms=self.gap_ms,
            events=transcript.events,
            missing=transcript.missing,
            alerts=alerts.count if alerts else 0,
            severity=alerts.severity if alerts else None,
            last=self.last if with_text else None,
            match=match,
        )

    def find(self, query: str) -> str | None:
        """Return the newest text around a query, or the id if it contains the query, else None.

        Case does not matter.
        """
        wanted = query.casefold()
        for segment in reversed(self.segments):
            at = segment.text.casefold().find(wanted)
            if at >= 0:
                snippet = segment.text[max(0, at - _BEFORE_MATCH) :]
                return snippet[: _BEFORE_MATCH + len(query) + _AFTER_MATCH].strip()
        return self.call_id if wanted in self.call_id.casefold() else None
