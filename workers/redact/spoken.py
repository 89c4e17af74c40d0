"""Tokens of a text, and the runs of digits and letters that a speaker spelled or wrote. Pure.

    "it's double four, one 1-1 forty one uh D"  ->  one run: 44 1 1 1 41 D

A run is a sequence of items with at most six filler words and some punctuation between them. It
has at most `_MAX_ITEMS` items and little more than `MAX_DIGITS` digits; the digits after that are
a run that `follows`. Each token is read a constant number of times.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from workers.redact.lexicon import Lexicon, Part

MAX_DIGITS: Final = 40  # more than the longest value, an IBAN of 34
_MAX_ITEMS: Final = 64
_MAX_GAP_WORDS: Final = 6
_MAX_SPELLING: Final = 3  # words: "D as in"
_MAX_GAP_TOKENS: Final = 12
TOKEN: Final = re.compile(r"[Xx]-[Rr]ay\b|\d+|[^\W\d_]+(?:['’][^\W\d_]+)*|\S")  # noqa: RUF001
_SOFT: Final = frozenset(",.-/()+:;!?…–—_*#'\"’“”|\\")  # noqa: RUF001  # models write such dashes
_NUMBERS: Final = frozenset(
    {Part.DIGIT, Part.PAIR, Part.TENS, Part.HUNDREDS, Part.HUNDRED, Part.THOUSAND}
)
_ORDINAL_ENDINGS: Final = frozenset({"st", "nd", "rd", "th"})
_INSURANCE_PREFIX: Final = re.compile(  # and no English word
    r"(?!a[hmnst]|b[ey]|c[ac]|e[hrx]|h[aem]|k[gm]|m[aegmlrsxy]|n[jy]|o[hknr]|p[amc]|re|s[ht]|t[hv]|we|y[ae])"
    r"[abceghj-prstw-z][abceghj-nprstw-z]"
)
_MAX_LETTERS: Final = 4  # of a written group: "NWBK"


class Token(NamedTuple):
    """A word, a sequence of digits, or one other character that is not white space."""

    start: int
    end: int
    text: str
    low: str


class Role(Enum):
    """What an item of a run is."""

    DIGITS = "digits"
    LETTERS = "letters"
    MONTH = "month"
    ORDINAL = "ordinal"


@dataclass(frozen=True, slots=True)
class Item:
    """Digits or letters that one number word, group or letter stands for."""

    start: int
    end: int
    role: Role
    chars: str


@dataclass(frozen=True, slots=True)
class Run:
    """Items that a speaker may have said as one value.

    Attributes:
        items: at least one.
        first: index of the first token.
        after: index of the token that ended the run, after fillers; the number of tokens if none.
        is_open: whether more text may still extend the run.
        follows: whether the run before it ended because it had become too long.
        is_corrected: whether the speaker corrected digits in it.
    """

    items: tuple[Item, ...]
    first: int
    after: int
    is_open: bool
    follows: bool
    is_corrected: bool

    @property
    def start(self) -> int:
        """Offset of the first item."""
        return self.items[0].start

    @property
    def end(self) -> int:
        """Offset after the last item."""
        return self.items[-1].end

    @property
    def digits(self) -> str:
        """All digits, without the letters between them."""
        return "".join(each.chars for each in self.items if each.role is not Role.LETTERS)


def tokenize(text: str, words: Lexicon) -> list[Token]:
    """Split a text into tokens. "D as in David" is one token, the letter D."""
    tokens = []
    lows = set()
    for match in TOKEN.finditer(text):
        written = match[0]
        low = written.lower().replace("’", "'")  # noqa: RUF001
        lows.add(low)
        tokens.append(Token(*match.span(), written, low))
    if words.spelling.isdisjoint(lows) or not any(len(low) == 1 and low.isalpha() for low in lows):
        return tokens
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        after = _spelled_until(tokens, words, at)
        token = tokens[at]
        found.append(token if after == at + 1 else token._replace(end=tokens[after - 1].end))
        at = after
    return found


def _spelled_until(tokens: Sequence[Token], words: Lexicon, at: int) -> int:
    """Return the index after a token, and after "as in David" if it is a spelled letter."""
    if len(tokens[at].low) != 1 or not tokens[at].low.isalpha():
        return at + 1
    after = at + 1
    while (
        after < len(tokens) and after - at < _MAX_SPELLING and tokens[after].low in words.spelling
    ):
        after += 1
    if after == at + 1 or (after < len(tokens) and not tokens[after].low[0].isalpha()):
        return at + 1
    if after < len(tokens) and not tokens[after].low.startswith(tokens[at].low):
        is_unfinished = after + 1 == len(tokens) and tokens[after].low in words.prefixes
        return after if is_unfinished else at + 1
    return min(after + 1, len(tokens))


def find_runs(
    tokens: Sequence[Token], words: Lexicon, first: int, length: int, no_items: frozenset[int]
) -> list[Run]:
    """Return the runs in a text, in order.

    Args:
        tokens: the text's tokens.
        words: the language.
        first: index of the first token that may belong to a run.
        length: of the text: its last token may be the beginning of a longer word.
        no_items: indices of tokens that are in no run.
    """
    runs: list[Run] = []
    at, follows = first, False
    reader = _Reader(tokens, words, no_items)
    while at < len(tokens):
        items, after, ended = reader.run(at)
        if not items:
            at, follows = at + 1, False
            continue
        last = after == len(tokens) - 1 and tokens[after].end == length
        is_open = ended and (after == len(tokens) or (last and tokens[after].low in words.prefixes))
        between = tokens[at : min(after, len(tokens))]
        is_corrected = any(each.low in words.corrections for each in between)
        runs.append(Run(tuple(items), at, after, is_open, follows, is_corrected))
        follows = not ended
        at = max(after, at + 1)
    return runs


class _Reader:
    """Reads items from tokens."""

    def __init__(self, tokens: Sequence[Token], words: Lexicon, no_items: frozenset[int]) -> None:
        self._tokens = tokens
        self._words = words
        self._no_items = no_items

    def run(self, at: int) -> tuple[list[Item], int, bool]:
        """Read a run that begins at a token.

        Returns:
            Its items; the index of the token after it; and whether it ended before that token,
            rather than because it is too long.
        """
        items: list[Item] = []
        digits = 0
        while read := self._item(at, items):
            item, after = read
            items.append(item)
            digits += len(item.chars)
            if digits > MAX_DIGITS or len(items) == _MAX_ITEMS:
                return items, after, False
            at = self._skip_gap(after, items)
        return items, at, True

    def _skip_gap(self, at: int, items: list[Item]) -> int:
        """Return the index of the next token that is no filler, or of one filler too many."""
        filler_words = 0
        for index in range(at, min(at + _MAX_GAP_TOKENS, len(self._tokens))):
            low = self._tokens[index].low
            if low in _SOFT:
                continue
            if not self._is_filler(low, index, items) or self._item(index, items):
                return index
            filler_words += 1
            if filler_words > _MAX_GAP_WORDS:
                return index
        return min(at + _MAX_GAP_TOKENS, len(self._tokens))

    def _is_filler(self, low: str, index: int, items: list[Item]) -> bool:
        if low in self._words.fillers or low in self._words.corrections:
            return True
        word = self._words.words.get(low)
        if word and word.part is Part.WEAK:
            return True
        return low in self._words.date_fillers and (
            items[-1].role in (Role.MONTH, Role.ORDINAL) or self._is_date_near(index)
        )

    def _is_date_near(self, index: int) -> bool:
        near = [self._part(each) for each in range(index + 1, index + 3)]
        return Part.MONTH in near or Part.ORDINAL in near or index + 2 >= len(self._tokens)

    def _item(self, at: int, before: list[Item]) -> tuple[Item, int] | None:
        if at >= len(self._tokens) or at in self._no_items:
            return None
        token = self._tokens[at]
        if token.low.isdecimal():
            return self._written(at)
        if not token.low[0].isalpha():
            return None
        word = self._words.words.get(token.low)
        if word is None:
            return self._letters(at, before)
        match word.part:
            case Part.MONTH:
                return Item(token.start, token.end, Role.MONTH, ""), at + 1
            case Part.ORDINAL:
                return Item(token.start, token.end, Role.ORDINAL, str(word.value)), at + 1
            case Part.REPEAT:
                return self._repeated(at, word.value)
            case Part.WEAK:
                return self._weak(at, word.value, before)
            case _:
                value, after = self._number(at)
                return self._spanning(at, after, Role.DIGITS, str(value)), after

    def _spanning(self, at: int, after: int, role: Role, chars: str) -> Item:
        return Item(self._tokens[at].start, self._tokens[after - 1].end, role, chars)

    def _written(self, at: int) -> tuple[Item, int]:
        token = self._tokens[at]
        chars = token.low if token.low.isascii() else "".join(str(int(c)) for c in token.low)
        if self._is_glued(at + 1) and self._tokens[at + 1].low in _ORDINAL_ENDINGS:
            return self._spanning(at, at + 2, Role.ORDINAL, chars), at + 2
        return Item(token.start, token.end, Role.DIGITS, chars), at + 1

    def _letters(self, at: int, before: list[Item]) -> tuple[Item, int] | None:
        token = self._tokens[at]
        low = token.low
        if low == "o" and ((before and before[-1].role is Role.DIGITS) or self._is_digit(at + 1)):
            return Item(token.start, token.end, Role.DIGITS, "0"), at + 1
        if low in self._words.fillers:
            return None
        is_letters = len(low) == 1 or low in self._words.letters or self._is_group(at, before)
        is_letters = is_letters or _is_bank_code(low, before) or self._is_insurance_prefix(at)
        if not is_letters:
            return None
        chars = self._words.letters.get(low, token.text.upper())
        return Item(token.start, token.end, Role.LETTERS, chars), at + 1

    def _is_group(self, at: int, before: list[Item]) -> bool:
        """Return whether a short word is part of a written code, such as GB29 or 12345678z."""
        token = self._tokens[at]
        if len(token.text) > _MAX_LETTERS or not token.text.isascii() or "'" in token.low:
            return False
        glued = self._is_glued(at) and bool(before) and before[-1].role is Role.DIGITS
        if glued and (token.low in self._words.units or token.low in self._words.fillers):
            return False
        leads = self._is_glued(at + 1) and self._tokens[at + 1].low.isdecimal()
        if glued or leads:
            return True
        is_last = at + 1 == len(self._tokens)
        return token.text.isupper() and (bool(before) or is_last or self._is_digit(at + 1))

    def _is_insurance_prefix(self, at: int) -> bool:
        """Return whether it is "tw" in "tw 58 20 33 a", a number of the UK's national insurance."""
        is_prefix = _INSURANCE_PREFIX.fullmatch(self._tokens[at].low) is not None
        after = at + 1 + (at + 1 < len(self._tokens) and self._tokens[at + 1].low == ",")
        return is_prefix and self._is_digit(after)

    def _repeated(self, at: int, times: int) -> tuple[Item, int] | None:
        """Read "double four"; a last "double" is an item without digits."""
        if at + 1 >= len(self._tokens):
            return self._spanning(at, at + 1, Role.DIGITS, ""), at + 1
        skip = at + 1 + (self._tokens[at + 1].low == "-")
        if self._is_digit(skip):
            return self._spanning(at, skip + 1, Role.DIGITS, self._digit(skip) * times), skip + 1
        if skip < len(self._tokens) and len(self._tokens[skip].low) == 1:
            letter = self._tokens[skip].text.upper()
            if letter.isalpha():
                return self._spanning(at, skip + 1, Role.LETTERS, letter * times), skip + 1
        return None

    def _weak(self, at: int, value: int, before: list[Item]) -> tuple[Item, int] | None:
        if before and len(before[-1].chars) == 1 and self._is_digit(at + 1):
            return self._spanning(at, at + 1, Role.DIGITS, str(value)), at + 1
        return None

    def _part(self, at: int) -> Part | None:
        if at >= len(self._tokens):
            return None
        word = self._words.words.get(self._tokens[at].low)
        return word.part if word else None

    def _is_glued(self, at: int) -> bool:
        return 0 < at < len(self._tokens) and self._tokens[at - 1].end == self._tokens[at].start

    def _is_digit(self, at: int) -> bool:
        if at >= len(self._tokens):
            return False
        low = self._tokens[at].low
        return low == "o" or low.isdecimal() or self._part(at) in _NUMBERS

    def _digit(self, at: int) -> str:
        low = self._tokens[at].low
        if low.isdecimal():
            return str(int(low[:9]))
        return "0" if low == "o" else str(self._words.words[low].value)

    # Numbers in words: 0-999 999. Each method returns the value and the index after it.

    def _number(self, at: int) -> tuple[int, int]:
        return self._scaled(at, Part.THOUSAND, 1000, self._below_1000)

    def _below_1000(self, at: int) -> tuple[int, int]:
        if self._part(at) is Part.HUNDREDS:
            return self._rest(
                self._words.words[self._tokens[at].low].value, at + 1, self._below_100
            )
        return self._scaled(at, Part.HUNDRED, 100, self._below_100)

    def _scaled(
        self, at: int, scale: Part, factor: int, below: Callable[[int], tuple[int, int]]
    ) -> tuple[int, int]:
        value, after = (1, at) if self._part(at) is scale else below(at)
        if value and self._part(after) is scale:
            return self._rest(value * factor, after + 1, below)
        return value, after

    def _rest(
        self, value: int, at: int, below: Callable[[int], tuple[int, int]]
    ) -> tuple[int, int]:
        """Add what follows a hundred or a thousand, unless it is a digit of several."""
        start = at + (at < len(self._tokens) and self._tokens[at].low in self._words.and_words)
        part = self._part(start)
        if part not in _NUMBERS or part is Part.THOUSAND:
            return value, at
        if part is Part.DIGIT and self._part(start + 1) in (Part.DIGIT, Part.REPEAT):
            return value, at
        rest, after = below(start)
        # "eight hundred oh five" and "five hundred six hundred" are two numbers.
        return (value + rest, after) if 0 < rest < 10 ** (len(str(value)) - 1) else (value, at)

    def _below_100(self, at: int) -> tuple[int, int]:
        word = self._words.words[self._tokens[at].low]
        if word.part is not Part.TENS:
            return word.value, at + 1
        unit = at + 1
        if unit < len(self._tokens) and (
            self._tokens[unit].low == "-" or self._tokens[unit].low in self._words.and_words
        ):
            unit += 1
        if self._part(unit) is Part.DIGIT and (
            value := self._words.words[self._tokens[unit].low].value
        ):
            return word.value + value, unit + 1
        return word.value, at + 1


def _is_bank_code(low: str, before: list[Item]) -> bool:
    """Return whether a word is the bank's code of an IBAN that is written in lower case."""
    heads = [(each.role, len(each.chars)) for each in before]
    is_code = len(low) == _MAX_LETTERS and low.isascii() and low.isalpha()
    return is_code and heads == [(Role.LETTERS, 2), (Role.DIGITS, 2)]
