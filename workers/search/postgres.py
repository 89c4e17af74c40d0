"""An index in PostgreSQL, which any number of workers and relays on any machines share.

The words are those of `words`, not of a language's dictionary, so that both indexes find the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Self

from workers.search.driver import (
    CANCELLED,
    FAILURES,
    OPENING_FAILURES,
    UNSTORABLE,
    Pool,
    create_pool,
)
from workers.search.index import (
    Change,
    Hit,
    Order,
    Page,
    Search,
    SearchIndexError,
    Size,
)
from workers.search.postgres_schema import check_version, create_tables, unavailable
from workers.search.postgres_tables import Tables, any_of, phrase_of
from workers.search.query import Field
from workers.search.rows import PURGE_PENDING, limit_of, span

_CONNECTIONS: Final = 4
_CONNECT_S: Final = 10.0
_WRITE_S: Final = 30.0
_MARGIN_S: Final = 5.0  # after the time limit of a search, which the server applies
_MAX_WAITING: Final = 32  # searches; more are refused
_CANDIDATES: Final = 1000  # newest matches of which the best are chosen
_HIT: Final = """
SELECT call_id, tenant, carrier, route, disposition,
  ARRAY(SELECT DISTINCT rule FROM alerts WHERE call = calls.no AND raised ORDER BY rule) AS alerts,
  (SELECT coalesce(sum(to_ms - from_ms), 0)::bigint FROM gaps WHERE call = calls.no) AS gap_ms,
  stream_id, tracks.track, role, segment, at_ms, start_ms, end_ms, text, position
FROM ({found}) found JOIN segments USING (position)
  JOIN tracks ON tracks.no = segments.track JOIN calls ON calls.no = tracks.call
WHERE ($4::text IS NULL OR call_id = $4) AND ($5::text IS NULL OR route = $5)
  AND ($6::text IS NULL OR tenant = $6)
