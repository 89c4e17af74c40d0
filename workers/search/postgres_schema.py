"""The tables of an index in PostgreSQL: one schema for each kind of text."""

from typing import Final

from workers.search.driver import Connection
from workers.search.index import SearchIndexError
from workers.search.rows import VERSION

_LOCK: Final = 0x43535243  # of this program, while it creates tables
_TABLES: Final = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE calls (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call_id text NOT NULL UNIQUE,
  tenant text NOT NULL DEFAULT '', carrier text NOT NULL DEFAULT '',
  route text NOT NULL DEFAULT '', disposition text NOT NULL DEFAULT '',
  facets text NOT NULL DEFAULT ''
);
CREATE TABLE tracks (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call bigint NOT NULL,
  stream_id text NOT NULL, owner bigint NOT NULL, track text NOT NULL,
  UNIQUE (call, stream_id, owner, track)
);
CREATE TABLE segments (
  position bigint PRIMARY KEY, track bigint NOT NULL, segment bigint NOT NULL, rev bigint NOT NULL,
  role text NOT NULL, at_ms bigint NOT NULL, start_ms bigint NOT NULL, end_ms bigint NOT NULL,
  text text NOT NULL, terms tsvector NOT NULL, UNIQUE (track, segment)
);
CREATE INDEX segments_terms ON segments USING gin (terms);
CREATE TABLE gaps (
  call bigint NOT NULL, stream_id text NOT NULL, track text NOT NULL, from_ms bigint NOT NULL,
  to_ms bigint NOT NULL, cause text NOT NULL, PRIMARY KEY (call, stream_id, track, from_ms)
);
CREATE TABLE alerts (
  call bigint NOT NULL, alert text NOT NULL, rule text NOT NULL, severity text NOT NULL,
  raised boolean NOT NULL, PRIMARY KEY (call, alert)
);
CREATE TABLE removed (digest text PRIMARY KEY);
"""


async def create_tables(connection: Connection, schema: str) -> None:
    """Create the tables of an index unless they exist; several processes may do it at once.

    Raises:
        SearchIndexError: another version of the software created them.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.meta") is None:
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            await connection.execute(_TABLES)
            await connection.execute("INSERT INTO meta VALUES ('version', $1)", VERSION)
    await check_version(connection)


async def check_version(connection: Connection) -> None:
    """Raise an error unless this version of the software created the tables.

    Raises:
        SearchIndexError: another version created them.
    """
    if await connection.fetchval("SELECT value FROM meta WHERE key = 'version'") != VERSION:
        raise SearchIndexError("another version created the search index: ./run search --rebuild")


def unavailable(error: BaseException) -> SearchIndexError:
    """Return the error to raise, without the server's text, which may quote a value."""
    code = getattr(error, "sqlstate", None)
    return SearchIndexError(
        f"PostgreSQL can't be used: {type(error).__name__} {code or ''}".strip()
    )
