"""Redis as the publisher sees it: a client from a URL, and one exchange that appends batches.

    redis://user:password@host:6379/0      rediss:// the same over TLS
    redis+cluster://host:6379              rediss+cluster:// the same over TLS

The publisher retries, so the client does not: retries made unseen would spend the publisher's
time-outs. Nothing here puts a URL, which may hold credentials, into a message.
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
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)

from gateway.errors import PublishError
from gateway.transcript.store import AppendCall
from process.settings import SettingsError

type RedisClient = Redis | RedisCluster
type Command = tuple[str | bytes | int, ...]

_SINGLE = {"redis", "rediss"}
_CLUSTER = {"redis+cluster": "redis", "rediss+cluster": "rediss"}

_SCRIPT = Path(__file__).with_name("append.lua").read_text(encoding="utf-8")
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

# Answers that time, a failover or an operator will change. redis-py has classes for some and leaves
# the code at the head of the message for the others.
_TRANSIENT_ERRORS = (
    AskError,  # MOVED is one, too
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_TRANSIENT_CODES = {"BUSY", "LOADING", "MISCONF", "NOREPLICAS", "OOM", "READONLY"}


def create_client(url: str, timeout_s: float = 2.0) -> RedisClient:
    """Build a client; it connects at its first command.

    Args:
        url: one of the forms above.
        timeout_s: for connecting, for each send and for each reply.

    Raises:
        SettingsError: the URL is none of these; the message does not quote it.
    """
    scheme, _, rest = url.partition("://")
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # nothing is pushed to a writer, so RESP3 has nothing to give
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_keepalive": True,
    }
    try:
        if scheme in _SINGLE:
            client: Any = Redis.from_url(url, **options)
            client.connection_pool.make_connection()  # not connected; finds unknown options
            return client  # type: ignore[no-any-return]  # it is what from_url says
        if scheme in _CLUSTER:
            # Without full coverage: a lost node must not stop the calls of the others.
            options["require_full_coverage"] = False
            return RedisCluster.from_url(f"{_CLUSTER[scheme]}://{rest}", **options)
    except (ValueError, TypeError):
        raise SettingsError("the Redis URL is not valid") from None  # the cause may quote the URL
    raise SettingsError(
        "the Redis URL must start with redis://, rediss://, redis+cluster:// or rediss+cluster://"
    )


async def execute(client: RedisClient, *command: str | int, timeout_s: float) -> Any:  # noqa: ANN401  # Redis' own values
    """Run a command that a call waits for; connecting counts in `timeout_s`, too.

    Raises:
        PublishError: `redis-unavailable`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            # First, and one at a time as it does it: redis-py's cluster client fails commands that
            # are at once its first ones.
            _ = await client.initialize()
            return await client.execute_command(*command)
    except Exception as error:  # a broken connection raises more than RedisError
        raise PublishError("redis-unavailable", type(error).__name__) from error


async def check(client: RedisClient, timeout_s: float = 5.0) -> None:
    """Ask Redis for a sign of life.

    Raises:
        PublishError: `redis-unavailable` or, for wrong credentials, `redis-refused`; one line that
            names host and port only.
    """
    place = _place(client)
    try:
        async with asyncio.timeout(timeout_s):
            await client.execute_command("PING")
    except (AuthenticationError, ResponseError) as error:
        raise PublishError("redis-refused", f"Redis at {place} refuses us") from error
    except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
        raise PublishError("redis-unavailable", f"no Redis answers at {place}") from error


def destination(client: RedisClient) -> str:
    """Name the Redis of a client, without credentials: places, and the number of the database."""
    if isinstance(client, RedisCluster):
        return _place(client)
    return f"{_place(client)}/{client.connection_pool.connection_kwargs.get('db') or 0}"


def _place(client: RedisClient) -> str:
    if isinstance(client, RedisCluster):
        # As the URL names them: what the cluster tells of its nodes changes with every failover.
        return ", ".join(f"{node.host}:{node.port}" for node in client.startup_nodes)
    at = client.connection_pool.connection_kwargs
    return f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"


class RedisStore:
    """The publisher's `EventStore`: batches go to a single server or a cluster.

    Args:
        client: from `create_client`, and nobody else's: after a failure all its connections are
            dropped. Whoever made it closes it.
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
    replies = await _exchange(client, [("EVALSHA", _SCRIPT_SHA, *a) for a in arguments], timeout_s)
    unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:  # a new, restarted or flushed server: it keeps the script that EVAL brings
        commands = [("EVAL", _SCRIPT, *arguments[i]) for i in unknown]
        for i, reply in zip(unknown, await _exchange(client, commands, timeout_s), strict=True):
            replies[i] = reply
    results = [_classify(reply) for reply in replies]
    if any(isinstance(result, PublishError) and result.meaning.retry for result in results):
        # Start afresh: no late reply can be taken for another's, and a cluster's map is read anew.
        await client.aclose()
    return results


def _classify(reply: object) -> int | PublishError:
    if isinstance(reply, int):
        return reply
    code = str(reply).partition(" ")[0]
    transient = isinstance(reply, _TRANSIENT_ERRORS) or code in _TRANSIENT_CODES
    if isinstance(reply, ResponseError) and not transient:
        return PublishError("redis-refused", code if code.isupper() else "")
    return PublishError("redis-unavailable", type(reply).__name__)


async def _exchange(
    client: RedisClient, commands: Sequence[Command], timeout_s: float
) -> list[object]:
    """Send commands whose first key stands fourth; give each one's reply or its exception."""
    if isinstance(client, Redis):
        return await _converse(client.connection_pool, commands, timeout_s)
    replies: list[object] = [None] * len(commands)
    try:
        async with asyncio.timeout(timeout_s):
            _ = await client.initialize()
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
        finally:
            place.release(connection)
    else:
        # its decorator hides the type
        pooled = await place.get_connection()  # type: ignore[no-untyped-call]
        try:
            yield pooled
        finally:
            await place.release(pooled)


async def _reply(connection: AbstractConnection) -> object:
    try:
        # No time-out here: a timer per reply costs more than the reply, and the whole has one.
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
