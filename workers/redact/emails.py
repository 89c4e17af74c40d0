"""E-mail addresses, written or spoken, and where one may be about to begin. Pure.

    local part            "@" or "at"   domain
    john dot smith        at            example dot co dot uk
    j o h n 1984          @             g mail . com

An address is read in both directions from its "at". The local part is one word, or words and
spelled letters that are joined by "dot", "underscore" and the like. After a cue ("my email is"), it
may have up to `_CUED_WORDS` words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workers.redact.lexicon import Lexicon, Part
from workers.redact.spoken import Token

_CUED_WORDS: Final = 5
NAME_WORDS: Final = 3  # before the "at" of a mail service, without a cue
_LABEL_WORDS: Final = 2  # "my company dot com"
_MAX_TOKENS: Final = 40  # on each side; also bounds the work
_SPELLED: Final = frozenset(Part) - {Part.MONTH, Part.ORDINAL, Part.WEAK}
_JOINTS: Final = frozenset("._-+&")
_ASIDE_TOKENS: Final = 5  # "and then the number", "no dots"
_ASIDES: Final = frozenset(
    {"the", "number", "letter", "letters", "capital", "lowercase", "uppercase", "case", "lower",
     "upper", "digit", "digits", "then", "and", "with", "a", "all", "small", "that's", "thats",
     "spelled"}
)  # fmt: skip
_ABSENT: Final = frozenset({"dot", "dots", "space", "spaces", "hyphen", "hyphens", "dash"})
HESITATIONS: Final = frozenset({"uh", "um", "uhm", "er", "erm", "ah", "äh", "ähm", "eh", "em"})
_PAUSES: Final = HESITATIONS | frozenset({",", ".", "…"})
_UNDOTTED: Final = frozenset({"com", "org"})  # "example com"
_HOSTS: Final = frozenset({"gmail", "googlemail", "hotmail", "icloud"})  # "bob at gmail"
_MAIL_HOSTS: Final = _HOSTS | {
    "yahoo", "ymail", "outlook", "live", "msn", "aol", "me", "mac", "comcast", "verizon", "att",
    "sbcglobal", "bellsouth", "cox", "charter", "earthlink", "proton", "protonmail", "fastmail",
    "btinternet", "sky", "virgin", "gmx", "web", "mail",
}  # fmt: skip
_ASIDE_STARTS: Final = frozenset(
    word[:end] for word in _ASIDES | _ABSENT | {"no"} for end in range(1, len(word) + 1)
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address, or the beginning of one.

    Attributes:
        first, after: indices of its first token and of the token after it.
        is_open: whether the text ends before the address must have ended.
    """

    first: int
    after: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class _Domain:
    after: int
    dots: int
    is_complete: bool
    is_open: bool


