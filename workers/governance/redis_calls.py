"""The store `redis`: all keys of the partitions, whichever worker writes them.

Keys are found by scanning and judged by `families.py`. What belongs to a call is deleted: its own
keys; entries of streams that calls share, which are then rewritten; members of sets.
"""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import batched
from typing import Any, Final

import msgspec

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command, execute
from gateway.transcript.encode import rfc3339_ms
from workers.governance.calls import by_partition
from workers.governance.families import Kind, Part, call_of, is_of
from workers.governance.keyspace import Found, scan
from workers.governance.rewriting import Rewriter
from workers.governance.stores import Holding
from workers.governance.table import TIMEOUT_S, exchanged, text

_PAGE: Final = 500  # entries
_BATCH: Final = 500  # commands of one exchange
_CALLS_AT_ONCE: Final = 1000  # names in the arguments of a script


class RedisCalls:
    """The calls in Redis; implements `Store`.

    Args:
        client: from `create_client`.
        partitions: the number of partitions, fixed at installation.
        kinds: which keys; all of them, unless it expires calls of one kind of text.
        held: returns those of some calls of which nothing may be deleted.
    """

    name = "redis"

    def __init__(
        self,
        client: RedisClient,
        partitions: int,
        kinds: Collection[Kind] = tuple(Kind),
        held: Callable[[Collection[str]], Awaitable[set[str]]] | None = None,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._kinds = frozenset(kinds)
        self._held = held

    async def erase(self, calls: Collection[str]) -> int:
        """Delete all that is kept of some calls; see `Store`."""
        return await self._walk(calls, is_deleting=True)

    async def find(self, calls: Collection[str]) -> int:
        """Return how many keys, entries and members of some calls there are; see `Store`."""
        return await self._walk(calls, is_deleting=False)

    async def _walk(self, calls: Collection[str], *, is_deleting: bool) -> int:
        count = 0
        for some in batched(calls, _CALLS_AT_ONCE):
            count += await self._walk_some(some, is_deleting=is_deleting)
        return count

    async def _walk_some(self, calls: Sequence[str], *, is_deleting: bool) -> int:
        wanted = by_partition(calls, self._partitions)
        own: dict[str, str] = {}
        shared: dict[str, Found] = {}
        temporary: set[str] = set()
        async for found in scan(self._client):
            rule, ids = found.rule, wanted.get(found.partition)
            if ids is None or rule.kind not in self._kinds:
                continue
            if rule.part in (Part.ENTRIES, Part.MEMBERS):
                shared[found.key] = found
            elif rule.part is Part.OWN and (call_id := call_of(found.name, rule)) in ids:
                own[found.key] = call_id
            elif rule.part is Part.TEMPORARY and is_deleting:
                temporary.add(found.key)  # the erasure that it belongs to begins again
        count = await self._delete(temporary)
        if is_deleting:
            wanted = by_partition(await self._free(calls), self._partitions)
        # Dead letters before retries: they move in this direction.
        for _, found in sorted(shared.items()):
            ids = wanted.get(found.partition, [])
            count += await self._visit(found, ids, is_deleting=is_deleting) if ids else 0
        if not is_deleting:
            return count + len(own)
        # Last, because retention finds calls by their own keys, if it is interrupted before.
        free = set(await self._free(calls))
        return count + await self._delete(key for key, call_id in own.items() if call_id in free)

    async def _free(self, calls: Sequence[str]) -> Sequence[str]:
        """Return those of some calls that are not held now."""
        held = await self._held(calls) if self._held else set()
        return [call_id for call_id in calls if call_id not in held]

    async def _delete(self, keys: Iterable[str]) -> int:
        count = 0
        for some in batched(keys, _BATCH):
            commands: list[Command] = [("DEL", key) for key in some]
            count += sum(await exchanged(self._client, commands, key_at=1))
        return count

    async def _visit(self, found: Found, ids: Sequence[str], *, is_deleting: bool) -> int:
        """Delete or count what a key that calls share has of some calls."""
        kind = text(await self._execute("TYPE", found.key))
        if kind == "stream":
            return await self._visit_stream(found, ids, is_deleting=is_deleting)
        if kind in ("zset", "hash", "set") and found.rule.part is Part.MEMBERS:
            members = await self._members(found.key, kind, ids)
            if members and is_deleting:
                remove = {"zset": "ZREM", "hash": "HDEL", "set": "SREM"}[kind]
                await self._execute(remove, found.key, *members)
            return len(members)
        return 0

    async def _visit_stream(self, found: Found, ids: Sequence[str], *, is_deleting: bool) -> int:
        """Delete or count the entries of some calls.

        Pages are judged here, not by a script, because converting them for Lua blocks Redis.
        """
        wanted = {call_id.encode() for call_id in ids}
        count, after = 0, "-"
        while True:
            command: Command = ("XRANGE", found.key, after, "+", "COUNT", _PAGE)
            (entries,) = await exchanged(self._client, [command], key_at=1)
            of_calls = [text(each[0]) for each in entries if _call_in(each[1]) in wanted]
            count += len(of_calls)
            if of_calls and is_deleting:
                await self._execute("XDEL", found.key, *of_calls)
            if len(entries) < _PAGE:
                break
            after = f"({text(entries[-1][0])}"
        rewriter = Rewriter(self._client, found.partition)
        if is_deleting and await rewriter.has_residue(found.key):
            await rewriter.rewrite(found.key)
        return count

    async def _members(self, key: str, kind: str, ids: Sequence[str]) -> list[str]:
        """Return the members of a set, or the fields of a hash, that belong to some calls."""
        command = {"zset": "ZSCAN", "hash": "HSCAN", "set": "SSCAN"}[kind]
        found, cursor = [], "0"
        while True:
            ((next_cursor, reply),) = await exchanged(
                self._client, [(command, key, cursor, "COUNT", _BATCH)], key_at=1
            )
            names = reply if kind == "set" else reply[::2] if isinstance(reply, list) else reply
            members = [text(name) for name in names]
            found += [each for each in members if any(is_of(each, call_id) for call_id in ids)]
            if (cursor := text(next_cursor)) == "0":
                return found

    async def describe(self) -> list[Holding]:
        """Return how many keys and entries there are; see `Store`."""
        calls: set[str] = set()
        streams: dict[str, list[str]] = {}
        count: Counter[str] = Counter()
        async for found in scan(self._client):
            family = _family(found)
            count[family] += 1
            if found.rule.part is Part.OWN:
                calls.add(call_of(found.name, found.rule))
            elif found.rule.part is Part.ENTRIES:
                streams.setdefault(family, []).append(found.key)
        holdings = [
            Holding("redis", "call:<id>, …", "calls", _UNTIL["call"], len(calls), sum(
                count[each] for each in ("call", "writers", "push:queue")
            ))
        ]  # fmt: skip
        for family, keys in sorted(streams.items()):
            entries, oldest_ms = await self._sizes(keys)
            oldest = rfc3339_ms(oldest_ms / 1000) if oldest_ms else None
            until = _UNTIL.get(family.partition(":")[0], "not known to Callscribe")
            what = "entries of all calls"
            holdings.append(Holding("redis", family, what, until, None, entries, oldest))
        return holdings

    async def _sizes(self, keys: Sequence[str]) -> tuple[int, int]:
        """Return the number of entries of some streams, and when the oldest was written."""
        entries, oldest_ms = 0, 0
        for some in batched(keys, _BATCH):
            types = await exchanged(self._client, [("TYPE", key) for key in some], key_at=1)
            found = [k for k, kind in zip(some, types, strict=True) if text(kind) == "stream"]
            entries += sum(await exchanged(self._client, [("XLEN", k) for k in found], key_at=1))
            firsts: list[Command] = [("XRANGE", key, "-", "+", "COUNT", 1) for key in found]
            for reply in await exchanged(self._client, firsts, key_at=1):
                if reply:
                    at_ms = int(text(reply[0][0]).partition("-")[0])
                    oldest_ms = min(oldest_ms or at_ms, at_ms)
        return entries, oldest_ms

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        return await execute(self._client, *command, timeout_s=TIMEOUT_S)


_UNTIL: Final = {
    "call": "the retention after a call's last event",
    "events": "the retention, or 100 000 entries per partition",
    "redacted": "the retention, or 100 000 entries per partition",
    "alerts": "the retention, or 100 000 entries per partition",
    "wrapups": "the retention, or 100 000 entries per partition",
    "redacted-wrapups": "the retention, or 100 000 entries per partition",
    "dead": "until they are retried or dropped; 10 000 per partition",
    "retry": "until they are handled",
    "push": "WORKER_PUSH_KEEP_S after the last change",
}


def _family(found: Found) -> str:
    """Return the name of a key for the report, without ids."""
    names = found.name.split(":")
    if found.rule.part is Part.OWN:
        return ":".join(names[: found.rule.id_at][:2])
    return ":".join(names[:2])


class _Wrapped(msgspec.Struct):
    """A message for another system, which names its call."""

    call_id: str = ""


def _call_in(fields: Sequence[bytes]) -> bytes | None:
    """Return the call of an entry: its field `call_id`, or that of the JSON in `message`."""
    names = fields[::2]
    if b"call_id" in names:
        return fields[2 * names.index(b"call_id") + 1]
    if b"message" in names:
        message = fields[2 * names.index(b"message") + 1]
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(message, type=_Wrapped).call_id.encode()
    return None
