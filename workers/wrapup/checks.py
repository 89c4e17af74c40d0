"""Drop from a reply what the call does not support. Pure.

The model may be wrong, and it may follow orders that someone said in the call. So a sentence is
published only if it cites segments that exist, and if each link, address and long number in it
was said in these segments.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from workers.wrapup.failures import ModelError, Reason

MAX_SENTENCE: Final = 500  # characters
MAX_SENTENCES: Final = 12  # of a summary, of the follow-ups, and of notes
_MAX_CITED: Final = 20  # segments of a sentence
_MIN_DIGITS: Final = 5  # of a number that must have been said

# A scheme, www., an e-mail address, or a domain. A sentence that follows a period without a space
# begins with a capital letter, so it is no domain.
_ADDRESS: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s<>]+|www\.[^\s<>]+|[^\s@<>]+@[^\s@<>]+"
    r"|\b[\w-]+(?:\.[\w-]+)*\.(?:[a-z]{2,24}|[A-Z]{2,24})\b(?:[/?#:][^\s<>]*)?"
)
_NUMBER: Final = re.compile(r"\d(?:[\s().,/+–-]*\d)+")  # noqa: RUF001 - a dash of numbers
_MARKUP: Final = re.compile(r"<[A-Za-z/!]|\]\(|```")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})


class RawSentence(msgspec.Struct, frozen=True):
    """A sentence of a reply, unchecked."""

    text: str
    segments: list[int]

    def __repr__(self) -> str:
        """Return the class: the text is content."""
        return f"<{type(self).__name__}>"


class RawReply(msgspec.Struct, frozen=True):
    """A reply, unchecked."""

    summary: list[RawSentence]
    follow_ups: list[RawSentence] = []
    disposition: str | None = None


class RawNotes(msgspec.Struct, frozen=True):
    """The reply to a part of a call, unchecked."""

    notes: list[RawSentence]


class Sentence(NamedTuple):
    """A sentence that cites segments by their numbers."""

    text: str
    segments: tuple[int, ...]


class Checked(NamedTuple):
    """What is left of a reply.

    Attributes:
        summary: its sentences.
        follow_ups: what is to be done.
        disposition: one of the route's, or None.
    """

    summary: list[Sentence]
    follow_ups: list[Sentence]
    disposition: str | None


def decode[T](text: str, kind: type[T]) -> T:
    """Parse a reply.

    Raises:
        ModelError: it is not JSON of the schema.
    """
    text = text.strip()
    if text.startswith("```"):  # some models wrap JSON in a code block
        text = text.partition("\n")[2].rpartition("```")[0]
    try:
        return msgspec.json.decode(text, type=kind, strict=False)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise ModelError(Reason.MALFORMED) from None


def check_reply(
    reply: RawReply, said: Mapping[int, str], dispositions: Sequence[str], dropped: Counter[str]
) -> Checked:
    """Return what may be published of a reply; its summary may be empty.

    Args:
        reply: the reply.
        said: the text of each segment that it may cite, by number.
        dispositions: those of the route.
        dropped: counts what is dropped, by kind.
    """
    return Checked(
        check_sentences(reply.summary, said, dropped),
        check_sentences(reply.follow_ups, said, dropped),
        _disposition(reply.disposition, dispositions, dropped),
    )


def check_sentences(
    sentences: Iterable[RawSentence], said: Mapping[int, str], dropped: Counter[str]
) -> list[Sentence]:
    """Return the sentences that the segments support; count the others."""
    kept: list[Sentence] = []
    for raw in sentences:
        cited = tuple(dict.fromkeys(each for each in raw.segments if each in said))
        dropped["segment"] += len(set(raw.segments)) - len(cited)
        cited = cited[:_MAX_CITED]  # before the check: what is not cited supports nothing
        text = plain(raw.text)
        why = _why_dropped(text, cited, said)
        if not why and len(kept) == MAX_SENTENCES:
            why = "too-many"
        if why:
            dropped[why] += 1
        else:
            kept.append(Sentence(text, cited))
    return kept


def _why_dropped(text: str, cited: Sequence[int], said: Mapping[int, str]) -> str:
    if not text:
        return "empty"
    if len(text) > MAX_SENTENCE:
        return "too-long"
    if not cited:
        return "uncited"
    source = plain(" ".join(said[each] for each in cited))
    return "" if is_supported(text, source) else "unsupported"


def is_supported(text: str, source: str) -> bool:
    """Return whether all links, addresses and long numbers of a text are in its source.

    Both must be `plain`.
    """
    if _MARKUP.search(text):
        return False
    known = source.casefold()
    for address in _ADDRESS.findall(text):
        if address.rstrip(".,;:!?)\"'").casefold() not in known:
            return False
    digits = _digits(source)
    numbers = (_digits(each) for each in _NUMBER.findall(text))
    return all(each in digits for each in numbers if len(each) >= _MIN_DIGITS)


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isdecimal())


def plain(text: str) -> str:
    """Return a text in one form and on one line, without invisible characters."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(
        each if each.isspace() or unicodedata.category(each) not in _INVISIBLE else ""
        for each in text
    )
    return " ".join(text.split())


def _disposition(
    given: str | None, dispositions: Sequence[str], dropped: Counter[str]
) -> str | None:
    if given is None or not given.strip():
        return None
    wanted = plain(given).casefold()
    for each in dispositions:
        if plain(each).casefold() == wanted:
            return each
    dropped["disposition"] += 1
    return None
