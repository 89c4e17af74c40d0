"""The query language of search: words, phrases, filters, and what must not occur. Pure.

    refund "bank account" -cancel pay* role:agent from:2026-11-01

All terms of a query must match, those after a minus must not. Filters of one name are alternatives:
`route:a route:b` finds the calls of both routes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from workers.search.words import words

MAX_CHARS: Final = 500
MAX_TERMS: Final = 32
MAX_WORDS: Final = 64  # of all terms together
_MIN_PREFIX: Final = 2  # characters before `*`


class Field(StrEnum):
    """What segments can be filtered by."""

    ROLE = "role"
    CARRIER = "carrier"
    ROUTE = "route"
    TENANT = "tenant"
    CALL = "call"
    ALERT = "alert"
    DISPOSITION = "disposition"
    GAP = "gap"


_TIMES: Final = ("from", "to")
_NAMES: Final = ", ".join((*Field, *_TIMES))

MESSAGES: Final = {
    "empty": "the query has no words and no filters",
    "too-long": f"a query has at most {MAX_CHARS} characters",
    "too-many": f"a query has at most {MAX_TERMS} terms, with {MAX_WORDS} words together",
    "unclosed-quote": "the quotation mark is not closed",
    "unknown-filter": f"there is no such filter: use {_NAMES}, or put the words in quotation marks",
    "no-value": "the filter has no value; write it without a space: role:agent",
    "bad-time": "the time must be like 2026-11-30, 2026-11-30T10:15, today, yesterday or 24h",
    "negated-time": "from and to can't have a minus",
    "short-prefix": f"a word before * has at least {_MIN_PREFIX} letters",
    "only-minus": "at least one word, phrase or filter must have no minus",
}


class QueryError(Exception):
    """A query that can't be understood.

    Args:
        reason: a key of `MESSAGES`.
        position: the character of the query where the fault is, from 0.
    """

    def __init__(self, reason: str, position: int) -> None:
        self.reason = reason
        self.position = position
        super().__init__(MESSAGES[reason])


class Phrase(NamedTuple):
    """Words that follow one another; a single word is a phrase of one.

    Attributes:
        words: folded.
        is_prefix: whether the last one may continue.
    """

    words: tuple[str, ...]
    is_prefix: bool = False

    def __repr__(self) -> str:
        """Return the length: what is searched for is content."""
        return f"<Phrase of {len(self.words)}>"


class Filter(NamedTuple):
    """Values of which a segment must have one, or, if it is negated, none."""

    name: Field
    values: tuple[str, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    Attributes:
        wanted: phrases that occur in each segment found.
        unwanted: phrases that do not.
        filters: all of them hold; those of one name are combined.
        from_ms: segments at this time or later, Unix ms.
        to_ms: segments before this time.
    """

    wanted: tuple[Phrase, ...] = field(default=(), repr=False)
    unwanted: tuple[Phrase, ...] = field(default=(), repr=False)
    filters: tuple[Filter, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None


class _Term(NamedTuple):
    position: int
    is_negated: bool
    name: str  # of a filter
    text: str
    is_quoted: bool


_TERM: Final = re.compile(
    r"""(?P<minus>-?) (?:(?P<name>[A-Za-z]+):)?
        (?: "(?P<quoted>[^"]*)(?P<close>"?) | (?P<bare>[^\s"]*) )""",
    re.VERBOSE,
)
_SPACE: Final = re.compile(r"\s*")
_DAY: Final = re.compile(r"(19[7-9]\d|2\d{3})-\d\d-\d\d")
_MOMENT: Final = re.compile(_DAY.pattern + r"T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?")
_AGO: Final = re.compile(r"(\d{1,5})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def parse(text: str, now: datetime) -> Query:
    """Parse a query.

    Args:
        text: as a person wrote it.
        now: what `today` and `24h` count from; with a time zone.

    Raises:
        QueryError: the query can't be understood.
    """
    if len(text) > MAX_CHARS:
        raise QueryError("too-long", MAX_CHARS)
    building = _Building(now)
    for number, term in enumerate(_terms(text)):
        if number == MAX_TERMS:
            raise QueryError("too-many", term.position)
        building.add(term)
    return building.finish()


def _terms(text: str) -> Iterator[_Term]:
    position = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    while position < len(text):
        found = _TERM.match(text, position)
        if found is None:  # every text begins with a term, which may be empty
            raise AssertionError
        is_quoted = found["quoted"] is not None
        if is_quoted and not found["close"]:
            raise QueryError("unclosed-quote", found.start("quoted") - 1)
        shown = found["quoted"] if is_quoted else found["bare"]
        yield _Term(position, bool(found["minus"]), found["name"] or "", shown, is_quoted)
        position = _SPACE.match(text, found.end()).end()  # type: ignore[union-attr]


@dataclass(slots=True)
class _Building:
    """The terms so far."""

    now: datetime
    wanted: list[Phrase] = field(default_factory=list)
    unwanted: list[Phrase] = field(default_factory=list)
    filters: dict[tuple[Field, bool], list[str]] = field(default_factory=dict)
    from_ms: int | None = None
    to_ms: int | None = None
    words: int = 0

    def add(self, term: _Term) -> None:
        name = term.name.lower()
        if not name:
            self._add_phrase(term)
        elif not term.text.strip():
            raise QueryError("no-value", term.position)
        elif name in _TIMES:
            self._add_time(term, name)
        elif name in Field:
            self.filters.setdefault((Field(name), term.is_negated), []).append(term.text.strip())
        else:
            raise QueryError("unknown-filter", term.position)

    def _add_phrase(self, term: _Term) -> None:
        found = tuple(words(term.text))
        if not found:  # a dash, an ampersand: it has no words to be searched for
            return
        is_prefix = not term.is_quoted and term.text.endswith("*")
        if is_prefix and len(found[-1]) < _MIN_PREFIX:
            raise QueryError("short-prefix", term.position)
        self.words += len(found)
        if self.words > MAX_WORDS:
            raise QueryError("too-many", term.position)
        (self.unwanted if term.is_negated else self.wanted).append(Phrase(found, is_prefix))

    def _add_time(self, term: _Term, name: str) -> None:
        if term.is_negated:
            raise QueryError("negated-time", term.position)
        begin, end = _read_time(term, self.now)
        if name == "from":
            self.from_ms = max(self.from_ms or 0, _ms(begin))
        else:
            self.to_ms = min(_ms(end), _ms(end) if self.to_ms is None else self.to_ms)

    def finish(self) -> Query:
        filters = tuple(
            Filter(name, tuple(values), is_negated)
            for (name, is_negated), values in self.filters.items()
        )
        has_time = self.from_ms is not None or self.to_ms is not None
        if not (self.wanted or self.unwanted or filters or has_time):
            raise QueryError("empty", 0)
        has_some = self.wanted or not all(each.is_negated for each in filters)
        if not has_some and (self.unwanted or filters):
            raise QueryError("only-minus", 0)
        return Query(tuple(self.wanted), tuple(self.unwanted), filters, self.from_ms, self.to_ms)


def _read_time(term: _Term, now: datetime) -> tuple[datetime, datetime]:
    """Return where a time begins and ends: a day lasts, a moment does not."""
    text = term.text.strip()
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    if text.lower() in ("today", "yesterday"):
        begin = today if text.lower() == "today" else today - day
        return begin, begin + day
    if ago := _AGO.fullmatch(text):
        moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return moment, moment
    is_day = bool(_DAY.fullmatch(text))
    if not is_day and not _MOMENT.fullmatch(text):
        raise QueryError("bad-time", term.position)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError("bad-time", term.position) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment, moment + day if is_day else moment


def _ms(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))
