"""Changes the tables of an index in PostgreSQL, inside of a transaction."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from workers.search.driver import Connection
from workers.search.facets import facet, of_call
from workers.search.index import (
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    GapNoted,
    Said,
)
from workers.search.query import Field
from workers.search.rows import PER_MS, PURGE_PENDING, digest, position
from workers.search.words import words

_MAX_POSITION: Final = 16_383  # of a word in a tsvector


class _Call(NamedTuple):
    no: int
    facets: str


class Tables:
    """The tables of one index.

    Args:
        connection: in a transaction; its search path is the schema of the index.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def apply(self, changes: Sequence[Change]) -> None:
        """Store changes."""
        call_ids = sorted({each.call_id for each in changes})
        calls = await self._lock(call_ids)
        gone = await self._removed(call_ids)
        for call_id, call in calls.items():
            if call_id not in gone:
                own = [_clean(each) for each in changes if each.call_id == call_id]
                await self._apply(call, own)
        if gone:
            await self._delete([calls[each].no for each in gone])

    async def _lock(self, call_ids: Sequence[str]) -> dict[str, _Call]:
        """Return calls, added if they are new, and locked: another worker may change them, too."""
        calls: dict[str, _Call] = {}
        while missing := [each for each in call_ids if each not in calls]:
            for call_id in missing:
                facets = of_call(call_id)
                await self._run(
                    "INSERT INTO calls (call_id, facets) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    *(call_id, facets),
                )
            rows = await self._all(  # without those that are removed at this moment
                "SELECT call_id, no, facets FROM calls WHERE call_id = ANY($1) "
                "ORDER BY call_id FOR UPDATE",
                missing,
            )
            calls |= {call_id: _Call(no, facets) for call_id, no, facets in rows}
        return calls

    async def _removed(self, call_ids: Iterable[str]) -> set[str]:
        digests = {digest(each): each for each in call_ids}
        rows = await self._all("SELECT digest FROM removed WHERE digest = ANY($1)", list(digests))
        return {digests[each] for (each,) in rows}

    async def _apply(self, call: _Call, changes: Sequence[Change]) -> None:
        """Store changes: first the facts, so that the segments of a call are indexed again once."""
        spoken = [each for each in changes if isinstance(each, Said)]
        if len(spoken) < len(changes):
            for each in changes:
                await self._note(call.no, each)
            call = await self._reindex(call)
        for said in spoken:
            await self._say(call, said)

    async def _note(self, call: int, change: Change) -> None:
        """Store a fact, which `_reindex` then adds to the index."""
        match change:
            case CallSeen():
                await self._run(
                    "UPDATE calls SET tenant = coalesce(nullif(tenant, ''), $2), "
                    "carrier = coalesce(nullif(carrier, ''), $3), "
                    "route = coalesce(nullif(route, ''), $4) WHERE no = $1",
                    *(call, change.tenant, change.carrier, change.route),
                )
            case GapNoted():
                await self._run(
                    "INSERT INTO gaps VALUES ($1, $2, $3, $4, $5, $6) "
                    "ON CONFLICT (call, stream_id, track, from_ms) "
                    "DO UPDATE SET to_ms = excluded.to_ms, cause = excluded.cause",
                    *(call, change.stream_id, change.track),
                    *(change.from_ms, change.to_ms, change.cause),
                )
            case AlertNoted():
                await self._run(
                    "INSERT INTO alerts VALUES ($1, $2, $3, $4, $5) ON CONFLICT (call, alert) "
                    "DO UPDATE SET rule = excluded.rule, severity = excluded.severity, "
                    "raised = excluded.raised",
                    *(call, change.alert, change.rule, change.severity, change.is_raised),
                )
            case DispositionNoted():
                await self._run(
                    "UPDATE calls SET disposition = $2 WHERE no = $1", call, change.disposition
                )
            case Said():
                pass  # has no facts of its call

    async def _say(self, call: _Call, said: Said) -> None:
        track = await self._connection.fetchval(
            "INSERT INTO tracks (call, stream_id, owner, track) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (call, stream_id, owner, track) DO UPDATE SET track = excluded.track "
            "RETURNING no",
            *(call.no, said.stream_id, said.owner, said.track),
        )
        known = await self._connection.fetchval(
            "SELECT rev FROM segments WHERE track = $1 AND segment = $2", track, said.segment
        )
        if known is not None:
            if said.rev <= known:
                return
            await self._run(
                "DELETE FROM segments WHERE track = $1 AND segment = $2", track, said.segment
            )
        values = said.segment, said.rev, said.role, said.at_ms, said.start_ms, said.end_ms
        terms = terms_of(said.text, call.facets, said.role)
        at = await self._free_position(said.at_ms)
        while not await self._connection.fetchval(
            "INSERT INTO segments VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::tsvector) "
            "ON CONFLICT (position) DO NOTHING RETURNING 1",
            *(at, track, *values, said.text, terms),
        ):
            at += 1  # another worker has taken it

    async def _free_position(self, at_ms: int) -> int:
        first = position(at_ms)
        last = await self._connection.fetchval(
            "SELECT max(position) FROM segments WHERE position >= $1 AND position < $2",
            *(first, first + PER_MS),
        )
        return first if last is None else int(last) + 1

    async def _reindex(self, call: _Call) -> _Call:
        """Index all segments of a call again if its facets have changed."""
        call_id, *own = await self._connection.fetchrow(
            "SELECT call_id, tenant, carrier, route, disposition FROM calls WHERE no = $1", call.no
        )
        alerts = await self._all(
            "SELECT rule, severity FROM alerts WHERE call = $1 AND raised", call.no
        )
        gaps = await self._all("SELECT DISTINCT cause FROM gaps WHERE call = $1", call.no)
        facets = of_call(call_id, own, sorted(alerts), sorted(cause for (cause,) in gaps))
        if facets == call.facets:
            return call
        await self._run("UPDATE calls SET facets = $2 WHERE no = $1", call.no, facets)
        segments = await self._all(
            "SELECT position, role, text FROM segments "
            "WHERE track IN (SELECT no FROM tracks WHERE call = $1)",
            call.no,
        )
        await self._connection.executemany(
            "UPDATE segments SET terms = $2::text::tsvector WHERE position = $1",
            [(at, terms_of(text, facets, role)) for at, role, text in segments],
        )
        return _Call(call.no, facets)

    async def remove(self, call_ids: Sequence[str], *, keep_out: bool) -> int:
        """Remove calls; return how many there were.

        A call is locked even if there is none, because another worker may be adding it.

        Args:
            call_ids: the calls.
            keep_out: note that they must not come back.
        """
        known = await self._all("SELECT 1 FROM calls WHERE call_id = ANY($1)", list(call_ids))
        calls = await self._lock(sorted(set(call_ids)))
        for call_id in calls if keep_out else ():
            await self._run(
                "INSERT INTO removed VALUES ($1) ON CONFLICT DO NOTHING", digest(call_id)
            )
        await self._delete([each.no for each in calls.values()])
        await self._run(
            "INSERT INTO meta VALUES ($1, txid_current()::text) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            PURGE_PENDING,
        )
        return len(known)

    async def _delete(self, calls: Sequence[int]) -> None:
        """Delete all rows of calls, by their number."""
        await self._run(
            "DELETE FROM segments WHERE track IN (SELECT no FROM tracks WHERE call = ANY($1))",
            calls,
        )
        for table in ("tracks", "gaps", "alerts"):
            await self._run(f"DELETE FROM {table} WHERE call = ANY($1)", calls)  # noqa: S608 - constants
        await self._run("DELETE FROM calls WHERE no = ANY($1)", calls)

    async def clear(self) -> None:
        """Delete all calls."""
        await self._run("TRUNCATE calls, tracks, segments, gaps, alerts")

    async def _run(self, sql: str, *values: object) -> None:
        await self._connection.execute(sql, *values)

    async def _all(self, sql: str, *values: object) -> list[Any]:
        return list(await self._connection.fetch(sql, *values))


