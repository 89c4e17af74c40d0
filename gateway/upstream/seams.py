"""Join the texts of two turns that share audio. Pure.

    turn 1    ... it was the season of Light. It was the seas.
    turn 2                                       It was the season of Darkness, it was ...
    joined    ... it was the season of Light. It was the season of Darkness, it was ...

The words of the shared audio end the first text and begin the second. So the end of the first text
is aligned with the beginning of the second, and nowhere else: speech repeats itself. Where they
differ, the first text is used up to the last word that both have, and the second text after it. A
word that only one of them has is kept, except a word at the cut, which may be incomplete. Models
end a sentence and begin one at the cut, so punctuation there is used from the other text.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

# Scripts without spaces between words: their units are characters.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# A word with the white space before it and the punctuation after it.
_UNITS: Final = re.compile(rf"\s*(?:[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+)")
_PARTS: Final = re.compile(r"(\s*[^\w\s]*)(.*?)([^\w\s]*)\Z", re.DOTALL)
_MARKS: Final = re.compile(r"[^\w]")
_LEAST_CUT: Final = 2  # letters of a cut word that are compared
_MOST_UNITS: Final = 64  # more than anyone says in two overlaps

# Scores of the alignment. The overlap is where their sum is greatest, and above 0.
_SAME: Final = 4
_CUT: Final = 2  # one is the beginning or end of the other, at its edge
_OTHER: Final = -3
_OTHER_AT_EDGE: Final = -1


class _Word(NamedTuple):
    """A unit, in its parts."""

    before: str  # white space, and opening punctuation
    core: str
    after: str  # punctuation
    plain: str  # for comparison

    @property
    def text(self) -> str:
        """The unit as it was."""
        return self.before + self.core + self.after


class _Step(NamedTuple):
    """One step of an alignment: a word of each text, or a word that only one has."""

    ours: int | None
    theirs: int | None
    is_same: bool = False


def split_tail(text: str, share: float) -> tuple[str, str]:
    """Split off the end of a text that may have been said in the last part of its audio.

    Args:
        text: the text of a turn.
        share: how much of the speech is in the last part.

    Returns:
        The text before, and the tail: at least one word, at most `_MOST_UNITS`.
    """
    units = _UNITS.findall(text)
    least, kept = round(len(text) * (1 - share)), 0
    end = 0
    for unit in units:
        end += len(unit)
        if end > least:
            break
        kept += 1
    kept = max(min(kept, len(units) - 1), len(units) - _MOST_UNITS, 0)
    return "".join(units[:kept]), "".join(units[kept:])


def certain(text: str) -> str:
    """Return a text without its last word, which may be incomplete, and the punctuation before."""
    units = _words(text)[:-1]
    if units:
        units[-1] = units[-1]._replace(after="")
    return "".join(word.text for word in units)


def join(tail: str, text: str, *, is_complete: bool) -> str:
    """Return the text of the second turn with the words that only the first one has.

    Args:
        tail: the end of the first turn's text.
        text: the text of the second turn.
        is_complete: whether that is its whole text. If False, the tail is returned until the text
            continues after it.
    """
    first, second = _words(tail), _words(text)
    if not first or not second:
        return tail + text if is_complete else tail
    steps = _align(first, second[: 2 * len(first)])
    used = sum(step.theirs is not None for step in steps)
    if not is_complete and (not steps or used >= len(second)):
        return tail
    if not steps:
        return tail + text
    begin = len(first) - sum(step.ours is not None for step in steps)
    words = [*first[:begin], *_merge(first, second, steps), *second[used:]]
    return "".join(word.text for word in words)


def _words(text: str) -> list[_Word]:
    parts = (match.groups() for unit in _UNITS.findall(text) if (match := _PARTS.match(unit)))
    return [
        _Word(before, core, after, _MARKS.sub("", core).casefold() or before.strip() + after)
        for before, core, after in parts
    ]


def _align(first: Sequence[_Word], second: Sequence[_Word]) -> list[_Step]:
    """Return the alignment if the end of `first` is the beginning of `second`, else nothing.

    It begins anywhere in `first`, at the beginning of `second`; it ends at the end of `first`,
    anywhere in `second`.
    """
    pairs = _similarities(first, second)
    # best[m][n]: the score of the best alignment that ends with m words of the first text and n of
    # the second.
    best = [list(accumulate([0, _OTHER_AT_EDGE] + [_OTHER] * (len(second) - 1)))]
    for scores in pairs:
        above, row = best[-1], [0]
        alone = _OTHER_AT_EDGE if len(best) == len(first) else _OTHER
        other = _OTHER_AT_EDGE
        for column, score in enumerate(scores):
            row.append(max(above[column] + score, above[column + 1] + alone, row[-1] + other))
            other = _OTHER
        best.append(row)
    last = best[-1]
    used = max(range(len(last)), key=lambda each: (last[each], -each))
    return _trace(best, pairs, used) if last[used] > 0 else []


def _similarities(first: Sequence[_Word], second: Sequence[_Word]) -> list[list[int]]:
    """Return the score of each pair of words."""
    theirs = [word.plain for word in second]
    rows = [[_SAME if word.plain == each else _OTHER for each in theirs] for word in first]
    for row, word in zip(rows, first, strict=True):
        if row[0] != _SAME:
            row[0] = _at_edge(theirs[0], word.plain, word.plain.endswith(theirs[0]))
    ours = first[-1].plain
    for column, each in enumerate(theirs):
        if rows[-1][column] < _OTHER_AT_EDGE:
            rows[-1][column] = _at_edge(ours, each, each.startswith(ours))
    return rows


def _at_edge(cut: str, whole: str, is_part: bool) -> int:
    return _CUT if is_part and len(whole) > len(cut) >= _LEAST_CUT else _OTHER_AT_EDGE


def _trace(best: Sequence[Sequence[int]], pairs: Sequence[Sequence[int]], used: int) -> list[_Step]:
    """Return the steps of the best alignment that ends with `used` words of the second text."""
    ours, theirs, steps = len(pairs), used, []
    while theirs:
        score = pairs[ours - 1][theirs - 1] if ours else 0
        if ours and best[ours][theirs] == best[ours - 1][theirs - 1] + score:
            ours, theirs = ours - 1, theirs - 1
            steps.append(_Step(ours, theirs, is_same=score > 0))
        elif ours and best[ours][theirs] == best[ours - 1][theirs] + (
            _OTHER_AT_EDGE if ours == len(pairs) else _OTHER
        ):
            ours -= 1
            steps.append(_Step(ours, None))
        else:
            theirs -= 1
            steps.append(_Step(None, theirs))
    return steps[::-1]


def _merge(
    first: Sequence[_Word], second: Sequence[_Word], steps: Sequence[_Step]
) -> Iterator[_Word]:
    """Yield the words of the overlap."""
    common = [n for n, step in enumerate(steps) if step.is_same]
    for n, (ours, theirs, is_same) in enumerate(steps):
        if ours is None or theirs is None:
            if theirs:  # not 0
                yield second[theirs]
            elif ours is not None and ours < len(first) - 1:
                yield first[ours]
        elif is_same:
            yield _blend(first[ours], second[theirs], is_last=ours == len(first) - 1)
        else:
            yield first[ours] if n < common[-1] else second[theirs]


def _blend(one: _Word, other: _Word, *, is_last: bool) -> _Word:
    """Spell a word that both have: whole, with the punctuation of the text that continues."""
    core = other.core if len(other.plain) > len(one.plain) else one.core
    return one._replace(core=core, after=other.after if is_last else one.after)
