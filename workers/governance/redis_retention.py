"""Deletes calls from Redis when the retention of their tenant and route is over.

Without it, a call's own streams expire after the retention of the gateways. Its entries in the
streams that calls share stay until something is added to these, because only then they are trimmed.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from itertools import batched
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command
from gateway.transcript.keys import DEFAULT_TENANT, partition_key
from workers.governance.families import Kind, Part, call_of
from workers.governance.holds import Holds
from workers.governance.keyspace import Found, scan
from workers.governance.redis_calls import RedisCalls
from workers.governance.stores import Holding, Kept
from workers.governance.table import exchanged, text

_BATCH: Final = 200
_SHARED: Final = {
    Kind.RAW: ("events", "wrapups"),
    Kind.REDACTED: ("redacted", "alerts", "redacted-wrapups"),
}
# The id of the last entry, its tenant, and the route of the first `stream.started`.
_SUMMARY: Final = """
local function value(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then
      return entry[2][i + 1]
    end
  end
  return ''
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last then
  return {}
end
local route = ''
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 5)) do
  route = value(entry, 'route')
  if route ~= '' then
    break
  end
end
return {last[1], value(last, 'tenant'), route}
"""


class RedisRetention:
    """The calls in Redis with one kind of text; implements `Expiring`.

    Args:
        client: from `create_client`.
        partitions: the number of partitions, fixed at installation.
        kind: of the text.
    """

    def __init__(self, client: RedisClient, partitions: int, kind: Kind) -> None:
        self.name = f"redis {kind.name.lower()}"
        self._client = client
        self._partitions = partitions
        self._kind = kind
        # A hold may be placed while keys are searched.
        held = Holds(client, partitions).held
        self._calls = RedisCalls(client, partitions, (kind,), held)

    async def ids(self) -> AsyncIterator[str]:
        """Yield the ids of all calls, once per key; see `Expiring`."""
        async for found in scan(self._client):
            if found.rule.part is Part.OWN and found.rule.kind is self._kind:
                yield call_of(found.name, found.rule)

    async def calls(self) -> AsyncIterator[Kept]:
        """Yield the calls that have ended.

        Tenant and route are those of the stream that names a route: not all streams of a call have
        its `stream.started`.
        """
        live = await self._live()
        routes: dict[str, tuple[str, str]] = {}
        last_ms: dict[str, int] = {}
        async for found, written_ms, tenant, route in self._summaries():
            call_id = call_of(found.name, found.rule)
            if found.rule.kind is self._kind and call_id not in live:
                last_ms[call_id] = max(written_ms, last_ms.get(call_id, 0))
            if route or call_id not in routes:
                routes[call_id] = (tenant, route)
        for call_id, each_ms in last_ms.items():
            yield Kept(call_id, *routes[call_id], each_ms)

    async def _summaries(self) -> AsyncIterator[tuple[Found, int, str, str]]:
        """Yield the streams of this kind, and those that name a route, with what they say."""
        page: list[Found] = []
        async for found in scan(self._client):
            is_stream = found.rule.part is Part.OWN and found.name.startswith("call:")
            if is_stream and (found.rule.kind is self._kind or _names_route(found)):
                page.append(found)
            if len(page) == _BATCH:
                for each in await self._summarize(page):
                    yield each
                page = []
        for each in await self._summarize(page):
            yield each

    async def _live(self) -> set[str]:
        keys = [partition_key(each, "live") for each in range(self._partitions)]
        commands: list[Command] = [("ZRANGE", key, 0, -1) for key in keys]
        replies = await exchanged(self._client, commands, key_at=1)
        return {text(member).partition(" ")[0] for members in replies for member in members}

    async def _summarize(self, page: Sequence[Found]) -> list[tuple[Found, int, str, str]]:
        commands: list[Command] = [("EVAL_RO", _SUMMARY, 1, found.key) for found in page]
        summaries = []
        for found, reply in zip(page, await exchanged(self._client, commands), strict=True):
            if reply:
                last, tenant, route = (text(each) for each in reply)
                at_ms = int(last.partition("-")[0])
                summaries.append((found, at_ms, tenant or DEFAULT_TENANT, route))
        return summaries

    async def expire(self, calls: Collection[str]) -> int:
        """Delete what is kept of some calls; see `Expiring`."""
        return len(calls) if await self._calls.erase(calls) else 0

    async def trim(self, before_ms: int) -> int:
        """Delete the entries of streams that calls share which were written before a time."""
        names = _SHARED[self._kind]
        keys = [partition_key(each, name) for each in range(self._partitions) for name in names]
        count = 0
        for some in batched(keys, _BATCH):
            commands: list[Command] = [("XTRIM", key, "MINID", "~", before_ms) for key in some]
            count += sum(await exchanged(self._client, commands, key_at=1))
        return count

    async def describe(self) -> list[Holding]:
        """Return nothing: `RedisCalls` describes the keys."""
        return []


def _names_route(found: Found) -> bool:
    """Return whether a stream has the `stream.started` of its call: the events and their copy."""
    suffix = found.name.split(":")[found.rule.id_at + 1 :]
    return suffix in ([], ["redacted"])