class AddressReader:
    """Finds addresses in a text.

    Args:
        tokens: the text's tokens.
        words: the language.
        first: index of the first token that may belong to an address.
        cued: returns the index of the first token after the cue for an address that is near a
            token, or None.
    """

    def __init__(
        self, tokens: Sequence[Token], words: Lexicon, first: int, cued: Callable[[int], int | None]
    ) -> None:
        self._tokens = tokens
        self._words = words
        self._first = first
        self._cued = cued

    def addresses(self) -> list[Address]:
        """Return the complete addresses, in order."""
        found: list[Address] = []
        for at in self._ats():
            domain = self._domain(at)
            start = self._local(at)
            if domain.is_complete and start is not None and not self._is_place(at, start, domain):
                if found and start < found[-1].after:
                    start = found[-1].after
                if start < domain.after:  # it is not inside of the one before: "john at at gmail"
                    found.append(Address(start, domain.after, domain.is_open))
        return sorted([*found, *self._parts(found)], key=lambda address: address.first)

    def _parts(self, known: Sequence[Address]) -> Iterator[Address]:
        """Yield the parts of addresses that are said alone after a cue: "john dot smith"."""
        inside = {index for each in known for index in range(each.first, each.after)}
        after = self._first
        for index in range(self._first, len(self._tokens)):
            if index < after or index in inside or not self._is_dot(index):
                continue
            start = self._local(index)
            after = index
            while self._is_joint(after) and self._is_atom(after + 1) and after + 1 not in inside:
                after += 2
            if start is None or start in inside or after == index or self._is_common(start):
                continue
            if self._is_cued(start, start):
                yield Address(start, after, after >= len(self._tokens) or self._is_end(after))

    def held(self, *, is_final: bool) -> int | None:
        """Return the index of the first token that may belong to an address that is not complete.

        Args:
            is_final: whether the text ends with a segment. Then a word is held only if it is more
                than a word: spelled, joined, before "@" or announced by a cue.
        """
        end = len(self._tokens)
        for at in self._ats(max(self._first, end - _MAX_TOKENS)):
            domain = self._domain(at)
            start = self._local(at)
            if domain.is_open and start is not None:
                strong = domain.dots or self._tokens[at].low == "@"
                if not is_final or strong or self._is_strong(start, at):
                    return start
        return self._held_local(end, is_final=is_final)

    def _held_local(self, end: int, *, is_final: bool) -> int | None:
        if end <= self._first:
            return None
        if not is_final and self._tokens[-1].low in self._words.joint_starts:
            start = self._local(end - 1)  # the last word may be the beginning of a joint
            if start is not None and (end - 1 - start > 1 or self._may_join(start, end - 1)):
                return start
        after = end - 1 if self._is_joint(end - 1) else end
        start = self._local(after)
        if start is None:
            return None
        return start if not is_final or after < end or self._is_strong(start, after) else None

    def _may_join(self, index: int, joint: int) -> bool:
        """Return whether the beginning of a joint may join a word; "at" after "me" is none."""
        low = self._tokens[joint].low
        words = self._words
        joints = any(each.startswith(low) for each in (*words.dot_words, *words.joint_words))
        return joints or not self._is_common(index)

    def _is_strong(self, start: int, at: int) -> bool:
        is_word = not self._is_spelled(at - 1) and not self._is_joint(at - 2)
        return (at - start > 1 and not is_word) or self._is_cued(start, at)

    def _is_cued(self, start: int, at: int) -> bool:
        cued = self._cued(at)
        return cued is not None and start >= cued

    def _ats(self, first: int | None = None) -> Iterator[int]:
        for index in range(self._first if first is None else first, len(self._tokens)):
            low = self._tokens[index].low
            if low == "@" or low in self._words.at_words:
                yield index

    def _is_place(self, at: int, start: int, domain: _Domain) -> bool:
        """Return whether it is a phrase such as "us at example dot com"."""
        alone = at - start == 1 and self._is_common(start)
        if self._tokens[at].low == "@":
            return alone and self._tokens[start].end < self._tokens[at].start
        is_host = domain.dots == 1 and self._is_common(at + 1) and self._is_dot(at + 2)
        return alone or (is_host and at - start == 1)

    def _domain(self, at: int) -> _Domain:
        dots, complete = 0, self._tokens[at].low == "@" and self._is_atom(at + 1)
        after = at + 2 if complete else at + 1
        index = self._skip_fillers(self._skip_pause(at + 1))
        while index < min(at + _MAX_TOKENS, len(self._tokens)):
            label_end = self._label(index, at, is_first=not dots)
            if label_end == index:
                break
            if self._is_top(index, label_end, dots):
                complete, after = True, label_end
            dot = self._skip_fillers(label_end)
            if not self._is_dot(dot):
                return _Domain(after, dots, complete, self._is_end(dot))
            index, dots = self._skip_fillers(dot + 1), dots + 1
        return _Domain(after, dots, complete, index >= len(self._tokens))

    def _is_top(self, index: int, after: int, dots: int) -> bool:
        """Return whether an address may end with a label; "2 p.m" is none."""
        last = self._tokens[after - 1].low
        if not dots:
            return last in _HOSTS or (after - index > 1 and last in _UNDOTTED)
        is_letter = len(last) == 1 and after - index == 1 and after < len(self._tokens)
        return not last.isdecimal() and not is_letter

    def _skip_pause(self, index: int) -> int:
        for at in range(index, min(index + 4, len(self._tokens))):
            if self._tokens[at].low not in _PAUSES:
                return at
        return min(index + 4, len(self._tokens))

    def _is_end(self, index: int) -> bool:
        """Return whether the text ends at a token, or with the beginning of a joint."""
        if index + 1 != len(self._tokens):
            return index >= len(self._tokens)
        low = self._tokens[index].low
        return low == "'" or low in self._words.joint_starts

    def _skip_fillers(self, index: int) -> int:
        """Return the index of the next token that is neither a comma nor a filler, within three."""
        for at in range(index, min(index + 3, len(self._tokens))):
            low = self._tokens[at].low
            if low != "," and (low not in self._words.fillers or self._is_joint(at)):
                return at
        return min(index + 3, len(self._tokens))

    def _label(self, index: int, at: int, *, is_first: bool) -> int:
        """Return the index after one label. The first one may have several words."""
        words = (_CUED_WORDS if self._is_cued(at, at) else _LABEL_WORDS) if is_first else 1
        start = index
        while index < min(start + _MAX_TOKENS, len(self._tokens)):
            if self._is_joint(index) and not self._is_dot(index) and index > start:
                index += 1
                words += 1
                continue
            is_next = index > start and not self._is_spelled(index - 1)  # but "g mail"
            if not self._is_atom(index) or (is_next and self._ends_label(index, at)):
                break
            if not self._is_spelled(index) or (not is_first and not self._is_letter(index)):
                if index > start and words == 1 and not is_first and not self._is_code(index):
                    break
                words -= 1
            if words < 0:
                break
            index += 1
            if not is_first and words == 0:
                break
        return index

    def _is_code(self, index: int) -> bool:
        """Return whether it is "twelve" in "k twelve"."""
        return self._is_letter(index - 1) and self._is_spelled(index)

    def _ends_label(self, index: int, at: int) -> bool:
        """Return whether a label has ended before a common word."""
        before_dot = self._is_dot(index + 1) or self._is_end(index + 1)  # "proton mail dot com"
        if before_dot or not self._is_common(index):
            return False
        return not (self._tokens[index].low in self._words.and_words and self._is_cued(at, at))

    def _local(self, at: int) -> int | None:
        """Return the index of the first token of the local part before an "at"."""
        start = self._all_local(at)
        while start is not None and start < at - 1 and self._is_lead(start):
            start += 1
        return start

    def _is_lead(self, index: int) -> bool:
        """Return whether a word is before an address: "it's"."""
        low = self._tokens[index].low
        if not low[0].isalnum():
            return True
        is_spelling = len(low) == 1 and self._is_spelled(index + 1)
        return self._is_common(index) and not is_spelling and not self._is_joint(index + 1)

    def _all_local(self, at: int) -> int | None:
        start = at - 1
        while start > self._first and at - start < 4 and self._is_pause(start, at):
            start -= 1
        start = self._before_aside(start + 1, at)
        if start < self._first or not self._is_atom(start):
            return None
        lowest = max(self._first, at - _MAX_TOKENS)
        words = 1
        while start > lowest:
            other = self._before_aside(start, at) if self._is_spelled(start) else start - 1
            if other < start - 1:
                start = other
                words += not self._is_spelled(start)
                continue
            before = self._skip_comma(start - 1, start)
            if self._is_joint(before) and self._is_joint(before - 1):
                before -= 1  # "guion bajo"
            local = self._skip_comma(before - 1, before)
            if self._is_joint(before) and local >= lowest and self._is_atom(local):
                start = local
                continue
            if before < lowest:
                break
            if not self._is_atom(before) or not self._joins(before, start, words, at):
                break
            words += not self._is_spelled(before)
            start = before
        return start

    def _before_aside(self, start: int, at: int) -> int:
        """Return the index of the part before "the number" or "no dots", or of the token before.

        Args:
            start: index of the part after it.
            at: index of the "at".
        """
        index, lowest = start - 1, max(self._first, start - 1 - _ASIDE_TOKENS)
        words = 0
        while index > lowest:
            low = self._tokens[index].low
            if low in _ASIDES or (index + 1 == len(self._tokens) and low in _ASIDE_STARTS):
                words += 1
            elif low in _ABSENT and self._tokens[index - 1].low == "no":
                words, index = words + 1, index - 1
            elif low != ",":
                break
            index -= 1
        is_part = words and self._is_atom(index)
        return (
            index
            if is_part and (self._is_spelled(index) or self._is_cued(index, at))
            else start - 1
        )

    def _is_pause(self, index: int, at: int) -> bool:
        """Return whether a speaker paused before the "at" of an address."""
        low = self._tokens[index].low
        if low != ",":
            return low in HESITATIONS
        is_part = self._is_cued(index, index) or self._is_spelled(index - 1)
        return is_part or self._may_be_mail(self._skip_pause(at + 1))

    def _may_be_mail(self, index: int) -> bool:
        """Return whether a token is the domain of a mail service, or may become one."""
        return index + 1 >= len(self._tokens) or self._tokens[index].low in _MAIL_HOSTS

    def _skip_comma(self, index: int, after: int) -> int:
        """Return the index before a comma next to a letter, a digit or a joint."""
        if index < 1 or self._tokens[index].low != ",":
            return index
        return index - any(self._is_joint(n) or self._is_spelled(n) for n in (index - 1, after))

    def _joins(self, before: int, start: int, words: int, at: int) -> bool:
        """Return whether two words without a joint between them are of one local part."""
        if self._is_spelled(before) and not self._is_cued(before, at):
            return not self._is_common(before) or self._is_spelled(start)
        if self._is_cued(before, at):
            return words < _CUED_WORDS
        if self._is_common(before):
            return False
        if self._is_spelled(start) and words == 1:
            return True
        is_name = words < NAME_WORDS and before == start - 1 and self._is_name(before)
        return is_name and self._is_name(start) and self._may_be_mail(self._skip_pause(at + 1))

    def _is_name(self, index: int) -> bool:
        return self._words.may_be_name(self._tokens[index].low)

    def _is_atom(self, index: int) -> bool:
        if not 0 <= index < len(self._tokens):
            return False
        low = self._tokens[index].low
        return low[0].isalnum() and low not in self._words.dot_words

    def _is_letter(self, index: int) -> bool:
        low = self._tokens[index].low
        return len(low) == 1 or low in self._words.letters

    def _is_spelled(self, index: int) -> bool:
        low = self._tokens[index].low
        if low.isdecimal() or self._is_letter(index):
            return True
        if index + 1 == len(self._tokens) and low in self._words.starts:
            return True  # it may be the beginning of a number
        word = self._words.words.get(low)
        return word is not None and word.part in _SPELLED

    def _is_common(self, index: int) -> bool:
        return index < len(self._tokens) and self._tokens[index].low in self._words.common

    def _is_dot(self, index: int) -> bool:
        if index >= len(self._tokens):
            return False
        return self._tokens[index].low in self._words.dot_words or (
            self._tokens[index].low == "." and self._is_glued(index)
        )

    def _is_joint(self, index: int) -> bool:
        if not 0 <= index < len(self._tokens):
            return False
        low = self._tokens[index].low
        if low in self._words.dot_words or low in self._words.joint_words:
            return True
        return low in _JOINTS and (
            self._is_glued(index) or (low == "." and len(self._tokens[index - 1].low) == 1)
        )

    def _is_glued(self, index: int) -> bool:
        """Return whether no space is before a symbol, nor after it unless the text ends there."""
        token = self._tokens[index]
        before = index > 0 and self._tokens[index - 1].end == token.start
        after = index + 1 == len(self._tokens) or self._tokens[index + 1].start == token.end
        return before and after