ORDER BY {order} LIMIT $7
"""
# Not limited here: the values of the scope are compared afterwards, and some rows drop out.
_FOUND: Final = """
SELECT position, {score} AS score FROM segments
WHERE ($1::text = '' OR terms @@ $1::text::tsquery) AND position BETWEEN $2 AND $3
ORDER BY position DESC LIMIT {limit}
"""


class PostgresIndex:
    """An index in a database; implements `SearchIndex`.

    Args:
        pool: connections whose search path is the schema of the index.
        schema: its name.
        timeout_s: how long one search may take.
    """

    def __init__(self, pool: Pool, schema: str, timeout_s: float) -> None:
        self._pool = pool
        self._schema = schema
        self.timeout_s = timeout_s
        self._searching = 0

    @classmethod
    async def open(cls, url: str, schema: str, timeout_s: float, *, create: bool) -> Self:
        """Connect to a database.

        Args:
            url: postgresql://…
            schema: of the index, such as `callscribe_raw`.
            timeout_s: how long one search may take.
            create: create the tables unless they exist; otherwise nothing is written.

        Raises:
            SearchIndexError: the database is unavailable, or refuses.
        """
        try:
            async with asyncio.timeout(_CONNECT_S):
                pool = await create_pool(
                    url,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    command_timeout=_WRITE_S,
                    init=None if create else check_version,  # of each connection
                    server_settings={"search_path": schema, "application_name": "callscribe"},
                )
                if create:
                    async with pool.acquire() as connection:
                        await create_tables(connection, schema)
        except OPENING_FAILURES as error:
            raise unavailable(error) from None
        return cls(pool, schema, timeout_s)

    @property
    def group(self) -> str:
        """Empty: the groups of all workers have the same names, so they share the calls."""
        return ""

    async def add(self, changes: Sequence[Change]) -> None:
        """Store changes; see `SearchIndex`."""
        if changes:
            await self._change(lambda tables: tables.apply(changes))

    async def remove(self, call_ids: Sequence[str], *, keep_out: bool = True) -> int:
        """Remove calls; see `SearchIndex`."""
        return await self._change(lambda tables: tables.remove(call_ids, keep_out=keep_out))

    async def purge(self) -> None:
        """Vacuum the rows of removed calls; see `SearchIndex`.

        Copies in the log of the database and in backups are the administrator's to expire.
        """
        pending = "SELECT value FROM meta WHERE key = $1"
        done = "DELETE FROM meta WHERE key = $1 AND value = $2"  # unless more was removed meanwhile
        try:
            if removal := await self._pool.fetchval(pending, PURGE_PENDING):
                await self._pool.execute("VACUUM segments", timeout=_WRITE_S * 20)
                await self._pool.execute(done, PURGE_PENDING, removal)
        except FAILURES as error:
            raise unavailable(error) from None

    async def clear(self) -> None:
        """Delete all calls, but not what keeps removed ones out.

        Raises:
            SearchIndexError: the database is unavailable.
        """
        await self._change(lambda tables: tables.clear())

    async def _change[T](self, change: Callable[[Tables], Awaitable[T]]) -> T:
        try:
            async with (
                self._pool.acquire(timeout=_CONNECT_S) as connection,
                connection.transaction(),
            ):
                return await change(Tables(connection))
        except UNSTORABLE:  # without the message, which quotes the value
            raise ValueError("PostgreSQL can't store a value") from None
        except FAILURES as error:
            raise unavailable(error) from None

    async def search(self, search: Search) -> Page:
        """Return the segments that match; see `SearchReader`."""
        if self._searching >= _MAX_WAITING:
            raise SearchIndexError("too many searches at once; try again")
        sql, values = _statement(search)
        self._searching += 1
        try:
            rows = await self._read(sql, *values)
        except CANCELLED:
            return Page([], is_complete=False)
        except FAILURES as error:
            raise unavailable(error) from None
        finally:
            self._searching -= 1
        limit = limit_of(search)
        hits = [Hit(*tuple(row)[:-1]) for row in rows[:limit]]
        has_next = len(rows) > limit and search.order is Order.NEWEST
        return Page(hits, str(rows[limit - 1]["position"]) if has_next else "")

    async def _read(self, sql: str, *values: object) -> list[Any]:
        async with (
            self._pool.acquire(timeout=self.timeout_s) as connection,
            connection.transaction(readonly=True),
        ):
            timeout_ms = round(self.timeout_s * 1000)
            await connection.execute(f"SET LOCAL statement_timeout = {timeout_ms}")
            # The server ends a long search by itself; one that does not respond is unavailable.
            return list(await connection.fetch(sql, *values, timeout=self.timeout_s + _MARGIN_S))

    async def count(self) -> Size:
        """Return how much the index has."""
        try:
            (row,) = await self._read(
                "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM segments)"
            )
        except FAILURES as error:
            raise unavailable(error) from None
        return Size(*row)

    async def close(self) -> None:
        """Close the connections."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _statement(search: Search) -> tuple[str, list[object]]:
    """Return the statement of a search, and its values."""
    first, last = span(search)
    limits, limit = search.limits, limit_of(search) + 1
    is_best = search.order is Order.BEST
    found = _FOUND.format(
        score="ts_rank(terms, $1::text::tsquery)" if is_best else "0",
        limit=_CANDIDATES if is_best else "ALL",
    )
    order = "score DESC, position DESC" if is_best else "position DESC"
    sql = _HIT.format(found=found, order=order)
    scope = limits.call_id, limits.route, limits.tenant
    return sql, [tsquery_of(search), first, last, *scope, limit]


def tsquery_of(search: Search) -> str:
    """Return the query of PostgreSQL; empty if the search names only times.

    Every word is in quotation marks and has only letters and digits, so that none is an operator.
    """
    query, limits = search.query, search.limits
    parts = [phrase_of(each.words, is_prefix=each.is_prefix) for each in query.wanted]
    parts += [f"!{phrase_of(each.words, is_prefix=each.is_prefix)}" for each in query.unwanted]
    parts += [
        f"{'!' if each.is_negated else ''}{any_of(each.name, each.values)}"
        for each in query.filters
    ]
    parts += [
        any_of(name, [value])
        for name, value in (
            (Field.CALL, limits.call_id),
            (Field.ROUTE, limits.route),
            (Field.TENANT, limits.tenant),
        )
        if value is not None
    ]
    return " & ".join(parts)
