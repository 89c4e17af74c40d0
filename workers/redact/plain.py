"""Pass ordinary words without a scan. Pure.

Most text has no digit, number word, spelled letter, part of an address or cue. A scan would settle
it up to the last word, which may be the local part of an address. `settle` decides the same in a
fraction of the time, or leaves the text to the scan.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from workers.redact.cues import NUMBER, normalized
from workers.redact.emails import HESITATIONS, NAME_WORDS
from workers.redact.scan import ADDRESS_WORDS, Context, Rules
from workers.redact.spoken import TOKEN

_PAUSES: Final = frozenset(",?!.")
_TAIL_CHARS: Final = 160  # more than a scan reads
_WORD_CHARS: Final = 40  # of the tail: its last two words


def settle(text: str, context: Context, rules: Rules) -> tuple[int, Context] | None:
    """Return the length of the settled beginning of a text and the context after it.

    Args:
        text: the text; more may follow.
        context: of the text.
        rules: what to mask.

    Returns:
        None if only a scan can decide.
    """
    cue = context.cue
    if context.inside or (cue and context.distance <= ADDRESS_WORDS.get(cue.kind, -1)):
        return None
    tokens = [(match[0].lower(), match.start(), match.end()) for match in TOKEN.finditer(text)]
    if _ends_inside_word(context.tail) and not text[:1].isspace():
        return None
    words = [
        (low, start) for low, start, end in tokens if low[0].isalpha() or _is_inside(text, low, end)
    ]
    if not words or not _is_plain([low for low, _ in words], context.tail, rules):
        return None
    settled = _held_from(words, text, rules)
    if settled < len(text):
        settled = len(text[:settled].rstrip())
    if settled == 0:
        return 0, context
    passed = sum(end < settled for _, _, end in tokens)
    passed += _ends_inside_word(context.tail)  # it was not counted before
    tail = (context.tail + text[:settled])[-_TAIL_CHARS:]
    return settled, Context(tail, cue, context.distance + passed)


def _ends_inside_word(tail: str) -> bool:
    return tail != "" and not tail[-1].isspace()


def _is_inside(text: str, low: str, end: int) -> bool:
    """Return whether a symbol is more than the pause after a word."""
    return low not in _PAUSES or text[end : end + 1].strip() != ""


def _is_plain(lows: Sequence[str], tail: str, rules: Rules) -> bool:
    words = rules.words
    for low in lows:
        if (
            low in words.marked
            or (len(low) == 1 and low not in words.common)
            or not low[0].isalpha()
        ):
            return False
    if not HESITATIONS.isdisjoint(lows):  # "bob um at"
        return False
    if any(len(a) == 1 and (len(b) == 1 or b in words.joining) for a, b in pairwise(lows)):
        return False
    names = [normalized(low.replace("’", "'")) for low in lows]  # noqa: RUF001
    before = TOKEN.findall(tail[-_WORD_CHARS:].lower())
    before = [normalized(each) for each in before if each[0].isalnum()]
    if _ends_inside_word(tail):  # a cue that ends there was not counted before
        names = [*before[-1:], *names]
        before = before[:-1]
    if NUMBER in names or not rules.phrases.singles.isdisjoint(names):
        return False
    return rules.phrases.endings.isdisjoint(pairwise([*before[-1:], *names]))


def _held_from(words: Sequence[tuple[str, int]], text: str, rules: Rules) -> int:
    """Return the offset of the last word, and of those before it that it may change."""
    lexicon = rules.words
    low = words[-1][0]
    last = text.rstrip()[-1]
    if last in "?!" or (last == "," and low in lexicon.common):
        return len(text)
    keep = len(words) - 1
    if low in lexicon.prefixes or low in lexicon.joint_starts:
        while keep and len(words[keep - 1][0]) == 1:
            keep -= 1
        if keep and (words[keep - 1][0] not in lexicon.common or low in lexicon.joint_starts):
            keep -= 1
    return words[_names_from(words, keep, text, rules)][1]


def _names_from(words: Sequence[tuple[str, int]], keep: int, text: str, rules: Rules) -> int:
    """Return the index of the first word of a name that ends with a word."""
    first = keep
    while first > 0 and keep - first < NAME_WORDS - 1 and rules.words.may_be_name(words[first][0]):
        before = words[first - 1]
        is_next = text[before[1] + len(before[0]) : words[first][1]].isspace()
        if not is_next or not rules.words.may_be_name(before[0]):
            break
        first -= 1
    return first
