"""A table of calls in Redis: a hash per partition, `cs:{pNN}:<name>`, from call id to JSON."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command, drop_connections, exchange, execute
from gateway.redis_client.errors import classify
from gateway.transcript.keys import homes, partition_key
from workers.governance.calls import by_partition

TIMEOUT_S: Final = 5.0
_PAGE: Final = 500


class Table:
    """The operations of one table.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        name: of the hashes.
        partitions: the number of partitions, fixed at installation.
    """

    def __init__(self, client: RedisClient, name: str, partitions: int) -> None:
        self.partitions = partitions
        self._client = client
        self._name = name

    def key(self, partition: int) -> str:
        """Return the key of a partition's hash."""
        return partition_key(partition, self._name)

    async def get(self, call_id: str) -> str | None:
        """Return the record of a call; None if it has none."""
        return (await self.get_all([call_id])).get(call_id)

    async def get_all(self, call_ids: Collection[str]) -> dict[str, str]:
        """Return the records of those calls that have one."""
        wanted = list(by_partition(call_ids, self.partitions).items())
        replies = await self.exchange(
            [("HMGET", self.key(partition), *some) for partition, some in wanted]
        )
        found: dict[str, str] = {}
        for (_, some), reply in zip(wanted, replies, strict=True):
            records = zip(some, reply, strict=True)
            found |= {call_id: text(record) for call_id, record in records if record is not None}
        return found

    async def put(self, call_id: str, record: str) -> None:
        """Write the record of a call."""
        await self.exchange([("HSET", self.key(p), call_id, record) for p in self._homes(call_id)])

    async def delete(self, call_id: str) -> bool:
        """Delete the record of a call; return whether there was one."""
        commands: list[Command] = [("HDEL", self.key(p), call_id) for p in self._homes(call_id)]
        return any(await self.exchange(commands))

    async def count(self) -> int:
        """Return how many records there are; those in two partitions count twice."""
        partitions = range(self.partitions)
        return sum(await self.exchange([("HLEN", self.key(each)) for each in partitions]))

    async def all(self) -> AsyncIterator[tuple[str, str]]:
        """Yield all calls and their records, each once."""
        seen: set[str] = set()
        for partition in range(self.partitions):
            cursor = "0"
            while True:
                cursor, found = await self._page(partition, cursor)
                for call_id, record in found.items():
                    if call_id not in seen:
                        seen.add(call_id)
                        yield call_id, record
                if cursor == "0":
                    break

    async def _page(self, partition: int, cursor: str) -> tuple[str, dict[str, str]]:
        command: Command = ("HSCAN", self.key(partition), cursor, "COUNT", _PAGE)
        ((next_cursor, found),) = await self.exchange([command])
        pairs = (
            found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
        )
        return text(next_cursor), {text(name): text(value) for name, value in pairs.items()}

    def _homes(self, call_id: str) -> list[int]:
        return homes(call_id, self.partitions)

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands whose first argument is their key."""
        return await exchanged(self._client, commands, key_at=1)

    async def eval(self, script: str, keys: Sequence[str], *arguments: str | int) -> Any:  # noqa: ANN401 - depends on the script
        """Run a script."""
        command = ("EVAL", script, len(keys), *keys, *arguments)
        return await execute(self._client, *command, timeout_s=TIMEOUT_S)


async def exchanged(
    client: RedisClient, commands: Sequence[Command], *, key_at: int = 3
) -> list[Any]:
    """Run commands in one exchange; the element `key_at` of each is its first key.

    Raises:
        PublishError: one of them failed.
    """
    replies = await exchange(client, commands, TIMEOUT_S, key_at=key_at) if commands else []
    for reply in replies:
        if isinstance(reply, Exception):
            await drop_connections(client)
            raise classify(reply)
    return replies


def text(value: str | bytes) -> str:
    """Return a reply as text."""
    return value if isinstance(value, str) else value.decode(errors="replace")
