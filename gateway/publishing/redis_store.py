"""Redis as the gateway and the workers use it: batches of events, and looks at the server.

`client.py` makes a client from its URL, `commands.py` runs commands, `errors.py`
tells what their errors mean, `check.py` what is wrong at the start.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from gateway.errors import PublishError
from gateway.publishing.event_store import AppendCall
from gateway.redis_client.check import check, check_settings
from gateway.redis_client.client import RedisClient, create_client, destination
from gateway.redis_client.commands import (
    Command,
    drop_connections,
    exchange,
    execute,
    initialize,
)
from gateway.redis_client.errors import classify
from gateway.transcript.keys import partition_key

__all__ = [
    "RedisClient",
    "RedisStore",
    "append",
    "check",
    "check_settings",
    "create_client",
    "destination",
    "evicting_policies",
    "execute",
    "first_entries",
    "probe_writes",
]

_SCRIPT = Path(__file__).with_name("append.lua").read_text(encoding="utf-8")
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

# What every write of the gateway needs: a script that writes. The key expires after a minute.
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
    """Write a key on each node that holds partitions; once more if one does not take it.

    Args:
        client: a single server's or a cluster's.
        partitions: fixed at installation.
        timeout_s: for each of the two tries.

    Returns:
        Per node why it did not take the write; None: it did.
    """
    failures = await _probe(client, partitions, timeout_s)
    # After a failover the first try only learns of it.
    return await _probe(client, partitions, timeout_s) if any(failures) else failures


async def _probe(
    client: RedisClient, partitions: int, timeout_s: float
) -> list[PublishError | None]:
    keys = [partition_key(partition, "ready") for partition in range(partitions)]
    if isinstance(client, Redis):
        keys = keys[:1]
    else:
        with contextlib.suppress(Exception):  # the exchange meets it again, and reports it
            async with asyncio.timeout(timeout_s):
                await initialize(client)
            keys = list({client.get_node_from_key(key): key for key in keys}.values())
    commands: list[Command] = [("EVAL", _WRITE, 1, key) for key in keys]
    results = await _settle(client, await exchange(client, commands, timeout_s))
    return [result if isinstance(result, PublishError) else None for result in results]


async def evicting_policies(client: RedisClient, timeout_s: float) -> set[str]:
    """Name the policies by which nodes delete keys when their memory is full; empty if none does.

    Raises:
        PublishError: as `execute`; the detail is NOPERM if the user may not ask.
    """
    # Not CONFIG GET, which managed servers forbid.
    if isinstance(client, Redis):
        nodes = [await execute(client, "INFO", "memory", timeout_s=timeout_s)]
    else:
        primaries = RedisCluster.PRIMARIES
        of_all = await execute(
            client, "INFO", "memory", timeout_s=timeout_s, target_nodes=primaries
        )
        # redis-py does not name the node if there is but one
        nodes = [of_all] if "maxmemory" in of_all else list(of_all.values())
    policies = {str(node.get("maxmemory_policy")) for node in nodes if node.get("maxmemory")}
    return policies - {"noeviction", "None"}


async def first_entries(
    client: RedisClient, keys: Sequence[str], timeout_s: float
) -> list[tuple[bytes, int] | None]:
    """Read the id and the `n` of the first entry of each call's stream.

    Returns:
        Per key both, an empty id and 0 if there is no such stream; None: no answer.
    """
    commands: list[Command] = [("EVAL", _FIRST, 1, key) for key in keys]
    replies = await exchange(client, commands, timeout_s) if commands else []
    if any(isinstance(reply, Exception) for reply in replies):
        await drop_connections(client)
    return [(reply[0], int(reply[1])) if isinstance(reply, list) else None for reply in replies]


class RedisStore:
    """The publisher's `EventStore`: batches go to a single server or a cluster.

    Args:
        client: from `create_client`. Whoever made it closes it.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append each call's batch, as `EventStore` says."""
        return await append(self._client, calls, timeout_s)


async def append(
    client: RedisClient, calls: Sequence[AppendCall], timeout_s: float
) -> list[int | PublishError]:
    """Run `append.lua` once per call, all in one exchange (in a cluster: one with each node).

    Args:
        client: a single server's or a cluster's.
        calls: keys and arguments as the head of `append.lua` says.
        timeout_s: for the exchange as a whole.

    Returns:
        Per call what the script returned, or why it has no answer: `redis-unavailable` (it may
        have run or not: send the same again) or `redis-refused` (it did not, and never would).
    """
    arguments = [(len(call[0]), *call[0], *call[1:]) for call in calls]
    commands: list[Command] = [("EVALSHA", _SCRIPT_SHA, *a) for a in arguments]
    replies = await exchange(client, commands, timeout_s)
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:  # a new, restarted or flushed server: it keeps the script that EVAL brings
        commands = [("EVAL", _SCRIPT, *arguments[i]) for i in unknown]
        for i, reply in zip(unknown, await exchange(client, commands, timeout_s), strict=True):
            replies[i] = reply
    return await _settle(client, replies)


async def _settle(client: RedisClient, replies: Sequence[object]) -> list[int | PublishError]:
    results = [_result_of(reply) for reply in replies]
    if any(isinstance(result, PublishError) and result.info.retry for result in results):
        await drop_connections(client)
    return results


def _result_of(reply: object) -> int | PublishError:
    if isinstance(reply, int):
        return reply
    return classify(reply if isinstance(reply, Exception) else TypeError())
