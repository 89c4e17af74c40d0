"""Find regular expressions in text, in linear time whatever they are. Pure.

RE2 has no expressions that take exponential time, and bounds the memory of each. Its filter finds
the literal parts of all expressions at once, so the cost depends little on their number.
"""

from collections.abc import Sequence
from typing import Final

import re2

MAX_LENGTH: Final = 500  # of an expression
_MAX_MEMORY: Final = 1 << 20  # of each expression, compiled, with its cache


class PatternError(Exception):
    """An expression can't be used. The message says why."""


def check_pattern(text: str) -> None:
    """Check one expression.

    Raises:
        PatternError: RE2 does not accept it, or it matches text without words.
    """
    try:
        compiled = re2.compile(text, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else "syntax"
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"is not a regular expression of RE2: {shown}") from None
    if compiled.search(""):
        raise PatternError("matches the empty text, so it would match always")


class PatternIndex:
    """The patterns of all rules of a call; each was checked.

    Args:
        patterns: the patterns, and the number of the slot of each.
    """

    def __init__(self, patterns: Sequence[tuple[str, int]]) -> None:
        self.slots = [slot for _, slot in patterns]
        self._filter = re2.Filter()
        for text, _ in patterns:
            self._filter.Add(text, _options())
        if patterns:
            self._filter.Compile()
        self._compiled = [self._filter.re(number) for number in range(len(patterns))]

    def found(self, text: str) -> Sequence[int]:
        """Return the numbers of the patterns that match anywhere in a text."""
        return (self.slots and self._filter.Match(text)) or ()

    def search(self, number: int, text: str, position: int) -> tuple[int, int] | None:
        """Return where a pattern first matches after a position, as begin and end."""
        match = self._compiled[number].search(text, position)
        return match.span() if match else None


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return options
