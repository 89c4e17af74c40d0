"""Scan a text that grows: what to mask, and how much of it is decided. Pure.

    context | text                                         more may follow
            | "yes my PIN is 4 8 2" -> settled up to "is"; "4 8 2" is held

The decision about the settled part never depends on what follows it. So a text that is scanned in
parts, each with the context that the part before it returned, is masked like the whole text.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from workers.redact.cues import MAX_PHRASE_WORDS, NO_DIGITS, Cue, Phrases, cues, normalized, phrases
from workers.redact.emails import AddressReader
from workers.redact.kinds import Kind, Match
from workers.redact.lexicon import Lexicon, lexicon
from workers.redact.marks import INHERITED_WORDS, OWNERS, Marks, part_of
from workers.redact.recognizers import LONG_DIGITS, Setting, classify, is_harmless
from workers.redact.spoken import MAX_DIGITS, Role, Run, Token, find_runs, tokenize

_TAIL_CHARS: Final = (
    120  # of the text before: enough for a phrase, and for the symbol before digits
)
_TAIL_TOKENS: Final = 2 * MAX_PHRASE_WORDS + 2
ADDRESS_WORDS: Final[Mapping[Kind | None, int]] = MappingProxyType(
    {Kind.EMAIL: 12, Kind.PHONE: 7}  # from a cue, also "reach me at", to an address
)
_LINKS: Final = frozenset(
    {"is", "was", "that's", "thats", "it's", "its", "which", "as", "for", "ist", "es", "lautet"}
)
_LINK_WORDS: Final = 4  # from a cue before a number: another one after it is ignored
_AFTER_WORDS: Final = 7  # "4821, is that the new PIN"
_AFTER_TOKENS: Final = 12
_STOPS: Final = frozenset(".?!;:")


@dataclass(frozen=True, slots=True)
class Context:
    """What a scan must know of the text before it.

    Attributes:
        tail: the end of that text.
        cue: the last cue in it, and `distance` the words after it.
        inside: the kind of the run that is masked up to the end of that text and may continue.
    """

    tail: str = field(default="", repr=False)
    cue: Cue | None = None
    distance: int = 0
    inside: Kind | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What to mask in which language."""

    kinds: frozenset[Kind]
    words: Lexicon
    phrases: Phrases
    after_starts: frozenset[str] = field(repr=False)
    region: str

    @classmethod
    def of(cls, kinds: frozenset[Kind], language: str, region: str) -> "Rules":
        """Build the rules for a language, such as `en`, and a region, such as `US`."""
        table = phrases(language)
        after = [*_LINKS, *OWNERS, *(each[0] for each in table.beginnings if each)]
        starts = frozenset(word[:end] for word in after for end in range(1, len(word) + 1))
        return cls(kinds, lexicon(language), table, starts, region)


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan.

    Attributes:
        matches: in order; offsets are those of the text.
        settled: the text before this offset is decided.
        after: the context of what follows `settled`.
        numbers: the digits of each masked run, with its kind.
        pending: the digits of the run that is held.
        cue: the last cue in the text, not counting those of other speakers.
    """

    matches: tuple[Match, ...]
    settled: int
    after: Context
    numbers: tuple[tuple[str, Kind], ...] = field(repr=False)
    pending: str = field(repr=False)
    cue: Cue | None


type Recall = Callable[[str], Kind | None]


def scan(
    text: str,
    context: Context,
    rules: Rules,
    *,
    more: bool,
    is_final: bool = False,
    said: Sequence[tuple[int, Cue]] = (),
    recall: Recall = lambda _: None,
    force: bool = False,
) -> Scan:
    """Find what to mask in a text.

    Args:
        text: the text.
        context: of the text.
        rules: what to mask.
        more: whether text may follow. If not, everything is settled.
        is_final: whether a segment ends with the text.
        said: cues of other speakers, by the offset in the text at which they apply.
        recall: returns the kind of a value masked lately that contains these digits.
        force: whether an undecided run of many digits at the end is masked as a number.
    """
    return _Scanner(text, context, rules, said, recall).result(
        more=more, is_final=is_final, force=force
    )


class _Scanner:
    def __init__(
        self,
        text: str,
        context: Context,
        rules: Rules,
        said: Sequence[tuple[int, Cue]],
        recall: Recall,
    ) -> None:
        self._base = len(context.tail)
        self._text = context.tail + text
        self._context = context
        self._rules = rules
        self._recall = recall
        tokens = tokenize(self._text, rules.words)
        self._tokens = tokens[_tail_from(tokens, self._base) :]
        self._first = next(
            (n for n, each in enumerate(self._tokens) if each.start >= self._base),
            len(self._tokens),
        )
        known = context.cue, context.distance
        self._marks = Marks(self._tokens, self._base, known, rules.phrases, said)
        self._matches: list[Match] = []
        self._numbers: list[tuple[str, Kind]] = []

    def result(self, *, more: bool, is_final: bool, force: bool) -> Scan:
        self._more = more and not is_final
        length = len(self._text)
        inside, pending = None, ""
        addresses, settled = self._find_addresses(more=more, is_final=is_final)
        runs = find_runs(self._tokens, self._rules.words, self._first, length, self._no_items())
        previous: Match | None = None
        for run in runs:
            is_undecided = run.is_open and len(run.digits) <= MAX_DIGITS
            if more and (is_undecided or self._announced_after(run) is True):
                settled, pending = min(settled, self._opening(run.start)), run.digits
                break
            previous = self._mask(run, previous, force=force)
            is_cut = len(run.digits) > MAX_DIGITS and run.after >= len(self._tokens)
            inside = previous.kind if previous and is_cut else None
        self._add_addresses(addresses)
        if more:
            settled = max(self._base, min(settled, self._before_last_word(is_final=is_final)))
            spans = [(each.start, each.end) for each in self._matches]
            spans += [(self._opening(each.start), each.end) for each in runs]
            for start, end in sorted(spans, reverse=True):
                if start < settled < end:
                    settled = start
        return self._build(settled, inside, pending)

    def _no_items(self) -> frozenset[int]:
        """Return the indices of the tokens of phrases: in "last four" is no digit."""
        return frozenset(
            index
            for first, last in self._marks.phrases
            if not self._is_unfinished(self._tokens[last])
            for index in range(first, last + 1)
        )

    # Runs.

    def _opening(self, start: int) -> int:
        """Return the offset of a run with the bracket or plus sign before it."""
        while start > self._base and self._text[start - 1] in "+(":
            start -= 1
        return start

    def _setting(self, run: Run) -> Setting:
        first = next((each for each in run.items if each.role is not Role.LETTERS), run.items[0])
        cue, distance = self._marks.cue_at(first.start, run.first)
        after = self._announced_after(run)
        if isinstance(after, Cue) and (cue is None or distance > _LINK_WORDS):
            cue, distance = after, 1
        cue = cue and cue.applying_to(len(run.digits), distance)
        follows = run.after < len(self._tokens) and self._tokens[run.after - 1].end == run.end
        follower = self._tokens[run.after].low if follows else ""
        return Setting(
            self._text,
            cue,
            distance,
            tuple(each.low for each in self._tokens[max(0, run.first - 3) : run.first]),
            follower in self._rules.words.units,
            self._rules.region,
            self._rules.kinds,
            self._recall,
        )

    def _announced_after(self, run: Run) -> Cue | bool:
        """Return the cue in "4821 is my PIN"; True if more text may have one; or False."""
        if run.after >= len(self._tokens) or not 3 <= len(run.digits) <= 12:
            return False
        start = self._link(run)
        tokens = self._tokens[start : start + _AFTER_TOKENS]
        window = [each for each in tokens if each.low[0].isalnum()][:_AFTER_WORDS]
        if not window:
            return len(tokens) < _AFTER_TOKENS and self._more
        is_linked = window[0].low in _LINKS
        if self._is_unfinished(window[0]) and window[0].low in self._rules.after_starts:
            return True
        words = [normalized(each.low) for each in window]
        lead = int(not is_linked and words[0] in OWNERS)
        known = words[lead : len(words) - self._is_unfinished(window[-1])]
        if not is_linked and not self._may_follow(run, window, known):
            return False
        for first, last, cue in cues(words, self._rules.phrases):
            is_direct = first <= lead and last >= lead and cue.may_follow
            if is_linked or (is_direct and not cue.inherits):
                return self._is_unfinished(window[last]) or self._part_before(run, cue)
        if not is_linked:
            return tuple(known) in self._rules.phrases.beginnings
        return len(window) < _AFTER_WORDS or self._is_unfinished(window[-1])

    def _part_before(self, run: Run, cue: Cue) -> Cue:
        """Return the cue of a run before a phrase: "account with 8821 as the last four"."""
        before, distance = self._marks.cue_at(run.start, run.first)
        is_part = cue.inherits and before is not None and distance <= INHERITED_WORDS
        return part_of(before) if before and is_part else cue

    def _link(self, run: Run) -> int:
        """Return the index of the first word after a run, "the" and "for" included."""
        start = run.after
        for index in range(run.after - 1, max(run.first, run.after - _AFTER_TOKENS), -1):
            token = self._tokens[index]
            if token.start < run.end:
                break
            if token.low in _LINKS or token.low in OWNERS:
                start = index
        return start

    def _may_follow(self, run: Run, window: Sequence[Token], words: Sequence[str]) -> bool:
        """Return whether words after a run in the same sentence may begin a cue."""
        between = self._text[run.end : window[0].start]
        is_phrase = tuple(words[:1]) in self._rules.phrases.beginnings
        return _STOPS.isdisjoint(between) and is_phrase

    def _is_unfinished(self, token: Token) -> bool:
        return self._more and self._text[token.end :] in ("", "'", "’")  # noqa: RUF001

    def _mask(self, run: Run, previous: Match | None, *, force: bool) -> Match | None:
        """Mask a run if it is sensitive; return its match."""
        continued = self._continued(run, previous)
        setting = self._setting(run)
        match = continued or classify(run, setting)
        is_forced = force and run.is_open and len(run.digits) >= LONG_DIGITS
        if match is None and is_forced and not is_harmless(run, setting):
            match = Match(run.start, run.end, Kind.NUMBER)
        if match is None:
            return None
        if not continued:
            match = Match(self._opening(match.start), match.end, match.kind)
        self._matches.append(match)
        self._numbers.append((run.digits[:MAX_DIGITS], match.kind))
        minimum = 4 if match.kind is Kind.BIRTH_DATE else 3
        if setting.cue and setting.cue.kind is Kind.ONE_TIME_CODE:
            minimum = min(minimum, setting.cue.min_digits)  # single digits were asked for
        self._marks.add(match.end, run.after, Cue(match.kind, minimum))
        return match

    def _continued(self, run: Run, previous: Match | None) -> Match | None:
        """Return the match of a run whose beginning is masked already."""
        if run.follows and previous:
            return Match(previous.end, run.end, previous.kind, continues=True)
        kind = self._context.inside
        between = [each.low for each in self._tokens[self._first : run.first]]
        if kind and not any(each[0].isalnum() for each in between):
            return Match(self._base, run.end, kind, continues=True)
        return None

    # Addresses.

    def _find_addresses(self, *, more: bool, is_final: bool) -> tuple[list[Match], int]:
        """Return the addresses, and the offset from which the text is not settled.

        What follows an address may spell a part of it again: "that's C H O W".
        """
        found: list[Match] = []
        settled = len(self._text)
        if Kind.EMAIL not in self._rules.kinds:
            return found, settled
        reader = AddressReader(self._tokens, self._rules.words, self._first, self._cued_from)
        for address in reader.addresses():
            start = self._tokens[address.first].start
            end = self._tokens[address.after - 1].end
            found.append(Match(start, end, Kind.EMAIL))
            before, distance = self._marks.cue_at(start, address.first)
            if before and before.kind is Kind.EMAIL:
                before = before.otherwise
            is_near = distance <= INHERITED_WORDS
            self._marks.add(
                end,
                address.after,
                Cue(Kind.EMAIL, NO_DIGITS, otherwise=before if is_near else None),
            )
            if more and address.is_open:
                settled = min(settled, start)
        held = reader.held(is_final=is_final) if more else None
        return found, settled if held is None else min(settled, self._tokens[held].start)

    def _add_addresses(self, addresses: Sequence[Match]) -> None:
        for each in addresses:
            self._matches = [
                other
                for other in self._matches
                if other.end <= each.start or other.start >= each.end
            ]
            self._matches.append(each)
        self._matches.sort(key=lambda match: match.start)

    def _cued_from(self, index: int) -> int | None:
        """Return the index of the first token after a cue for an address near a token."""
        offset = self._tokens[index].start if index < len(self._tokens) else len(self._text)
        cue, distance = self._marks.cue_at(offset, index)
        if cue is None or distance > ADDRESS_WORDS.get(cue.kind, -1):
            return None
        return max(self._first, index - distance)

    # The result.

    def _before_last_word(self, *, is_final: bool) -> int:
        """Return the offset of an unfinished last word, or the end."""
        tokens = self._tokens
        if is_final or not tokens or tokens[-1].end < len(self._text):
            return len(self._text)
        last = tokens[-1]
        if last.low in "'’" and len(tokens) > 1 and tokens[-2].end == last.start:  # noqa: RUF001
            last = tokens[-2]
        is_word = last.low[0].isalnum() or last.low in "+("
        return last.start if is_word and last.start >= self._base else len(self._text)

    def _build(self, settled: int, inside: Kind | None, pending: str) -> Scan:
        if settled < len(self._text):
            settled = max(self._base, len(self._text[:settled].rstrip()))
            inside = None
        matches = tuple(
            Match(each.start - self._base, each.end - self._base, each.kind, each.continues)
            for each in self._matches
            if each.start < settled
        )
        after = self.at(settled, inside)
        cue = self._marks.last_own(len(self._text) if self._more else None)  # "ref" of "refund"
        return Scan(matches, settled - self._base, after, tuple(self._numbers), pending, cue)

    def at(self, settled: int, inside: Kind | None) -> Context:
        """Return the context of the text after an offset.

        A word that ends there may be unfinished: the next scan counts it.
        """
        done = sum(1 for each in self._tokens if each.end < settled)
        cue, distance = self._marks.cue_after(settled, done)
        tail = _tail_from(self._tokens, settled)
        tail_from = min([settled, *(each.start for each in self._tokens[tail : tail + 1])])
        return Context(self._text[tail_from:settled], cue, distance, inside)


def _tail_from(tokens: Sequence[Token], end: int) -> int:
    """Return the index of the first token before an offset that is still needed after it."""
    after = bisect_left(tokens, end, key=attrgetter("start"))
    oldest = bisect_left(tokens, end - _TAIL_CHARS, key=attrgetter("start"))
    return max(oldest, after - _TAIL_TOKENS)


def masked(text: str, matches: Sequence[Match], start: int, end: int) -> tuple[str, list[Kind]]:
    """Return a part of a text with masks, and the kinds masked in it, once per mask."""
    parts: list[str] = []
    kinds: list[Kind] = []
    at = start
    for match in matches:
        if match.end <= start or match.start >= end:
            continue
        parts.append(text[at : max(at, match.start)])
        if not match.continues:
            parts.append(match.kind.mask)
            kinds.append(match.kind)
        at = min(end, match.end)
    parts.append(text[at:end])
    return "".join(parts), kinds


def find(text: str, rules: Rules) -> list[Match]:
    """Return the sensitive values in a text that is complete."""
    return list(scan(text, Context(), rules, more=False).matches)
