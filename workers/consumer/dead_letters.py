"""The dead letters of a group: entries that no worker could handle, until an operator decides."""

from collections.abc import AsyncIterator, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from workers.client import reading
from workers.consumer.store import Group

_RETRY: Final = Path(__file__).with_name("retry.lua").read_text(encoding="utf-8")
_TIMEOUT_S: Final = 5.0


class DeadLetter(NamedTuple):
    """An entry that could not be handled; its fields `dead_id`, `dead_error`, `dead_tries` say why.

    Its `id` is that of the dead letter. `dead_id` is that of the entry.
    """

    partition: int
    id: str
    fields: dict[str, str]


class DeadLetters:
    """Reads, retries and drops the dead letters of a group.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        group: the group.
    """

    def __init__(self, client: RedisClient, group: Group) -> None:
        self._client = client
        self._group = group

    async def group_exists(self) -> bool:
        """Return whether a worker of the group has held any partition."""
        for partition in range(self._group.partitions):
            if await self._execute("HGET", self._group.lease_key(partition), "fence") is not None:
                return True
        return False

    async def all(self) -> AsyncIterator[DeadLetter]:
        """Yield all dead letters, partition by partition, the oldest first."""
        for partition in range(self._group.partitions):
            key = self._group.dead_letters_key(partition)
            async for entries in reading.pages(self._client, key):
                for entry in entries:
                    yield DeadLetter(partition, *entry)

    async def find(self, partition: int, letter_id: str) -> DeadLetter | None:
        """Return a dead letter; None if there is none with this id."""
        key = self._group.dead_letters_key(partition)
        entry = await reading.find(self._client, key, letter_id)
        return DeadLetter(partition, *entry) if entry else None

    async def retry(self, partition: int, letter_ids: Sequence[str]) -> int:
        """Move dead letters to the entries to be handled again; return how many were moved.

        Each is moved in one step. Those that were moved before are skipped.
        """
        keys = self._group.dead_letters_key(partition), self._group.retries_key(partition)
        moved = 0
        for some in batched(letter_ids, reading.BATCH):
            moved += int(await self._execute("EVAL", _RETRY, len(keys), *keys, *some))
        return moved

    async def drop(self, partition: int, letter_id: str) -> bool:
        """Delete a dead letter; return whether there was one with this id."""
        key = self._group.dead_letters_key(partition)
        return bool(await self._execute("XDEL", key, letter_id))

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        return await execute(self._client, *command, timeout_s=_TIMEOUT_S)
