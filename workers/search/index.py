"""What every search index does, and the values that go into it and come out. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from workers.search.query import Query

MAX_LIMIT: Final = 100  # results of one page
MAX_NUMBER: Final = 2**63 - 1  # that a database can store
MAX_TEXT: Final = 65_536  # characters of a segment; the rest of a longer one is not indexed


class SearchIndexError(Exception):
    """The index can't be used now. The message is for operators and quotes no content."""


class CursorError(Exception):
    """The cursor is not one of this index."""


class CallSeen(msgspec.Struct, frozen=True):
    """A call, as far as its first events say; an empty value is not known yet."""

    call_id: str
    tenant: str
    carrier: str
    route: str


class Said(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A segment that is final.

    Attributes:
        call_id: the call, which was seen before.
        stream_id: its stream.
        owner: the epoch in which the numbers of the stream's segments began.
        track: its track.
        segment: its number.
        rev: its revision; a lower one than the index has is ignored.
        role: who speaks.
        at_ms: when it was closed, Unix ms.
        start_ms: where it begins on the media clock.
        end_ms: where it ends.
        text: the words.
    """

    call_id: str
    stream_id: str
    owner: int
    track: str
    segment: int
    rev: int
    role: str
    at_ms: int
    start_ms: int
    end_ms: int
    text: str

    def __repr__(self) -> str:
        """Return what identifies the segment, without its text."""
        return f"<Said {self.call_id} {self.stream_id} {self.track} {self.segment}>"


class GapNoted(msgspec.Struct, frozen=True):
    """Audio without a transcript."""

    call_id: str
    stream_id: str
    track: str
    from_ms: int
    to_ms: int
    cause: str


class AlertNoted(msgspec.Struct, frozen=True):
    """An alert that was raised or withdrawn."""

    call_id: str
    alert: str
    rule: str
    severity: str
    is_raised: bool


class DispositionNoted(msgspec.Struct, frozen=True):
    """The disposition of a call, by its newest wrap-up; empty if it has none."""

    call_id: str
    disposition: str


type Change = CallSeen | Said | GapNoted | AlertNoted | DispositionNoted


def has_large_number(of: msgspec.Struct) -> bool:
    """Return whether a change, or an event, has a number that no index can store."""
    values = msgspec.structs.astuple(of)
    return any(isinstance(each, int) and abs(each) > MAX_NUMBER for each in values)


class Order(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    BEST = "best"  # of the newest matches


class Limits(msgspec.Struct, frozen=True):
    """Which calls may be found: those that have every value that is set."""

    call_id: str | None = None
    route: str | None = None
    tenant: str | None = None


class Search(msgspec.Struct, frozen=True):
    """What to find.

    Attributes:
        query: the parsed query.
        limits: which calls may be found, whatever the query says.
        limit: the most results, at most `MAX_LIMIT`.
        after: continues after the page that had this `next`.
        order: what comes first.
    """

    query: Query
    limits: Limits = Limits()
    limit: int = 20
    after: str = ""
    order: Order = Order.NEWEST


class Hit(msgspec.Struct, frozen=True):
    """A segment that was found, and its call."""

    call_id: str
    tenant: str
    carrier: str
    route: str
    disposition: str
    alerts: list[str]
    gap_ms: int
    stream_id: str
    track: str
    role: str
    segment: int
    at_ms: int
    start_ms: int
    end_ms: int
    text: str

    def __repr__(self) -> str:
        """Return what identifies the segment, without its text."""
        return f"<Hit {self.call_id} {self.stream_id} {self.track} {self.segment}>"


class Page(msgspec.Struct, frozen=True):
    """Some results.

    Attributes:
        hits: the segments found.
        next: what to search after for more; empty if there are no more.
        is_complete: False if the time limit ended the search: there may be more.
    """

    hits: list[Hit]
    next: str = ""
    is_complete: bool = True


class Size(msgspec.Struct, frozen=True):
    """How much an index has."""

    calls: int
    segments: int


class SearchReader(Protocol):
    """Finds segments."""

    @property
    def timeout_s(self) -> float:
        """How long one search may take, in seconds."""

    async def search(self, search: Search) -> Page:
        """Return the segments that match, within the time limit.

        Raises:
            CursorError: `after` is not a cursor of this index.
            SearchIndexError: the index is not available.
        """

    async def count(self) -> Size:
        """Return how much the index has.

        Raises:
            SearchIndexError: the index is not available.
        """

    async def close(self) -> None:
        """Release what the reader holds."""


class SearchIndex(SearchReader, Protocol):
    """An index that can be changed."""

    @property
    def group(self) -> str:
        """The end of the names of the consumer groups that fill this index."""

    async def add(self, changes: Sequence[Change]) -> None:
        """Store changes, durably and in one step. A repeated change has no effect.

        Changes of a call that was removed are ignored.

        Raises:
            SearchIndexError: the index is not available; repeat all changes.
            ValueError, OverflowError: a change can't be stored, and none of them is.
        """

    async def remove(self, call_ids: Sequence[str], *, keep_out: bool = True) -> int:
        """Remove calls with all their words; return how many there were.

        Args:
            call_ids: the calls.
            keep_out: ignore later changes of these calls.

        Raises:
            SearchIndexError: the index is not available; repeat all of it.
        """

    async def purge(self) -> None:
        """Overwrite what removed calls have left in the files, if that was not done yet.

        Raises:
            SearchIndexError: the index is not available, or something has been reading it for long.
        """
