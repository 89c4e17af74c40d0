"""The text around the words that a query found. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from workers.search.query import Phrase, Query
from workers.search.words import Word, locate, normalize

_WHOLE: Final = 320  # characters; a text of this length is not shortened
_BEFORE: Final = 80  # characters before the first match of a longer one
_MAX_HIGHLIGHTS: Final = 50
_ELLIPSIS: Final = "…"


class Snippet(msgspec.Struct, frozen=True):
    """A part of a text, and where the words that were searched for are in it.

    Attributes:
        text: the part; it begins or ends with an ellipsis where the text continues.
        highlights: start and end of each match, in characters (code points).
    """

    text: str
    highlights: list[tuple[int, int]]

    def __repr__(self) -> str:
        """Return the number of matches, without the text."""
        return f"<Snippet of {len(self.highlights)} matches>"


def snippet(text: str, query: Query) -> Snippet:
    """Return the part of a text with the first match of a query, and all matches in that part."""
    text = normalize(text)
    found = _merge(sorted(_matches(locate(text), query.wanted)))
    begin, end = _window(text, found[0][0] if found else 0)
    inside = [(at, until) for at, until in found if at >= begin and until <= end]
    head = _ELLIPSIS if begin > 0 else ""
    tail = _ELLIPSIS if end < len(text) else ""
    shift = len(head) - begin
    marks = [(at + shift, until + shift) for at, until in inside[:_MAX_HIGHLIGHTS]]
    return Snippet(f"{head}{text[begin:end]}{tail}", marks)


def utf16(shown: Snippet) -> Snippet:
    """Return a snippet whose positions count UTF-16 code units, as strings of JavaScript do."""
    if shown.text.isascii():
        return shown
    marks = [tuple(_units(shown.text[:each]) for each in mark) for mark in shown.highlights]
    return Snippet(shown.text, [(begin, end) for begin, end in marks])


def _units(text: str) -> int:
    return len(text) + sum(ord(each) > 0xFFFF for each in text)


def _matches(words: Sequence[Word], phrases: Sequence[Phrase]) -> Iterator[tuple[int, int]]:
    for phrase in phrases:
        length = len(phrase.words)
        for first in range(len(words) - length + 1):
            part = words[first : first + length]
            if _is_match(part, phrase):
                yield part[0].start, part[-1].end


def _is_match(part: Sequence[Word], phrase: Phrase) -> bool:
    *before, last = phrase.words
    if any(word.folded != wanted for word, wanted in zip(part, before, strict=False)):
        return False
    found = part[-1].folded
    return found.startswith(last) if phrase.is_prefix else found == last


def _merge(marks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join matches that overlap."""
    merged: list[tuple[int, int]] = []
    for begin, end in marks:
        if merged and begin < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _window(text: str, first: int) -> tuple[int, int]:
    """Return where the part to show begins and ends: near the first match, between words."""
    if len(text) <= _WHOLE:
        return 0, len(text)
    begin = max(0, first - _BEFORE)
    if begin:
        begin = text.find(" ", begin, first) + 1 or begin
    end = min(len(text), begin + _WHOLE)
    if end < len(text):
        end = max(text.rfind(" ", begin + _BEFORE, end), 0) or end
    return begin, end
