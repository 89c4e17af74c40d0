"""Changes the tables of an index in SQLite. All methods block, and run inside of a transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from workers.search.facets import facet, of_call
from workers.search.index import (
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    GapNoted,
    Said,
    Size,
)
from workers.search.query import Field
from workers.search.rows import PER_MS, PURGE_PENDING, digest, position
from workers.search.words import words

_DELETE: Final = "INSERT INTO terms (terms, rowid, words, facets) VALUES ('delete', ?, ?, ?)"
_INSERT: Final = "INSERT INTO terms (rowid, words, facets) VALUES (?, ?, ?)"
_OF_CALL: Final = "track IN (SELECT no FROM tracks WHERE call = ?)"
_ROLES: Final[dict[str, str]] = {}  # facets of roles, computed once


class _Call(NamedTuple):
    no: int
    facets: str


class Tables:
    """The tables of one index.

    Args:
        connection: from `open_to_write`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def apply(self, changes: Iterable[Change]) -> None:
        """Store changes: first the facts, so that the segments of a call are indexed again once."""
        of_calls: dict[str, list[Change]] = {}
        for change in changes:
            of_calls.setdefault(change.call_id, []).append(change)
        for call_id, own in of_calls.items():
            if not self._is_removed(call_id):
                self._apply(call_id, own)

    def _is_removed(self, call_id: str) -> bool:
        return self._one("SELECT 1 FROM removed WHERE digest = ?", digest(call_id)) is not None

    def _apply(self, call_id: str, changes: Sequence[Change]) -> None:
        call = self._call(call_id)
        spoken = [each for each in changes if isinstance(each, Said)]
        if len(spoken) < len(changes):
            for each in changes:
                self._note(call.no, each)
            call = self._reindex(call)
        for said in spoken:
            self._say(call, said)

    def _note(self, call: int, change: Change) -> None:
        """Store a fact, which `_reindex` then adds to the index."""
        match change:
            case CallSeen():
                self._run(
                    "UPDATE calls SET tenant = coalesce(nullif(tenant, ''), ?), "
                    "carrier = coalesce(nullif(carrier, ''), ?), "
                    "route = coalesce(nullif(route, ''), ?) WHERE no = ?",
                    *(change.tenant, change.carrier, change.route, call),
                )
            case GapNoted():
                self._run(
                    "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?)",
                    *(call, change.stream_id, change.track),
                    *(change.from_ms, change.to_ms, change.cause),
                )
            case AlertNoted():
                self._run(
                    "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)",
                    *(call, change.alert, change.rule, change.severity, change.is_raised),
                )
            case DispositionNoted():
                self._run("UPDATE calls SET disposition = ? WHERE no = ?", change.disposition, call)
            case Said():
                pass  # has no facts of its call

    def _call(self, call_id: str) -> _Call:
        """Return a call; add it if it is new."""
        row = self._one("SELECT no, facets FROM calls WHERE call_id = ?", call_id)
        if row is None:
            facets = of_call(call_id)
            row = self._one(
                "INSERT INTO calls (call_id, tenant, carrier, route, disposition, facets) "
                "VALUES (?, '', '', '', '', ?) RETURNING no, facets",
                call_id,
                facets,
            )
        return _Call(*row)

    def _say(self, call: _Call, said: Said) -> None:
        track = self._track(call, said)
        known = self._one(
            "SELECT position, rev, role, text FROM segments WHERE track = ? AND segment = ?",
            track,
            said.segment,
        )
        if known:
            old, rev, role, text = known
            if said.rev <= rev:
                return
            self._run(_DELETE, old, _joined(text), _facets(call.facets, role))
            self._run("DELETE FROM segments WHERE position = ?", old)
        at = self._free_position(said.at_ms)
        self._run(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(at, track, said.segment, said.rev, said.role),
            *(said.at_ms, said.start_ms, said.end_ms, said.text),
        )
        self._run(_INSERT, at, _joined(said.text), _facets(call.facets, said.role))

    def _track(self, call: _Call, said: Said) -> int:
        values = call.no, said.stream_id, said.owner, said.track
        row = self._one(
            "SELECT no FROM tracks WHERE call = ? AND stream_id = ? AND owner = ? AND track = ?",
            *values,
        ) or self._one(
            "INSERT INTO tracks (call, stream_id, owner, track) VALUES (?, ?, ?, ?) RETURNING no",
            *values,
        )
        return int(row[0])

    def _free_position(self, at_ms: int) -> int:
        first = position(at_ms)
        while self._one("SELECT 1 FROM segments WHERE position = ?", first + PER_MS - 1):
            first += PER_MS  # a thousand segments in one ms: the next one will do
        row = self._one(
            "SELECT max(position) FROM segments WHERE position >= ? AND position < ?",
            first,
            first + PER_MS,
        )
        return first if row is None or row[0] is None else int(row[0]) + 1

    def _reindex(self, call: _Call) -> _Call:
        """Index all segments of a call again if its facets have changed."""
        call_id, *own = self._one(
            "SELECT call_id, tenant, carrier, route, disposition FROM calls WHERE no = ?", call.no
        )
        alerts = self._all("SELECT rule, severity FROM alerts WHERE call = ? AND raised", call.no)
        gaps = self._all("SELECT DISTINCT cause FROM gaps WHERE call = ?", call.no)
        facets = of_call(call_id, own, sorted(alerts), sorted(cause for (cause,) in gaps))
        if facets == call.facets:
            return call
        self._run("UPDATE calls SET facets = ? WHERE no = ?", facets, call.no)
        segments = self._segments(call.no)
        for old in (True, False):
            of = call.facets if old else facets
            rows = [(at, _joined(text), _facets(of, role)) for at, role, text in segments]
            self._connection.executemany(_DELETE if old else _INSERT, rows)
        return _Call(call.no, facets)

    def _segments(self, call: int) -> list[tuple[int, str, str]]:
        return self._all(f"SELECT position, role, text FROM segments WHERE {_OF_CALL}", call)  # noqa: S608 - a constant

    def remove(self, call_ids: Sequence[str], *, keep_out: bool) -> int:
        """Remove calls; return how many there were.

        Args:
            call_ids: the calls.
            keep_out: note that they must not come back.
        """
        found = 0
        for call_id in call_ids:
            if keep_out:
                self._run("INSERT OR IGNORE INTO removed VALUES (?)", digest(call_id))
            row = self._one("SELECT no, facets FROM calls WHERE call_id = ?", call_id)
            if row:
                found += 1
                self._remove(_Call(*row))
        if found:
            self._run("INSERT OR REPLACE INTO meta VALUES (?, '')", PURGE_PENDING)
        return found

    def _remove(self, call: _Call) -> None:
        rows = [
            (at, _joined(text), _facets(call.facets, role))
            for at, role, text in self._segments(call.no)
        ]
        self._connection.executemany(_DELETE, rows)
        self._run(f"DELETE FROM segments WHERE {_OF_CALL}", call.no)  # noqa: S608 - a constant
        for table in ("tracks", "gaps", "alerts"):
            self._run(f"DELETE FROM {table} WHERE call = ?", call.no)  # noqa: S608 - a constant
        self._run("DELETE FROM calls WHERE no = ?", call.no)

    def _run(self, sql: str, *values: object) -> None:
        self._connection.execute(sql, values)

    def _one(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - a row, or None
        return self._connection.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: object) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()


def size(connection: sqlite3.Connection) -> Size:
    """Return how much an index has."""
    (calls,) = connection.execute("SELECT count(*) FROM calls").fetchone()
    (segments,) = connection.execute("SELECT count(*) FROM segments").fetchone()
    return Size(calls, segments)


def _joined(text: str) -> str:
    return " ".join(words(text))


def _facets(of_call: str, role: str) -> str:
    if role not in _ROLES:
        if len(_ROLES) > 1000:  # roles are few; a broken writer may send any
            _ROLES.clear()
        _ROLES[role] = facet(Field.ROLE, role)
    return f"{of_call} {_ROLES[role]}"
