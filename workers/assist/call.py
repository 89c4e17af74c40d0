"""The rules of one call: its events and the time in, changes of alerts out. Pure.

What comes out depends only on the events, and the times at which they were written: not on when
`advance` is called in between. So a worker that takes a call over, or replays it, has the same
alerts.

State is bounded: `_MAX_STREAMS` streams of `_MAX_TRACKS` tracks with one segment each, and what
each watch keeps. Events beyond these bounds are ignored, and counted.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from workers.assist.board import Alert, Board, Cite
from workers.assist.facts import Missing, Spoken, Turn
from workers.assist.kinds import watch
from workers.assist.program import Program, Ruleset, speaks
from workers.assist.rules import Required
from workers.assist.track import Changes, Match, TrackText
from workers.assist.watch import Post, Watch
from workers.client.events import (
    AnyEvent,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
)

_MAX_STREAMS: Final = 64  # of a call
_MAX_TRACKS: Final = 16  # of a stream
_LAGS: Final = 16  # deltas whose delay is considered
_RECENT: Final = 8  # turns of a track that others are compared with
# What only the watches receive that define it.
_RECEIVED: Final = (
    *("began", "turn", "overlap", "final", "missing", "paused", "stream_ended", "advance", "over"),
)


@dataclass(slots=True)
class _Track:
    text: TrackText
    turns: list[Turn] = field(default_factory=list)  # the last ones


@dataclass(slots=True)
class _Stream:
    name: str  # in ids of alerts
    program: Program
    epoch: int
    offset_ms: int  # from the beginning of the call to its own
    tracks: dict[str, _Track] = field(default_factory=dict)
    is_paused: bool = False
    is_open: bool = True
    end_ms: int = 0


class Call:
    """The state of one call.

    Args:
        ruleset: the rules.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        self.watches: dict[int, Watch] = {}  # by position of the rule in the file; kinds share them
        self.route: str | None = None
        self.tenant = ""
        self._ruleset = ruleset
        self._board = Board()
        self._streams: dict[str, _Stream] = {}
        self._owners: dict[str, int] = {}  # how many gateways have begun a stream anew
        self._began_ms: int | None = None  # Unix ms
        self._lags_ms: deque[int] = deque(maxlen=_LAGS)
        self._receivers: dict[str, list[Watch]] = {each: [] for each in _RECEIVED}

    def apply(self, event: AnyEvent, at_ms: int) -> list[Alert]:
        """Apply the next event, after all that was due before it.

        Args:
            event: the event.
            at_ms: when it was written, in Unix ms: the first part of its entry's id.
        """
        self._advance(at_ms)
        self._board.now_ms = max(at_ms, self._board.now_ms)
        if self._began_ms is None:
            self._began_ms = at_ms
        stream = self._stream(event, at_ms - self._began_ms)
        if stream:
            self._apply(event, stream)
        return self._board.take()

    def advance(self, now_ms: int) -> list[Alert]:
        """Do what is due before a time in Unix ms."""
        self._advance(now_ms)
        return self._board.take()

    def take_dropped(self) -> Counter[str]:
        """Return what exceeded a limit since the last call, by the limit."""
        dropped = self._board.dropped
        if dropped:
            self._board.dropped = Counter()
        return dropped

    def _advance(self, now_ms: int) -> None:
        began_ms = self._began_ms or 0
        while (due_ms := self._due_ms()) is not None and began_ms + due_ms < now_ms:
            self._board.now_ms = max(began_ms + due_ms, self._board.now_ms)
            for each in self._receivers["advance"]:
                if each.due_ms is not None and each.due_ms <= due_ms:
                    each.advance(due_ms + 1)

    def _due_ms(self) -> int | None:
        times_ms = [each.due_ms for each in self._receivers["advance"]]
        return min((each for each in times_ms if each is not None), default=None)

    def _stream(self, event: AnyEvent, offset_ms: int) -> _Stream | None:
        """Return the event's stream; begin it if it is new, or a gateway has begun it anew."""
        stream = self._streams.get(event.stream_id)
        begins = isinstance(event, StreamStarted) and event.resumes is None
        if stream and not (begins and event.epoch > stream.epoch):
            stream.epoch = event.epoch
            return stream
        if stream:
            self._flush(stream)
        if not stream and len(self._streams) >= _MAX_STREAMS:
            self._board.dropped["streams"] += 1
            return None
        count = self._owners[event.stream_id] = self._owners.get(event.stream_id, 0) + 1
        name = event.stream_id if count == 1 else f"{event.stream_id}+{count}"
        route = event.route if isinstance(event, StreamStarted) else self.route
        self.route, self.tenant = self.route or route, event.tenant
        program = self._ruleset.program(route, event.tenant)
        stream = _Stream(name, program, event.epoch, offset_ms)
        self._streams[event.stream_id] = stream
        self._watch(program, _roles(event), offset_ms)
        return stream

    def _watch(self, program: Program, roles: list[str], since_ms: int) -> None:
        """Begin to apply the rules of a stream."""
        begun: list[Watch] = []
        for at, rule in program.rules.items():
            if at in self.watches or (
                isinstance(rule, Required) and roles and not _can_be_said(rule, roles)
            ):
                continue
            post = Post(self._board, rule, self._ruleset.labels[at], self._ruleset.grace_ms)
            made = watch(rule, post, begun, since_ms=since_ms)
            self.watches[at] = made
            begun.append(made)
        for each in dict.fromkeys(begun):
            for name, receivers in self._receivers.items():
                if getattr(type(each), name) is not getattr(Watch, name):
                    receivers.append(each)

    def _apply(self, event: AnyEvent, stream: _Stream) -> None:
        match event:
            case StreamStarted():
                self._resume(event, stream)
            case TranscriptDelta() | TranscriptFinal():
                self._words(event, stream)
            case TranscriptGap():
                times = event.from_ms + stream.offset_ms, event.to_ms + stream.offset_ms
                where = stream.name, event.stream_id, event.track
                gap = Missing(*where, event.cause, *times, stream.offset_ms)
                for each in self._receivers["missing"]:
                    each.missing(gap)
            case StreamPaused() | StreamResumed():
                stream.is_paused = isinstance(event, StreamPaused)
                self._pause(event.at_ms + stream.offset_ms)
            case StreamEnded():
                self._end(event, stream)
            case _:
                pass  # not about what is said

    def _resume(self, event: StreamStarted, stream: _Stream) -> None:
        stream.is_open = True
        if event.resumes is not None:
            for each in self._receivers["stream_ended"]:
                each.stream_ended(stream.name, "resumed", Cite(event.stream_id))

    def _words(self, event: TranscriptDelta | TranscriptFinal, stream: _Stream) -> None:
        track = stream.tracks.get(event.track)
        if track is None:
            if len(stream.tracks) >= _MAX_TRACKS:
                self._board.dropped["tracks"] += 1
                return
            track = _Track(TrackText(stream.program, event.role))
            stream.tracks[event.track] = track
        text = track.text
        known = text.segment.number, text.segment.is_final
        changes = text.final(event) if isinstance(event, TranscriptFinal) else text.delta(event)
        if event.segment < known[0] or known == (event.segment, True):
            return  # a segment that is closed
        if isinstance(event, TranscriptDelta):
            said_ms = event.end_ms + stream.offset_ms + (self._began_ms or 0)
            self._lags_ms.append(max(0, self._board.now_ms - said_ms))
            self._board.lag_ms = max(self._lags_ms)
        turn = self._turn(event, stream, track)
        self._report(changes, turn, track)
        beside = self._beside(turn, track)
        for watching in self._receivers["turn"]:
            watching.turn(turn)
        if beside or turn.is_final:
            for watching in self._receivers["overlap"]:
                watching.overlap(turn, beside)
        if turn.is_final:
            for watching in self._receivers["final"]:
                watching.final(turn)

    def _beside(self, turn: Turn, track: _Track) -> list[Turn]:
        """Return the turns of other tracks that a turn overlaps."""
        return [
            each
            for stream in self._streams.values()
            for other in stream.tracks.values()
            if other is not track
            for each in other.turns
            if each.end_ms > turn.start_ms and turn.end_ms > each.start_ms
        ]

    def _turn(
        self, event: TranscriptDelta | TranscriptFinal, stream: _Stream, track: _Track
    ) -> Turn:
        """Return the event's turn, up to date."""
        segment, offset_ms = track.text.segment, stream.offset_ms
        if not track.turns or track.turns[-1].segment != segment.number:
            where = stream.name, event.stream_id, event.track, event.role
            times = segment.start_ms + offset_ms, segment.end_ms + offset_ms
            track.turns.append(Turn(*where, segment.number, segment.rev, *times, offset_ms))
            del track.turns[:-_RECENT]
            for watching in self._receivers["began"]:
                watching.began(track.turns[-1])
        turn = track.turns[-1]
        turn.start_ms, turn.end_ms = segment.start_ms + offset_ms, segment.end_ms + offset_ms
        turn.rev, turn.words, turn.is_final = segment.rev, track.text.words, segment.is_final
        return turn

    def _report(self, changes: Changes, turn: Turn, track: _Track) -> None:
        """Report what was found and taken back to the rules that look for it."""
        if changes.dropped:
            self._board.dropped["matches"] += changes.dropped
        for match in changes.retracted:
            self._watch_of(match).retracted(Spoken(match, _turn_of(track, match) or turn))
        for match in changes.found:
            self._watch_of(match).found(Spoken(match, _turn_of(track, match) or turn))

    def _flush(self, stream: _Stream) -> None:
        """Read segments that get no final to their ends."""
        for track in stream.tracks.values():
            if track.turns:
                self._report(track.text.flush(), track.turns[-1], track)

    def _watch_of(self, match: Match) -> Watch:
        return self.watches.get(match.slot.rule) or Watch()

    def _pause(self, at_ms: int) -> None:
        is_paused = any(each.is_paused for each in self._streams.values())
        for each in self._receivers["paused"]:
            each.paused(at_ms, is_paused=is_paused)

    def _end(self, event: StreamEnded, stream: _Stream) -> None:
        stream.is_open, stream.is_paused = False, False
        stream.end_ms = stream.offset_ms + event.duration_ms
        self._flush(stream)
        cite = Cite(event.stream_id, start_ms=event.duration_ms, end_ms=event.duration_ms)
        for each in self._receivers["stream_ended"]:
            each.stream_ended(stream.name, event.status, cite)
        if not any(each.is_open for each in self._streams.values()):
            end_ms = max(each.end_ms for each in self._streams.values())
            for each in self._receivers["over"]:
                each.over(end_ms)


def _roles(event: AnyEvent) -> list[str]:
    return [track.role for track in event.tracks] if isinstance(event, StreamStarted) else []


def _can_be_said(rule: Required, roles: Iterable[str]) -> bool:
    """Return whether a stream has a track on which the words can be said."""
    return any(speaks(role, rule.role) for role in roles)


def _turn_of(track: _Track, match: Match) -> Turn | None:
    return next((each for each in track.turns if each.segment == match.key.segment), None)
