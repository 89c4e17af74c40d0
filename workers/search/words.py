"""What a word is, for texts and queries alike. Pure.

A text is folded (case, accents, width), then cut into runs of letters and digits. Chinese and
Japanese are written without spaces, so each of their characters is a word; a query of several
characters is then a phrase.
"""

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate
from typing import Final, NamedTuple

_WITHOUT_SPACES: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(f"[{_WITHOUT_SPACES}]|[^\\W_{_WITHOUT_SPACES}]+")
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_MAX_WORD: Final = 64  # characters; the rest of a longer one is cut off


class _Folding(dict[int, str]):
    """What each character is folded to; filled as characters occur."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", chr(code).casefold())
        folded = unicodedata.normalize("NFC", _ACCENTS.sub("", parts)).casefold()
        self[code] = folded
        return folded


_FOLDING: Final = _Folding()


class Word(NamedTuple):
    """A word of a text: folded, and where it is."""

    folded: str
    start: int
    end: int


def normalize(text: str) -> str:
    """Return a text in the form whose positions `locate` returns."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """Return the folded words of a text."""
    folded = text.lower() if text.isascii() else normalize(text).translate(_FOLDING)
    return [each[:_MAX_WORD] for each in _WORD.findall(folded)]


def locate(text: str) -> list[Word]:
    """Return the words of a normalized text, with their positions in it."""
    pieces = [_FOLDING[ord(each)] for each in text]
    ends = list(accumulate(map(len, pieces)))
    return [
        Word(
            found[0][:_MAX_WORD],
            bisect_right(ends, found.start()),
            bisect_right(ends, found.end() - 1) + 1,
        )
        for found in _WORD.finditer("".join(pieces))
    ]
