"""The calls to be archived: a sorted set per partition in Redis, by the time when they are due.

A call is added before the position of the consumer is committed, and removed when it is archived,
so none is lost, whatever crashes. Times are of the server's clock.
"""

from typing import Any, Final, NamedTuple

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import partition_key

_TIMEOUT_S: Final = 5.0

# ARGV  1 call  2 delay (ms). The time of a call changes each time, so `settle` notices it.
_ADD: Final = """
local time = redis.call('TIME')
local due_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1])) == due_ms then
  due_ms = due_ms + 1
end
return redis.call('ZADD', KEYS[1], string.format('%.0f', due_ms), ARGV[1])
"""
# ARGV  1 call  2 the time at which it was due  3 delay (ms), negative to remove it
# Returns 1, or 0 if something was added to the call meanwhile; then it stays due.
_SETTLE: Final = """
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
if tonumber(ARGV[3]) < 0 then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
local time = redis.call('TIME')
local due_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]
redis.call('ZADD', KEYS[1], string.format('%.0f', due_ms), ARGV[1])
return 1
"""
# ARGV  1 Unix ms  2 limit. Returns {number of calls, {call, time, ...} of those that are due}.
_READY: Final = """
return {
  redis.call('ZCARD', KEYS[1]),
  redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES'),
}
"""


class DueCall(NamedTuple):
    """A call that is due; `since` is the time as Redis has it, in Unix ms."""

    call_id: str
    since: str


class Ready(NamedTuple):
    """The calls of a partition that are due, the oldest first, and how many wait in all."""

    waiting: int
    calls: list[DueCall]


class DueCalls:
    """The calls of one kind of text.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        name: of the sets: `cs:{pNN}:due:<name>`.
    """

    def __init__(self, client: RedisClient, name: str) -> None:
        self._client = client
        self._name = name

    async def add(self, partition: int, call_id: str, delay_s: float) -> None:
        """Make a call due after a time."""
        await self._eval(_ADD, partition, call_id, round(delay_s * 1000))

    async def ready(self, partition: int, until_ms: int, limit: int) -> Ready:
        """Return the calls that are due."""
        waiting, found = await self._eval(_READY, partition, until_ms, limit)
        texts = [each if isinstance(each, str) else each.decode() for each in found]
        pairs = zip(texts[::2], texts[1::2], strict=True)
        return Ready(waiting, [DueCall(*pair) for pair in pairs])

    async def settle(self, partition: int, call: DueCall) -> bool:
        """Remove a call; return False if something was added to it meanwhile."""
        return bool(await self._eval(_SETTLE, partition, call.call_id, call.since, -1))

    async def postpone(self, partition: int, call: DueCall, delay_s: float) -> None:
        """Make a call due later, unless something was added to it meanwhile."""
        await self._eval(_SETTLE, partition, call.call_id, call.since, round(delay_s * 1000))

    async def _eval(self, script: str, partition: int, *arguments: str | int) -> Any:  # noqa: ANN401 - depends on the script
        key = partition_key(partition, f"due:{self._name}")
        return await execute(self._client, "EVAL", script, 1, key, *arguments, timeout_s=_TIMEOUT_S)
