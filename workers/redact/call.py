"""The redactor of one call: its raw events in, the events to publish out. Pure.

State is bounded: per call `_MAX_STREAMS` streams of `_MAX_TRACKS` tracks, and `_MAX_NUMBERS` masked
numbers; per track what `track.py` and `reading.py` hold. Events beyond these bounds are not
published.
Only media times of events count, never a clock: a replay has the same output.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from workers.redact.cues import Cue
from workers.redact.kinds import Kind
from workers.redact.reading import MAX_HELD
from workers.redact.scan import Rules, find, masked
from workers.redact.track import Event, Output, Track, begins_ms, number

RECALL_MS: Final = 60_000
_MAX_STREAMS: Final = 64
_MAX_TRACKS: Final = 16
_MAX_NUMBERS: Final = 32
_ECHO_WORDS: Final = 6  # of another speaker, who corrects or repeats a number
_MAX_PARAM_NAME: Final = 200
_NAME_PARTS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True, slots=True)
class Redacted:
    """An event to publish.

    Attributes:
        fields: those of the raw event with masked text and another `n`; `source_n` is the raw one.
        source: the raw event.
    """

    fields: dict[str, str] = field(repr=False)
    source: Mapping[str, str] = field(repr=False)


@dataclass(slots=True)
class _Stream:
    epoch: int
    n: int = 0
    has_ended: bool = False
    now_ms: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)


@dataclass(slots=True)
class _Numbers:
    """The numbers masked lately in a call, and when."""

    now_ms: int = 0
    _masked: dict[str, tuple[Kind, int]] = field(default_factory=dict, repr=False)

    def add(self, digits: str, kind: Kind) -> None:
        """Store a number."""
        self._masked.pop(digits, None)
        self._masked[digits] = kind, self.now_ms
        if len(self._masked) > _MAX_NUMBERS:
            del self._masked[next(iter(self._masked))]

    def kind_of(self, digits: str) -> Kind | None:
        """Return the kind of a number that contains these digits, or None."""
        for masked_digits, (kind, at_ms) in self._masked.items():
            if digits in masked_digits and self.now_ms <= at_ms + RECALL_MS:
                return kind
        return None


class CallRedactor:
    """Redacts the events of one call.

    Args:
        kinds: what to mask.
        language: of the call, such as `en` or `de-AT`; cues in English are found in any language.
        region: whose telephone numbers are said without a country code, such as `US`.

    Attributes:
        counts: the masks in published finals, by kind.
    """

    def __init__(self, kinds: frozenset[Kind], language: str = "en", region: str = "US") -> None:
        self.counts: Counter[Kind] = Counter()
        self._rules = Rules.of(kinds, language, region)
        self._streams: dict[str, _Stream] = {}
        self._numbers = _Numbers()
        self._said: tuple[Cue, int] | None = None  # the last cue in the call
        self._echoed: tuple[Cue, int] | None = None  # that of the last value

    def apply(self, event: Event) -> list[Redacted]:
        """Read the next raw event; return the events to publish now, in order."""
        name, epoch = event["stream_id"], number(event, "epoch")
        published: list[Redacted] = []
        stream = self._streams.get(name)
        if stream is None:
            if len(self._streams) == _MAX_STREAMS:
                return []
            stream = self._streams[name] = _Stream(epoch)
        if epoch > stream.epoch:
            published += self._publish(stream, self._flushed(stream))
            is_new = event["type"] == "stream.started" and "resumes" not in event
            stream = _Stream(epoch, tracks={} if is_new else stream.tracks)
            self._streams[name] = stream
        elif epoch < stream.epoch or stream.has_ended:
            return []
        return published + self._publish(stream, self._outputs(stream, event))

    def _outputs(self, stream: _Stream, event: Event) -> list[Output]:
        stream.now_ms = max(stream.now_ms, begins_ms(event))
        self._numbers.now_ms = stream.now_ms
        if event["type"] == "stream.ended":
            stream.has_ended = True
            return [*self._flushed(stream), Output(event)]
        outputs = [
            each for track in stream.tracks.values() for each in track.advance(stream.now_ms)
        ]
        return outputs + self._redacted(stream, event)

    def _redacted(self, stream: _Stream, event: Event) -> list[Output]:
        if event["type"] == "stream.started":
            return [Output(self._without_values(event))]
        if "track" not in event:
            return [Output(event, self._masked(event["text"]) if "text" in event else None)]
        track = self._track(stream, event["track"])
        if track is None:
            return []
        if event["type"] == "transcript.delta":
            outputs, cue = track.delta(event)
        elif event["type"] == "transcript.final":
            outputs, cue = track.final(event)
            if track.pending and (kind := track.pending_kind()):
                self._echo(track, kind)
        elif "text" in event:
            return [Output(event, self._masked(event["text"]))]
        else:
            return track.other(event)
        if cue:
            self._said = cue, stream.now_ms
            for other in self._tracks():
                if other is not track:
                    other.hear(*self._said)
        return outputs

    # Tracks.

    def _track(self, stream: _Stream, name: str) -> Track | None:
        if name not in stream.tracks and len(stream.tracks) < _MAX_TRACKS:
            stream.tracks[name] = self._new_track()
        return stream.tracks.get(name)

    def _new_track(self) -> Track:
        others: list[Track] = []
        track = Track(self._rules, self._recall(others), self._note_number(others))
        others.append(track)
        for heard in sorted(filter(None, (self._said, self._echoed)), key=itemgetter(1)):
            track.hear(*heard)
        return track

    def _note_number(self, self_: list[Track]) -> Callable[[str, Kind], None]:
        def note(digits: str, kind: Kind) -> None:
            self._numbers.add(digits, kind)
            for track in self_:
                self._echo(track, kind)

        return note

    def _echo(self, track: Track, kind: Kind) -> None:
        """Pass a value's kind to the other speakers, who may repeat or correct it."""
        self._echoed = Cue(kind, within=_ECHO_WORDS), self._numbers.now_ms
        for other in self._tracks():
            if other is not track:
                other.hear(*self._echoed)

    def _recall(self, self_: list[Track]) -> Callable[[str], Kind | None]:
        def recall(digits: str) -> Kind | None:
            if kind := self._numbers.kind_of(digits):
                return kind
            for other in self._tracks():
                is_part = other not in self_ and digits in other.pending
                if is_part and (other.is_announced or other.pending_kind()):
                    return Kind.NUMBER
            return None

        return recall

    def _tracks(self) -> Iterable[Track]:
        for stream in self._streams.values():
            if not stream.has_ended:
                yield from stream.tracks.values()

    def _flushed(self, stream: _Stream) -> list[Output]:
        return [each for track in stream.tracks.values() for each in track.flush()]

    # Values outside the transcript.

    def _masked(self, text: str) -> str:
        text = text[:MAX_HELD]
        return masked(text, find(text, self._rules), 0, len(text))[0]

    def _without_values(self, event: Event) -> Event:
        """Return a start with its custom parameters masked; without them if they are malformed."""
        if "params" not in event:
            return event
        try:
            params = json.loads(event["params"])
        except (ValueError, RecursionError):
            params = {}
        items = params.items() if isinstance(params, dict) else ()
        redacted = {name: self._param(name, value) for name, value in items}
        return {**event, "params": json.dumps(redacted, ensure_ascii=False)}

    def _param(self, name: str, value: object) -> str:
        """Mask a parameter's value; its name may have a cue: `dateOfBirth`."""
        if not isinstance(value, str):
            value = json.dumps(value)
        words = " ".join(_NAME_PARTS.findall(name[:_MAX_PARAM_NAME])) + ": "
        text = (words + value)[: MAX_HELD + len(words)]
        return masked(text, find(text, self._rules), len(words), len(text))[0]

    # Publication.

    def _publish(self, stream: _Stream, outputs: list[Output]) -> list[Redacted]:
        published = []
        for each in outputs:
            stream.n += 1
            fields = {**each.event, "n": str(stream.n), "source_n": each.event["n"]}
            if each.text is not None:
                fields["text"] = each.text
            self.counts.update(each.kinds)
            published.append(Redacted(fields, each.event))
        return published
