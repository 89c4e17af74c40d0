"""The tables of an index in SQLite, and how its files are opened."""

import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workers.search.index import SearchIndexError
from workers.search.rows import VERSION

_BUSY_S: Final = 5.0
_READ_MMAP_BYTES: Final = 1 << 30
_WRITE_CACHE_KIB: Final = 65_536

# Words and facets are indexed without being stored a second time (`content=''`). To delete such a
# row, FTS5 needs exactly what was inserted: `words.words` of the text, and the facets of the call.
_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (
  no INTEGER PRIMARY KEY, call_id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, carrier TEXT NOT NULL,
  route TEXT NOT NULL, disposition TEXT NOT NULL, facets TEXT NOT NULL
);
CREATE TABLE tracks (
  no INTEGER PRIMARY KEY, call INTEGER NOT NULL, stream_id TEXT NOT NULL, owner INTEGER NOT NULL,
  track TEXT NOT NULL, UNIQUE (call, stream_id, owner, track)
);
CREATE TABLE segments (
  position INTEGER PRIMARY KEY, track INTEGER NOT NULL, segment INTEGER NOT NULL,
  rev INTEGER NOT NULL, role TEXT NOT NULL, at_ms INTEGER NOT NULL, start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (track, segment)
);
CREATE TABLE gaps (
  call INTEGER NOT NULL, stream_id TEXT NOT NULL, track TEXT NOT NULL, from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL, cause TEXT NOT NULL, PRIMARY KEY (call, stream_id, track, from_ms)
) WITHOUT ROWID;
CREATE TABLE alerts (
  call INTEGER NOT NULL, alert TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL,
  raised INTEGER NOT NULL, PRIMARY KEY (call, alert)
) WITHOUT ROWID;
CREATE TABLE removed (digest TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE terms USING fts5 (
  words, facets, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open an index, and create it if there is none.

    Raises:
        SearchIndexError: the file can't be opened, or another version of the software wrote it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite's other files get the same mode
        return _open(path, "rw", _prepare_to_write)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error) from None


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an index that another process may write.

    Raises:
        SearchIndexError: there is no such index, or another version of the software wrote it.
    """
    if not path.exists():
        raise SearchIndexError("there is no search index yet: run the worker search")
    try:
        return _open(path, "ro", _prepare_to_read)
    except sqlite3.Error as error:
        raise unavailable(error) from None


def _open(
    path: Path, mode: str, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,  # transactions are explicit
        check_same_thread=False,  # one thread at a time uses it, but not always the same
    )
    try:
        prepare(connection)
        _check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare_to_write(connection: sqlite3.Connection) -> None:
    # Each commit is on the disk before the position in Redis advances, even if power is lost.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # deleted words are overwritten with zeros
    connection.execute(f"PRAGMA cache_size = -{_WRITE_CACHE_KIB}")
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        _create(connection)


def _prepare_to_read(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA mmap_size = {_READ_MMAP_BYTES}")


def unavailable(error: sqlite3.Error | OSError) -> SearchIndexError:
    """Return the error to raise, without the text of SQLite's error, which may quote a value."""
    why = getattr(error, "sqlite_errorname", "") or getattr(error, "strerror", "")
    return SearchIndexError(f"the search index can't be used: {why or type(error).__name__}")


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}")
    values = [("version", VERSION), ("id", uuid.uuid4().hex[:12])]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", values)
    connection.execute("COMMIT")


def _check_version(connection: sqlite3.Connection) -> None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row is None or row[0] != VERSION:
        raise SearchIndexError("another version wrote the search index: ./run search --rebuild")
