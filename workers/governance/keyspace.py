"""Finds the keys of partitions by scanning, so that no key is overlooked."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from redis.asyncio import RedisCluster

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute, initialize
from workers.governance.families import Rule, rule_of
from workers.governance.table import TIMEOUT_S, text

_PAGE: Final = 1000
_KEY: Final = re.compile(r"cs:\{p([0-9]{2,4})\}:(.+)", re.DOTALL)


class Found(NamedTuple):
    """A key of a partition.

    Attributes:
        key: the whole key.
        partition: the partition.
        name: the key without `cs:{pNN}:`.
        rule: what applies to it.
    """

    key: str
    partition: int
    name: str
    rule: Rule


async def scan(client: RedisClient) -> AsyncIterator[Found]:
    """Yield all keys of all partitions; one that changes meanwhile may come twice.

    Raises:
        PublishError: Redis, or a node of a cluster, is unavailable, or refuses the command.
    """
    for options in await primaries(client):
        cursor = "0"
        while True:
            command = ("SCAN", cursor, "MATCH", "cs:{p*}:*", "COUNT", _PAGE)
            reply = await execute(client, *command, timeout_s=TIMEOUT_S, **options)
            next_cursor, keys = _reply(reply)
            for key in keys:
                if found := _KEY.fullmatch(key):
                    yield Found(key, int(found[1]), found[2], rule_of(found[2]))
            if (cursor := next_cursor) == "0":
                break


async def primaries(client: RedisClient) -> list[dict[str, Any]]:
    """Return the options that choose each primary of a cluster."""
    if not isinstance(client, RedisCluster):
        return [{}]
    await initialize(client)
    return [{"target_nodes": node} for node in client.get_primaries()]


def _reply(reply: Any) -> tuple[str, list[str]]:  # noqa: ANN401 - depends on the client
    if isinstance(reply, dict):  # of one node of a cluster
        (reply,) = reply.values()
    cursor, keys = reply
    if isinstance(cursor, dict):
        (cursor,) = cursor.values()
    return text(str(cursor) if isinstance(cursor, int) else cursor), [text(key) for key in keys]
