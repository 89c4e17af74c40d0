"""Read the text of a track as it grows, and fill its segments with what is published of it. Pure.

    text of the track   |yes four one one one| one one one one| and
    slots               |   segment 7        |   segment 8    | 9 ...
    decided             ......................................|<- offset, pending

Decided text goes to the slots. At most `MAX_HELD` characters are pending: if there are more, they
are masked as a number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from workers.redact.cues import Cue
from workers.redact.kinds import Kind, Match
from workers.redact.plain import settle
from workers.redact.scan import Context, Recall, Rules, Scan, masked, scan

MAX_HELD: Final = 2000
_PART: Final = 4000  # bounds the work per scan, some steps of which are not linear


@dataclass(slots=True)
class Slot:
    """A segment's place in the text of a track.

    Attributes:
        start, end: offsets in the text; `end` is None while the segment is open.
        at: offset up to which `parts` are filled.
        parts: what may be published.
        kinds: of the masks in `parts`.
    """

    start: int
    end: int | None = None
    at: int = field(init=False)
    parts: list[str] = field(default_factory=list, repr=False)
    kinds: list[Kind] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at = self.start

    @property
    def is_decided(self) -> bool:
        """Whether the segment has its final and all of its text is decided."""
        return self.end is not None and self.at >= self.end

    def fill(self, text: str, offset: int, matches: Sequence[Match], settled: int) -> None:
        """Add the segment's part of a decided text that begins at an offset."""
        start = max(self.at, offset)
        end = settled if self.end is None else min(self.end, settled)
        if start < end:
            part, kinds = masked(text, matches, start - offset, end - offset)
            self.parts.append(part)
            self.kinds += kinds
            self.at = end

    def drain(self) -> str:
        """Remove and return what may be published."""
        text = "".join(self.parts)
        self.parts.clear()
        return text

    def move(self, offset: int) -> None:
        """Make the offsets relative to another one."""
        self.start -= offset
        self.at -= offset
        if self.end is not None:
            self.end -= offset


type OnNumber = Callable[[str, Kind], None]


@dataclass(slots=True)
class Reader:
    """Reads a text in parts.

    Attributes:
        rules: what to mask.
        context: of the pending text.
        pending: the text that is not decided.
        offset: of the pending text.
        digits: of the number at the end of the pending text.
        cue: the last cue that this reader found.
    """

    rules: Rules
    context: Context
    pending: str = field(default="", repr=False)
    offset: int = 0
    digits: str = field(default="", repr=False)
    cue: Cue | None = None

    @property
    def length(self) -> int:
        """Length of the whole text."""
        return self.offset + len(self.pending)

    def feed(
        self,
        text: str,
        slots: Sequence[Slot],
        said: Sequence[tuple[int, Cue]],
        recall: Recall,
        on_number: OnNumber,
        *,
        is_final: bool = False,
    ) -> None:
        """Read more text and fill the slots with what it decides.

        Args:
            text: the text.
            slots: the segments.
            said: cues of other speakers, by offset.
            recall: returns the kind of a value masked lately that contains these digits.
            on_number: receives the digits and the kind of each masked number.
            is_final: whether a segment ends with the text.
        """
        for at in range(0, max(1, len(text)), _PART):
            self.pending += text[at : at + _PART]
            last = is_final and at + _PART >= len(text)
            if not self._pass_plain(slots, said) or last:
                found = self._scan(said, recall, more=True, is_final=last)
                self._settle(found, slots, on_number)
            if len(self.pending) > MAX_HELD:
                self._mask_pending(slots)

    def finish(
        self,
        slots: Sequence[Slot],
        said: Sequence[tuple[int, Cue]],
        recall: Recall,
        on_number: OnNumber,
    ) -> None:
        """Decide the pending text without what may follow."""
        found = self._scan(said, recall, more=False, is_final=False)
        self._settle(found, slots, on_number)

    def _pass_plain(self, slots: Sequence[Slot], said: Sequence[tuple[int, Cue]]) -> bool:
        """Advance past ordinary words; return False if a scan must decide."""
        if any(at >= self.offset for at, _ in said):
            return False
        found = settle(self.pending, self.context, self.rules)
        if found is None:
            return False
        settled, self.context = found
        self.digits = ""
        self._advance(slots, (), settled)
        return True

    def _scan(
        self, said: Sequence[tuple[int, Cue]], recall: Recall, *, more: bool, is_final: bool
    ) -> Scan:
        near = [(at - self.offset, cue) for at, cue in said if at >= self.offset]
        return scan(
            self.pending,
            self.context,
            self.rules,
            more=more,
            is_final=is_final,
            said=near,
            recall=recall,
            force=not more,
        )

    def _settle(self, found: Scan, slots: Sequence[Slot], on_number: OnNumber) -> None:
        self._advance(slots, found.matches, found.settled)
        self.context, self.digits = found.after, found.pending
        self.cue = found.cue or self.cue
        for digits, kind in found.numbers:
            on_number(digits, kind)

    def _mask_pending(self, slots: Sequence[Slot]) -> None:
        length = len(self.pending)
        self._advance(slots, [Match(0, length, Kind.NUMBER)], length)
        self.context = Context("", self.context.cue, self.context.distance, Kind.NUMBER)
        self.digits = ""

    def _advance(self, slots: Sequence[Slot], matches: Sequence[Match], settled: int) -> None:
        for slot in slots:
            slot.fill(self.pending, self.offset, matches, self.offset + settled)
        self.pending = self.pending[settled:]
        self.offset += settled
