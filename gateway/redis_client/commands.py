"""Run commands on Redis, one by one or in batches, and drop connections after a failure.

Every command of every client goes through this module, so that all clients handle failures in the
same way: a failure that can be retried (see `errors.py`) drops the client's connections. After a
planned failover, the old primary keeps its connections and replies READONLY on them forever. Only
a new connection, for which the host name is resolved again, reaches the new primary.
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
    **options: Any,  # noqa: ANN401  # redis-py's type
) -> Any:  # noqa: ANN401  # depends on the command
    """Run an idempotent command.

    If Redis rejects it with an error that can be retried, or the connection breaks, retry it once
    on a new connection. A timeout is not retried.

    Args:
        client: from `create_client`; can be used by several commands at the same time.
        command: the command and its arguments.
        timeout_s: for the whole operation, connecting and the retry included.
        options: passed to redis-py.

    Raises:
        PublishError: as returned by `classify`.
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
    # redis-py's cluster client fails concurrent first commands. `initialize` runs one at a time.
    await initialize(client)
    return await client.execute_command(*command, **options)


async def initialize(client: RedisClient) -> None:
    """Load the slot map of a cluster, unless it is loaded."""
    if isinstance(client, Redis):
        return
    try:
        _ = await client.initialize()
    except Exception:
        # Once the map is loaded, redis-py connects only to the nodes in it. In case all of them are
        # lost, add the URL's hosts for the next attempt: their names may resolve to new nodes.
        named = {node.name: node for node in client.startup_nodes}
        manager = client.nodes_manager
        manager.set_nodes(manager.startup_nodes, named)
        raise


async def drop_connections(client: RedisClient) -> None:
    """Close a client's connections, so that the next command opens a new one.

    Connections in use by other commands are closed when these are done. A cluster's connections are
    closed at once; `execute` and the publisher retry the commands that fail because of this.
    """
    with contextlib.suppress(Exception):  # a connection that fails to close is lost as well
        if isinstance(client, RedisCluster):
            await client.aclose()  # also makes it reload the slot map
            return
        pool = client.connection_pool
        await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        await pool.disconnect(inuse_connections=False)


async def exchange(
    client: RedisClient, commands: Sequence[Command], timeout_s: float, *, key_at: int = 3
) -> list[object]:
    """Send a batch of commands; return the reply or the exception of each command.

    The element `key_at` of each command must be its first key. After a failure, the caller must
    drop the client's connections.
    """
    if isinstance(client, Redis):
        return await _pipeline(client.connection_pool, commands, timeout_s)
    replies: list[object] = [None] * len(commands)
    try:
        async with asyncio.timeout(timeout_s):
            await initialize(client)
    except Exception as error:  # noqa: BLE001 - the caller classifies and retries
        return [error] * len(commands)
    nodes: dict[ClusterNode, list[int]] = defaultdict(list)
    for i, command in enumerate(commands):
        try:
            if node := client.get_node_from_key(str(command[key_at])):
                nodes[node].append(i)
        except RedisClusterException as error:  # currently no node owns the slot
            replies[i] = error

    async def exchange_with_node(node: ClusterNode, indices: list[int]) -> None:
        node_replies = await _pipeline(node, [commands[i] for i in indices], timeout_s)
        for i, reply in zip(indices, node_replies, strict=True):
            replies[i] = reply

    # Each node separately, so that a lost node does not fail the commands for the others.
    await asyncio.gather(*(exchange_with_node(node, indices) for node, indices in nodes.items()))
    return replies


async def _pipeline(
    source: ConnectionPool | ClusterNode, commands: Sequence[Command], timeout_s: float
) -> list[object]:
    """Send all commands in one write, then read their replies.

    This replaces redis-py's pipelines: packing by hiredis halves the cost, and replies that arrived
    before the connection broke are kept.
    """
    replies: list[object] = []
    try:
        async with asyncio.timeout(timeout_s), _connection(source) as connection:
            # hiredis' type stub allows only tuples of length 1.
            packed = b"".join(pack_command(c) for c in commands)  # type: ignore[arg-type]
            await connection.send_packed_command(packed)
            while len(replies) < len(commands):
                replies.append(await _reply(connection))
    except Exception as error:  # noqa: BLE001 - a broken connection raises more than RedisError
        replies += [error] * (len(commands) - len(replies))
    return replies


@contextlib.asynccontextmanager
async def _connection(source: ConnectionPool | ClusterNode) -> AsyncIterator[AbstractConnection]:
    if isinstance(source, ClusterNode):
        connection = source.acquire_connection()
        try:
            yield connection
        except BaseException:
            # Late replies would be matched to the next commands.
            await connection.disconnect(nowait=True)
            raise
        finally:
            source.release(connection)
    else:
        # Its decorator hides the type.
        pooled = await source.get_connection()  # type: ignore[no-untyped-call]
        try:
            yield pooled
        except BaseException:
            await pooled.disconnect(nowait=True)  # as above
            raise
        finally:
            await source.release(pooled)


async def _reply(connection: AbstractConnection) -> object:
    try:
        # No timeout: a timer per reply costs more than the reply, and the batch has one.
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
