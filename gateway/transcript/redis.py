"""Redis as the gateway and the workers use it: commands, batches of events, and tests of both.

Every command of every client goes through here, so that all do the same after a failure: whatever
may succeed later (`redis_errors.py`) drops the client's connections. After a planned failover the
old primary keeps its connections and answers READONLY on them for ever; only a new connection, for
which the host's name is resolved again, reaches the new one.
"""

import asyncio
import contextlib
import hashlib
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool
from redis.exceptions import NoScriptError, RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.errors import PublishError
from gateway.transcript.keys import partition_key
from gateway.transcript.redis_client import RedisClient, create_client, destination, place_of
from gateway.transcript.redis_errors import classify, code_of, refusal
from gateway.transcript.store import AppendCall
from process.settings import SettingsError

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

type Command = tuple[str | bytes | int, ...]

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


async def execute(
    client: RedisClient,
    *command: str | int,
    timeout_s: float,
    **options: Any,  # noqa: ANN401  # redis-py's own
) -> Any:  # noqa: ANN401  # Redis' own values
    """Run a command that changes nothing more when it is run twice.

    If Redis refuses it, or the connection is broken, it is run once more on a new connection.

    Args:
        client: from `create_client`; several commands may use it at once.
        command: its parts.
        timeout_s: for all of it, connecting included.
        options: passed on to redis-py.

    Raises:
        PublishError: as `classify`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            try:
                return await _execute(client, command, options)
            except Exception as error:
                if isinstance(error, RedisTimeoutError) or not classify(error).meaning.retry:
                    raise
            await drop_connections(client)
            return await _execute(client, command, options)
    except Exception as error:  # a broken connection raises more than RedisError
        failure = classify(error)
        if failure.meaning.retry:
            await drop_connections(client)
        raise failure from error


async def _execute(client: RedisClient, command: Command, options: dict[str, Any]) -> Any:  # noqa: ANN401
    # First, and one at a time as it does it: redis-py's cluster client fails commands that are at
    # once its first ones.
    await _initialize(client)
    return await client.execute_command(*command, **options)


async def _initialize(client: RedisClient) -> None:
    if isinstance(client, Redis):
        return
    # The URL's hosts, too: after its first look redis-py asks only the nodes it has found, and if
    # all of those are replaced it never finds the cluster again.
    named = [(node.host, int(node.port)) for node in client.startup_nodes]
    _ = await client.initialize(additional_startup_nodes_info=named)


async def drop_connections(client: RedisClient) -> None:
    """Close a client's connections; the next command makes a new one.

    Those in use by other commands are closed after them, but a cluster's at once: `execute` and the
    publisher run those commands again.
    """
    if isinstance(client, RedisCluster):
        await client.aclose()  # the map of the cluster is read anew, too
        return
    # redis-py leaves it untyped
    await client.connection_pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
    await client.connection_pool.disconnect(inuse_connections=False)


async def check(client: RedisClient, timeout_s: float = 5.0) -> None:
    """Ask Redis for a sign of life, to find wrong settings.

    Raises:
        PublishError: `redis-refused` if waiting can't help, for wrong credentials say, else
            `redis-unavailable`; one line that names hosts and ports only.
    """
    place = place_of(client)
    try:
        async with asyncio.timeout(timeout_s):
            await _execute(client, ("PING",), {})
    except MasterNotFoundError as error:
        why = await _refusal_of_sentinels(client, timeout_s)
        if why:
            raise PublishError("redis-refused", f"the sentinels of {place}: {why}") from error
        raise PublishError("redis-unavailable", f"no sentinel knows {place}") from error
    except Exception as error:  # a broken connection raises more than RedisError
        if why := refusal(error):
            raise PublishError("redis-refused", f"Redis at {place} refuses us: {why}") from error
        if code := code_of(error):
            line = f"Redis at {place} is not ready: {code}"
        else:
            line = f"no Redis answers at {place}"
        raise PublishError("redis-unavailable", line) from error


async def check_settings(client: RedisClient) -> str:
    """Check the settings of a process that works without Redis for a while.

    Returns:
        Why Redis is not there yet, in one line; empty if it is.

    Raises:
        SettingsError: waiting can't help, as `check` says.
    """
    try:
        await check(client)
    except PublishError as error:
        if not error.meaning.retry:
            raise SettingsError(error.detail) from None
        return error.detail
    return ""


async def _refusal_of_sentinels(client: RedisClient, timeout_s: float) -> str:
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            try:
                async with asyncio.timeout(timeout_s):
                    await sentinel.execute_command("PING")
            except Exception as error:  # noqa: BLE001 - only what it says is of interest
                if why := refusal(error):
                    return why
    return ""


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
                await _initialize(client)
            keys = list({client.get_node_from_key(key): key for key in keys}.values())
    commands: list[Command] = [("EVAL", _WRITE, 1, key) for key in keys]
    results = await _settle(client, await _exchange(client, commands, timeout_s))
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
    replies = await _exchange(client, commands, timeout_s) if commands else []
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
    arguments = [(len(keys), *keys, stream, batch) for keys, stream, batch in calls]
    commands: list[Command] = [("EVALSHA", _SCRIPT_SHA, *a) for a in arguments]
    replies = await _exchange(client, commands, timeout_s)
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:  # a new, restarted or flushed server: it keeps the script that EVAL brings
        commands = [("EVAL", _SCRIPT, *arguments[i]) for i in unknown]
        for i, reply in zip(unknown, await _exchange(client, commands, timeout_s), strict=True):
            replies[i] = reply
    return await _settle(client, replies)


async def _settle(client: RedisClient, replies: Sequence[object]) -> list[int | PublishError]:
    results = [_result_of(reply) for reply in replies]
    if any(isinstance(result, PublishError) and result.meaning.retry for result in results):
        await drop_connections(client)
    return results


def _result_of(reply: object) -> int | PublishError:
    if isinstance(reply, int):
        return reply
    return classify(reply if isinstance(reply, Exception) else TypeError())


async def _exchange(
    client: RedisClient, commands: Sequence[Command], timeout_s: float
) -> list[object]:
    """Send commands whose first key stands fourth; give each one's reply or its exception."""
    if isinstance(client, Redis):
        return await _converse(client.connection_pool, commands, timeout_s)
    replies: list[object] = [None] * len(commands)
    try:
        async with asyncio.timeout(timeout_s):
            await _initialize(client)
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller tries again
        return [error] * len(commands)
    nodes: dict[ClusterNode, list[int]] = defaultdict(list)
    for i, command in enumerate(commands):
        try:
            if node := client.get_node_from_key(str(command[3])):
                nodes[node].append(i)
        except RedisClusterException as error:  # no node owns the slot now
            replies[i] = error

    async def with_node(node: ClusterNode, mine: list[int]) -> None:
        answers = await _converse(node, [commands[i] for i in mine], timeout_s)
        for i, answer in zip(mine, answers, strict=True):
            replies[i] = answer

    # Each node by itself: a healthy one's calls must not fail with a dead one's.
    await asyncio.gather(*(with_node(node, mine) for node, mine in nodes.items()))
    return replies


