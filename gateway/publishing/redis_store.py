"""The event store in Redis: runs `append.lua`, and checks what the publisher needs of a server."""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import (
    Command,
    drop_connections,
    exchange,
    execute,
    initialize,
)
from gateway.redis_client.errors import classify
from gateway.transcript.keys import partition_key

_SCRIPT = Path(__file__).with_name("append.lua").read_text(encoding="utf-8")
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

# Like every write of the gateway, a script that writes. The key expires after a minute.
_WRITE = "return redis.call('SET', KEYS[1], '1', 'EX', 60) and 0"

# The id and the `n` of the first entry.
_FIRST = """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first then
  return {'', 0}
end
for i = 1, #first[2], 2 do
  if first[2][i] == 'n' then
    return {first[1], first[2][i + 1]}
  end
end
return {first[1], 0}
"""


async def probe_writes(
    client: RedisClient, partitions: int, timeout_s: float
) -> list[PublishError | None]:
    """Write a key on each node that holds partitions; retry once if any write fails.

    Args:
        client: a single server's or a cluster's.
        partitions: fixed at installation.
        timeout_s: for each of the two attempts.

    Returns:
        Per node why the write failed; None if it succeeded.
    """
    failures = await _probe(client, partitions, timeout_s)
    # After a failover the first attempt only detects it.
    return await _probe(client, partitions, timeout_s) if any(failures) else failures


async def _probe(
    client: RedisClient, partitions: int, timeout_s: float
) -> list[PublishError | None]:
    keys = [partition_key(partition, "ready") for partition in range(partitions)]
    if isinstance(client, Redis):
        keys = keys[:1]
    else:
        with contextlib.suppress(Exception):  # the exchange fails likewise, and reports it
            async with asyncio.timeout(timeout_s):
                await initialize(client)
            keys = list({client.get_node_from_key(key): key for key in keys}.values())
    commands: list[Command] = [("EVAL", _WRITE, 1, key) for key in keys]
    results = await _classify_and_reconnect(client, await exchange(client, commands, timeout_s))
    return [result if isinstance(result, PublishError) else None for result in results]


async def evicting_policies(client: RedisClient, timeout_s: float) -> set[str]:
    """Return the eviction policies of nodes that delete keys when their memory is full.

    Raises:
        PublishError: as `execute`; the detail is NOPERM if the user lacks the permission.
    """
    # INFO, because managed servers forbid CONFIG GET.
    if isinstance(client, Redis):
        nodes = [await execute(client, "INFO", "memory", timeout_s=timeout_s)]
    else:
        primaries = RedisCluster.PRIMARIES
        of_all = await execute(
            client, "INFO", "memory", timeout_s=timeout_s, target_nodes=primaries
        )
        # redis-py omits the node's name if there is only one
        nodes = [of_all] if "maxmemory" in of_all else list(of_all.values())
    policies = {str(node.get("maxmemory_policy")) for node in nodes if node.get("maxmemory")}
    return policies - {"noeviction", "None"}


async def first_entries(
    client: RedisClient, keys: Sequence[str], timeout_s: float
) -> list[tuple[bytes, int] | None]:
    """Read the id and the `n` of the first entry of each call's stream.

    Returns:
        Per key the id and `n`; an empty id and 0 if there is no stream; None without a reply.
    """
    commands: list[Command] = [("EVAL", _FIRST, 1, key) for key in keys]
    replies = await exchange(client, commands, timeout_s) if commands else []
    if any(isinstance(reply, Exception) for reply in replies):
        await drop_connections(client)
    return [(reply[0], int(reply[1])) if isinstance(reply, list) else None for reply in replies]


class RedisStore:
    """The publisher's `EventStore`: batches go to a single server or a cluster.

    Args:
        client: from `create_client`; the caller closes it.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append each call's batch; see `EventStore`."""
        return await append(self._client, calls, timeout_s)


async def append(
    client: RedisClient, calls: Sequence[AppendCall], timeout_s: float
) -> list[int | PublishError]:
    """Run `append.lua` once per call, all in one exchange (in a cluster: one with each node).

    Args:
        client: a single server's or a cluster's.
        calls: keys and arguments of `append.lua`.
        timeout_s: for the exchange as a whole.

    Returns:
        Per call what the script returned, or why there is no reply: `redis-unavailable` (it may
        have run or not: send the same batch again) or `redis-refused` (it wrote nothing, and never
        would).
    """
    arguments = [
        (len(call.keys), *call.keys, call.stream_header, call.payload, call.age_ms)
        for call in calls
    ]
    commands: list[Command] = [("EVALSHA", _SCRIPT_SHA, *a) for a in arguments]
    replies = await exchange(client, commands, timeout_s)
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:  # a new, restarted or flushed server; EVAL makes it cache the script
        commands = [("EVAL", _SCRIPT, *arguments[i]) for i in unknown]
        for i, reply in zip(unknown, await exchange(client, commands, timeout_s), strict=True):
            replies[i] = reply
    return await _classify_and_reconnect(client, replies)


async def _classify_and_reconnect(
    client: RedisClient, replies: Sequence[object]
) -> list[int | PublishError]:
    """Classify the replies; drop the client's connections if any of them may be retried."""
    results = [_result_of(reply) for reply in replies]
    if any(isinstance(result, PublishError) and result.info.retry for result in results):
        await drop_connections(client)
    return results


def _result_of(reply: object) -> int | PublishError:
    if isinstance(reply, int):
        return reply
    return classify(reply if isinstance(reply, Exception) else TypeError())