def _clean(change: Change) -> Change:
    """Return a change without the character that PostgreSQL can't store in a text."""
    values = msgspec.structs.asdict(change)
    dirty = {name: each for name, each in values.items() if isinstance(each, str) and "\0" in each}
    clean = {name: each.replace("\0", " ") for name, each in dirty.items()}
    return msgspec.structs.replace(change, **clean) if clean else change


def terms_of(text: str, facets: str, role: str) -> str:
    """Return the words of a segment with their positions, and its facets, as a tsvector."""
    places: dict[str, list[str]] = {}
    for number, word in enumerate(words(text), start=1):
        places.setdefault(word, []).append(str(min(number, _MAX_POSITION)))
    said = [f"'{word}':{','.join(dict.fromkeys(at))}" for word, at in places.items()]
    return " ".join([*said, *(f"'{each}'" for each in facets.split()), f"'{_role(role)}'"])


def _role(role: str) -> str:
    return facet(Field.ROLE, role)


def phrase_of(word_list: Sequence[str], *, is_prefix: bool) -> str:
    """Return a phrase as a tsquery."""
    quoted = [f"'{word}'" for word in word_list]
    return f"({' <-> '.join(quoted)}{':*' if is_prefix else ''})"


def any_of(name: Field, values: Iterable[str]) -> str:
    """Return a filter as a tsquery."""
    return f"({' | '.join(repr(facet(name, value)) for value in values)})"
