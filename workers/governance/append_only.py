"""Rewrites Redis' append-only file, which has the words of erased calls until then."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from workers.governance.keyspace import primaries
from workers.governance.table import TIMEOUT_S

_PAUSE_S: Final = 600.0  # rewriting copies all of Redis' memory to the disk


class Rewriting(StrEnum):
    """What became of the file."""

    OFF = "off"  # there is none
    STARTED = "started"
    BUSY = "busy"  # it was being rewritten already, perhaps from before the erasure


class AppendOnlyFile:
    """The append-only files of a server, or of the primaries of a cluster.

    Args:
        client: from `create_client`.
        clock: monotonic seconds.
    """

    def __init__(self, client: RedisClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._is_stale = False
        self._next_s = float("-inf")

    def note_erasure(self) -> None:
        """Record that the file has words of an erased call."""
        self._is_stale = True

    async def rewrite_if_due(self) -> None:
        """Begin to rewrite the file after an erasure, at most every ten minutes.

        Raises:
            PublishError: as `rewrite`; it is tried again ten minutes later.
        """
        if self._is_stale and self._clock() >= self._next_s:
            self._next_s = self._clock() + _PAUSE_S
            self._is_stale = await self.rewrite() is Rewriting.BUSY

    async def rewrite(self) -> Rewriting:
        """Begin to rewrite the file.

        Raises:
            PublishError: Redis is unavailable or refuses the command.
        """
        found = Rewriting.OFF
        for options in await primaries(self._client):
            info = await self._execute("INFO", "persistence", **options)
            if "aof_enabled" not in info:  # of one node of a cluster
                (info,) = info.values()
            if not int(info["aof_enabled"]):
                continue
            if int(info["aof_rewrite_in_progress"]):
                found = Rewriting.BUSY
                continue
            await self._execute("BGREWRITEAOF", **options)
            found = Rewriting.STARTED if found is Rewriting.OFF else found
        return found

    async def _execute(self, *command: str, **options: Any) -> Any:  # noqa: ANN401 - of redis-py
        return await execute(self._client, *command, timeout_s=TIMEOUT_S, **options)
