"""Commands to Redis: one, or many in one exchange; and what every client does after a failure.

Every command of every client goes through here, so that all do the same: whatever may succeed later
(`errors.py`) drops the client's connections. After a planned failover the old primary keeps
its connections and answers READONLY on them for ever; only a new connection, for which the host's
name is resolved again, reaches the new one.
"""

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.redis_client.client import RedisClient
from gateway.redis_client.errors import classify

type Command = tuple[str | bytes | int, ...]


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
                if isinstance(error, RedisTimeoutError) or not classify(error).info.retry:
                    raise
            await drop_connections(client)
            return await _execute(client, command, options)
    except Exception as error:  # a broken connection raises more than RedisError
        failure = classify(error)
        if failure.info.retry:
            await drop_connections(client)
        raise failure from error


async def _execute(client: RedisClient, command: Command, options: dict[str, Any]) -> Any:  # noqa: ANN401
    # First, and one at a time as it does it: redis-py's cluster client fails commands that are at
    # once its first ones.
    await initialize(client)
    return await client.execute_command(*command, **options)


async def initialize(client: RedisClient) -> None:
    """Read the map of a cluster, unless it is known."""
    if isinstance(client, Redis):
        return
    try:
        _ = await client.initialize()
    except Exception:
        # From its first look on redis-py asks only the nodes it has found. If all of them are gone,
        # the next try asks the URL's hosts, too, whose names may have moved.
        named = {node.name: node for node in client.startup_nodes}
        manager = client.nodes_manager
        manager.set_nodes(manager.startup_nodes, named)
        raise


async def drop_connections(client: RedisClient) -> None:
    """Close a client's connections; the next command makes a new one.

    Those in use by other commands are closed after them, but a cluster's at once: `execute` and the
    publisher run those commands again.
    """
    with contextlib.suppress(Exception):  # a connection that does not close in time is gone as well
        if isinstance(client, RedisCluster):
            await client.aclose()  # the map of the cluster is read anew, too
            return
        pool = client.connection_pool
        await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        await pool.disconnect(inuse_connections=False)


async def exchange(
    client: RedisClient, commands: Sequence[Command], timeout_s: float
) -> list[object]:
    """Send commands whose first key stands fourth; give each one's reply or its exception.

    Whoever calls it drops the client's connections after a failure.
    """
    if isinstance(client, Redis):
        return await _converse(client.connection_pool, commands, timeout_s)
    replies: list[object] = [None] * len(commands)
    try:
        async with asyncio.timeout(timeout_s):
            await initialize(client)
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
