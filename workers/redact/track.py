"""The redactor of one track: holds finals and words until they are decided. Pure.

A final is read again from the beginning of its segment, in the context that the segment's deltas
were read in, so both are masked alike. Before the segment may be finals that are still held: their
undecided text (`carry`) is read together with the segment.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from workers.redact.cues import Cue
from workers.redact.kinds import Kind
from workers.redact.reading import OnNumber, Reader, Slot
from workers.redact.scan import Context, Recall, Rules, scan

MAX_TEXT: Final = 20_000  # of a segment; text beyond it is not published
HOLD_MS: Final = 8_000
CUE_MS: Final = 60_000  # callers fetch their card first
_MAX_HELD_EVENTS: Final = 64
_MAX_SAID: Final = 16
_BEGINNINGS: Final = ("start_ms", "from_ms", "at_ms")

type Event = Mapping[str, str]


def number(event: Event, *names: str) -> int:
    """Return the first of some fields that an event has as a number, or 0."""
    for name in names:
        text = event.get(name, "")
        if text.isdecimal() and len(text) < 16:
            return int(text)
    return 0


def begins_ms(event: Event) -> int:
    """Return when an event begins on the media clock, or 0."""
    return number(event, *_BEGINNINGS)


@dataclass(frozen=True, slots=True)
class Output:
    """An event to publish; `text` replaces its text unless it is None."""

    event: Event
    text: str | None = field(default=None, repr=False)
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    event: Event = field(repr=False)
    slot: Slot | None


@dataclass(slots=True)
class _Open:
    segment: int
    rev: int
    reader: Reader
    slot: Slot
    event: Event = field(repr=False)
    announced: Cue | None = None


class Track:
    """Redacts the events of one track.

    Args:
        rules: what to mask.
        recall: returns the kind of a value masked lately in the call that contains these digits.
        on_number: receives the digits and the kind of each masked number.
    """

    def __init__(self, rules: Rules, recall: Recall, on_number: OnNumber) -> None:
        self._rules = rules
        self._recall = recall
        self._on_number = on_number
        self._context = Context()
        self._carry = ""
        self._said: list[tuple[int, Cue]] = []
        self._held: deque[_Held] = deque()
        self._held_end_ms = 0
        self._cue_ms = 0
        self._open: _Open | None = None
        self._closed = 0
        self.pending = ""  # digits of a number that is not decided

    def hear(self, cue: Cue, at_ms: int) -> None:
        """Apply a cue of another speaker to what follows."""
        length = self._open.reader.length if self._open else len(self._carry)
        self._said = [*self._said[1 - _MAX_SAID :], (length, cue)]
        self._cue_ms = max(self._cue_ms, at_ms)

    def delta(self, event: Event) -> tuple[list[Output], Cue | None]:
        """Redact a delta; return the events to publish and the last cue in it."""
        segment, rev = number(event, "segment"), number(event, "rev")
        opened = self._opened(event, segment, rev)
        if opened is None:
            return [], None
        opened.event = event
        opened.reader.cue = None
        room = max(0, len(self._carry) + 1 + MAX_TEXT - opened.reader.length)
        self._feed(opened.reader, event.get("text", "")[:room], opened.slot)
        self.pending = opened.reader.digits
        outputs = self._released()
        if text := opened.slot.drain():
            outputs.append(Output(event, text))
        cue = self._announced(opened.reader, event)
        opened.announced = cue or opened.announced
        return outputs, cue

    def final(self, event: Event) -> tuple[list[Output], Cue | None]:
        """Redact a final; return the events to publish and the last cue in it, if it is new."""
        opened, self._open = self._open, None
        if opened is None or opened.segment != number(event, "segment"):
            self._expire_cue(event)
        text = event.get("text", "")[:MAX_TEXT]
        reader, slot = self._reader(), Slot(len(self._carry) + 1)
        slot.end = slot.start + len(text)
        reader.cue = None
        held = _Held(event, slot)
        self._held.append(held)
        try:
            self._feed(reader, text, None, is_final=True)
        except BaseException:
            self._held.remove(held)  # the event is not published; later ones must be
            raise
        self._closed = max(self._closed, number(event, "segment"))
        self._held_end_ms = max(begins_ms(event), number(event, "end_ms"))
        self._rebase(reader)
        cue = self._announced(reader, event)
        return self._released(), cue if opened is None or cue != opened.announced else None

    def other(self, event: Event) -> list[Output]:
        """Pass an event without text, after the finals that are held."""
        self._held.append(_Held(event, None))
        outputs = self._released()
        return outputs if len(self._held) < _MAX_HELD_EVENTS else outputs + self.flush()

    @property
    def is_announced(self) -> bool:
        """Whether a phrase, of any speaker, has announced the number that is not decided."""
        cues = (self._context.cue, *(cue for _, cue in self._said))
        return any(cue is not None and cue.kind is not None for cue in cues)

    def pending_kind(self) -> Kind | None:
        """Return the kind of the number that is not decided, if nothing followed it."""
        text, context, offset = self._carry, self._context, 0
        if self._open:
            reader = self._open.reader
            text, context, offset = reader.pending, reader.context, reader.offset
        near = [(at - offset, cue) for at, cue in self._said if at >= offset]
        found = scan(text, context, self._rules, more=False, said=near, force=True)
        return found.matches[-1].kind if found.matches else None

    def advance(self, now_ms: int) -> list[Output]:
        """Release the held finals if the media clock has moved far enough."""
        if self._open is None and self._held and now_ms > self._held_end_ms + HOLD_MS:
            return self.flush()
        return []

    def flush(self) -> list[Output]:
        """Decide and return everything held."""
        if self._open:
            return self._flush_open(self._open)
        reader = Reader(self._rules, self._context, self._carry)
        reader.finish(self._slots(), self._said, self._recall, self._on_number)
        self._rebase(reader)
        return self._released()

    def _flush_open(self, opened: _Open) -> list[Output]:
        slots = [*self._slots(), opened.slot]
        opened.reader.finish(slots, self._said, self._recall, self._on_number)
        self.pending = ""
        outputs = self._released()
        if text := opened.slot.drain():
            outputs.append(Output(opened.event, text))
        return outputs

    def _opened(self, event: Event, segment: int, rev: int) -> _Open | None:
        """Return the open segment of a delta; None if the delta is of a former one."""
        if segment <= self._closed:
            return None
        opened = self._open
        if opened and (opened.segment, opened.rev) == (segment, rev):
            return opened
        if opened and (opened.segment, opened.rev) > (segment, rev):
            return None
        if not opened:
            self._expire_cue(event)
        self._open = _Open(segment, rev, self._reader(), Slot(len(self._carry) + 1), event)
        return self._open

    def _expire_cue(self, event: Event) -> None:
        if begins_ms(event) > self._cue_ms + CUE_MS:
            self._context = replace(self._context, cue=None)
            self._said.clear()

    def _reader(self) -> Reader:
        """Return a reader of the next segment, in the context of the held text."""
        reader = Reader(self._rules, self._context)
        reader.feed(f"{self._carry} ", self._slots(), self._said, self._recall, self._on_number)
        return reader

    def _feed(
        self, reader: Reader, text: str, slot: Slot | None, *, is_final: bool = False
    ) -> None:
        slots = [*self._slots(), slot] if slot else self._slots()
        reader.feed(text, slots, self._said, self._recall, self._on_number, is_final=is_final)

    def _slots(self) -> list[Slot]:
        return [each.slot for each in self._held if each.slot]

    def _rebase(self, reader: Reader) -> None:
        """Keep only the undecided text, as the context of what follows."""
        self._context, self._carry, self.pending = reader.context, reader.pending, reader.digits
        self._said = [(at - reader.offset, cue) for at, cue in self._said if at >= reader.offset]
        for slot in self._slots():
            slot.move(reader.offset)

    def _released(self) -> list[Output]:
        outputs: list[Output] = []
        while self._held and (self._held[0].slot is None or self._held[0].slot.is_decided):
            held = self._held.popleft()
            if held.slot is None:
                outputs.append(Output(held.event))
            else:
                outputs.append(Output(held.event, held.slot.drain(), tuple(held.slot.kinds)))
        return outputs

    def _announced(self, reader: Reader, event: Event) -> Cue | None:
        if reader.cue:
            self._cue_ms = max(self._cue_ms, begins_ms(event), number(event, "end_ms"))
        return reader.cue
