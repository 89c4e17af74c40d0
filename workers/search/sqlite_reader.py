"""Answers searches from an index in SQLite, which another process may be writing.

Each search opens the file, so that it finds one that was built anew, and runs in a thread. A
progress handler ends it at the time limit; what was found before is returned.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from workers.search.facets import facet
from workers.search.index import Hit, Order, Page, Search, SearchIndexError, Size
from workers.search.query import Field, Phrase
from workers.search.rows import admits, limit_of, span
from workers.search.sqlite_schema import open_to_read, unavailable
from workers.search.sqlite_tables import size

_THREADS: Final = 2
_MAX_WAITING: Final = 32  # searches; more are refused
_STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock
_CANDIDATES: Final = 1000  # newest matches of which the best are chosen

_NEWEST: Final = (
    "SELECT rowid FROM terms WHERE terms MATCH :match AND rowid BETWEEN :first AND :last "
    "ORDER BY rowid DESC"
)
_BEST: Final = (
    "SELECT rowid FROM (SELECT rowid, bm25(terms, 1.0, 0.0) AS score FROM terms WHERE terms MATCH "
    ":match AND rowid BETWEEN :first AND :last ORDER BY rowid DESC LIMIT :candidates) "
    "ORDER BY score, rowid DESC"
)
_ALL: Final = (
    "SELECT position FROM segments WHERE position BETWEEN :first AND :last ORDER BY position DESC"
)
_HIT: Final = """
SELECT call_id, tenant, carrier, route, disposition, calls.no AS call, stream_id, tracks.track,
  role, segment, at_ms, start_ms, end_ms, text
FROM segments JOIN tracks ON tracks.no = segments.track JOIN calls ON calls.no = tracks.call
WHERE position = ?
"""
_ALERTS: Final = "SELECT DISTINCT rule FROM alerts WHERE call = ? AND raised ORDER BY rule"
_GAPS: Final = "SELECT coalesce(sum(to_ms - from_ms), 0) FROM gaps WHERE call = ?"


class SqliteReader:
    """Finds segments in a file; implements `SearchReader`.

    Args:
        path: the file; it need not exist yet.
        timeout_s: how long one search may take.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self.timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(_THREADS, "search")
        self._waiting = 0

    async def search(self, search: Search) -> Page:
        """Return the segments that match; see `SearchReader`."""
        return await self._in_thread(lambda connection: _search(connection, search))

    async def count(self) -> Size:
        """Return how much the index has."""
        return await self._in_thread(size)

    async def close(self) -> None:
        """End the threads; a search that runs ends at its time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._waiting >= _MAX_WAITING:
            raise SearchIndexError("too many searches at once; try again")
        self._waiting += 1
        deadline_s = time.monotonic() + self.timeout_s
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, self._run, work, deadline_s)
        running.add_done_callback(self._note_done)
        return await running

    def _note_done(self, _: object) -> None:
        self._waiting -= 1

    def _run[T](self, work: Callable[[sqlite3.Connection], T], deadline_s: float) -> T:
        with closing(open_to_read(self._path)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline_s, _STEPS)
            try:
                return work(connection)
            except sqlite3.Error as error:
                raise unavailable(error) from None


def _search(connection: sqlite3.Connection, search: Search) -> Page:
    hits: list[Hit] = []
    newest = ""  # cursor: continues after the last hit
    limit = limit_of(search)
    try:
        for position in _positions(connection, search):
            if len(hits) == limit:  # there is at least one more
                return Page(hits, newest if search.order is Order.NEWEST else "")
            if hit := _hit(connection, search, position):
                hits.append(hit)
                newest = str(position)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return Page(hits, newest if search.order is Order.NEWEST else "", is_complete=False)
    return Page(hits)


def _positions(connection: sqlite3.Connection, search: Search) -> Iterator[int]:
    first, last = span(search)
    match = match_of(search)
    sql = _ALL if not match else _BEST if search.order is Order.BEST else _NEWEST
    values = {"match": match, "first": first, "last": last, "candidates": _CANDIDATES}
    for (position,) in connection.execute(sql, values):
        yield position


def _hit(connection: sqlite3.Connection, search: Search, position: int) -> Hit | None:
    """Return a segment; None if it may not be found, or is being replaced."""
    row: Any = connection.execute(_HIT, (position,)).fetchone()
    if row is None:
        return None
    call_id, tenant, carrier, route, disposition, call, *segment = row
    if not admits(search.limits, call_id, route, tenant):
        return None
    alerts = [rule for (rule,) in connection.execute(_ALERTS, (call,))]
    (gap_ms,) = connection.execute(_GAPS, (call,)).fetchone()
    return Hit(call_id, tenant, carrier, route, disposition, alerts, gap_ms, *segment)


def match_of(search: Search) -> str:
    """Return the expression of FTS5; empty if the search names only times.

    Every word is in quotation marks and has only letters and digits, so that none is an operator.
    """
    query, limits = search.query, search.limits
    wanted = [_phrase(each) for each in query.wanted]
    for name, value in (
        (Field.CALL, limits.call_id),
        (Field.ROUTE, limits.route),
        (Field.TENANT, limits.tenant),
    ):
        if value is not None:
            wanted.append(_any_of(name, (value,)))
    wanted += [_any_of(each.name, each.values) for each in query.filters if not each.is_negated]
    unwanted = [_phrase(each) for each in query.unwanted]
    unwanted += [_any_of(each.name, each.values) for each in query.filters if each.is_negated]
    text = " AND ".join(wanted)
    return f"({text}) NOT ({' OR '.join(unwanted)})" if unwanted else text


def _phrase(phrase: Phrase) -> str:
    return f'words : "{" ".join(phrase.words)}"{" *" if phrase.is_prefix else ""}'


def _any_of(name: Field, values: tuple[str, ...]) -> str:
    terms = " OR ".join(f'"{facet(name, value)}"' for value in values)
    return f"facets : ({terms})"