async def _converse(
    place: ConnectionPool | ClusterNode, commands: Sequence[Command], timeout_s: float
) -> list[object]:
    """Send all commands in one write, then read their replies.

    On a connection of our own instead of redis-py's pipelines: packing by hiredis halves the cost,
    and the replies that came before a connection broke are kept.
    """
    replies: list[object] = []
    try:
        async with asyncio.timeout(timeout_s), _connection(place) as connection:
            # hiredis' stub knows tuples of one only
            packed = b"".join(pack_command(c) for c in commands)  # type: ignore[arg-type]
            await connection.send_packed_command(packed)
            while len(replies) < len(commands):
                replies.append(await _reply(connection))
    except Exception as error:  # noqa: BLE001 - a broken connection raises more than RedisError
        replies += [error] * (len(commands) - len(replies))
    return replies


@contextlib.asynccontextmanager
async def _connection(place: ConnectionPool | ClusterNode) -> AsyncIterator[AbstractConnection]:
    if isinstance(place, ClusterNode):
        connection = place.acquire_connection()
        try:
            yield connection
        except BaseException:
            await connection.disconnect(nowait=True)  # its late replies would be taken for others'
            raise
        finally:
            place.release(connection)
    else:
        # its decorator hides the type
        pooled = await place.get_connection()  # type: ignore[no-untyped-call]
        try:
            yield pooled
        except BaseException:
            await pooled.disconnect(nowait=True)  # as above
            raise
        finally:
            await place.release(pooled)


async def _reply(connection: AbstractConnection) -> object:
    try:
        # No time-out here: a timer per reply costs more than the reply, and the whole has one.
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
