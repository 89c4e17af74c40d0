"""The Redis operations of a consumer: leases of partitions, commits and membership."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command, drop_connections, exchange, execute
from gateway.transcript.keys import partition_key
from workers.consumer.handler import Append

_FOLDER: Final = Path(__file__).parent
_ACQUIRE, _COMMIT, _BEGIN, _MEMBERS = (
    (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    for name in ("acquire", "commit", "begin", "members")
)
_TIMEOUT_S: Final = 5.0
MAX_BEHIND: Final = 1000  # entries; more are not counted
# Entries after the position, up to a limit.
_BEHIND: Final = "return #redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])"
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Group:
    """A group of workers that share the partitions.

    Attributes:
        name: of the group, such as `redact`.
        source: suffix of the partitions' streams that it reads.
        suffix: of the derived streams that it writes; empty if it writes none.
        partitions: as GATEWAY_PARTITIONS.
        start: the position of a group that is new to a partition: "0" is the oldest entry, "now"
            is a minute ago, by the clock of the partition's server.
        lease_s: how long a worker that crashed keeps its partitions.
        retention_s: how long a call's derived events are kept after the last one.
        kept: length and age in seconds that the derived stream of a partition keeps.
    """

    name: str
    suffix: str = ""
    source: str = "events"
    partitions: int = 64
    start: str = "0"
    lease_s: float = 10.0
    retention_s: int = 86_400
    kept: tuple[int, int] = (100_000, 86_400)

    def source_key(self, partition: int) -> str:
        """Return the key of the entries that it handles."""
        return partition_key(partition, self.source)

    def lease_key(self, partition: int) -> str:
        """Return the key of a partition's lease."""
        return partition_key(partition, f"consumer:{self.name}")

    def retries_key(self, partition: int) -> str:
        """Return the key of the entries to be handled again."""
        return partition_key(partition, f"retry:{self.name}")

    def dead_letters_key(self, partition: int) -> str:
        """Return the key of the dead letters."""
        return partition_key(partition, f"dead:{self.name}")


class Lease(NamedTuple):
    """A partition that a worker holds."""

    partition: int
    fence: int
    position: str  # id of the last entry that was handled
    is_takeover: bool  # the former owner did not release it: it crashed, or was cut off


class Renewal(NamedTuple):
    """The result of renewing leases."""

    renewed: list[tuple[Lease, int]]  # and the server's Unix ms
    lost: list[Lease]  # another worker has taken them over


class Commit(NamedTuple):
    """The effects of handled entries."""

    position: str = ""  # of the last one; empty: unchanged
    appends: Sequence[Append] = ()
    dead_letters: Sequence[Mapping[str, str]] = ()  # fields of entries that can't be handled
    retried: Sequence[str] = ()  # ids of retries that are done
    turn: str = ""  # unique per commit that has neither a position nor a retry, but has effects


_NOTHING: Final = Commit()


class LeaseStore:
    """Leases, commits and membership of one worker.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        group: the worker's group.
        worker: its name, unique among the living processes.
    """

    def __init__(self, client: RedisClient, group: Group, worker: str) -> None:
        self._client = client
        self._group = group
        self._worker = worker
        self._lease_ms = round(group.lease_s * 1000)

    async def join(self) -> int:
        """Renew the worker's membership; return the number of members."""
        return await self._members(self._lease_ms)

    async def leave(self) -> None:
        """End the worker's membership."""
        await self._members(0)

    async def _members(self, lease_ms: int) -> int:
        key = f"cs:consumers:{self._group.name}"
        return int(await self._eval(_MEMBERS, [key], self._worker, lease_ms))

    async def acquire(self, partitions: Sequence[int]) -> list[Lease]:
        """Lease those of the partitions that no other worker holds."""
        group = self._group
        commands: list[Command] = [
            ("EVAL", _ACQUIRE, 1, group.lease_key(each), self._worker, self._lease_ms, group.start)
            for each in partitions
        ]
        leases = []
        for partition, reply in zip(partitions, await self._exchange(commands), strict=True):
            if isinstance(reply, list) and reply[0]:
                fence, position, is_takeover = reply
                leases.append(Lease(partition, fence, position.decode(), bool(is_takeover)))
        return leases

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Renew leases; those in neither list of the result are in doubt."""
        commands: list[Command] = [self._commit(lease, self._lease_ms) for lease in leases]
        renewal = Renewal([], [])
        for lease, reply in zip(leases, await self._exchange(commands), strict=True):
            if isinstance(reply, int) and reply:
                renewal.renewed.append((lease, reply))
            elif isinstance(reply, int):
                renewal.lost.append(lease)
        return renewal

    async def commit(self, lease: Lease, commit: Commit) -> bool:
        """Write effects and position; return False if another worker has taken the lease over."""
        command = self._commit(lease, self._lease_ms, commit)
        return bool(await execute(self._client, *command, timeout_s=_TIMEOUT_S))  # type: ignore[arg-type]  # (packed bytes)

    async def release(self, leases: Sequence[Lease]) -> None:
        """End leases, so that other workers can hold the partitions at once.

        If Redis is unavailable, the leases expire.
        """
        await self._exchange([self._commit(lease, 0) for lease in leases])

    async def begin(self, lease: Lease, entry_id: str) -> int:
        """Note that an entry is begun; return how often it was, or 0 if the lease is lost."""
        key = self._group.lease_key(lease.partition)
        return int(await self._eval(_BEGIN, [key], lease.fence, entry_id))

    def _commit(self, lease: Lease, lease_ms: int, commit: Commit = _NOTHING) -> Command:
        group, partition = self._group, lease.partition
        keys = [
            group.lease_key(partition),
            group.retries_key(partition),
            group.dead_letters_key(partition),
            partition_key(partition, group.suffix or "none"),
        ]
        letters = [_flat(letter) for letter in commit.dead_letters]
        appends = []
        index: dict[str, int] = {}
        for append in commit.appends:
            key = partition_key(partition, f"call:{append.call_id}:{group.suffix}")
            if key not in index:
                keys.append(key)
                index[key] = len(keys)
            appends.append((index[key], _flat(append.fields)))
        length, age_s = group.kept
        payload = _pack((commit.retried, letters, appends))
        lease_fields = lease.fence, lease_ms, commit.position
        kept = group.retention_s, length, age_s * 1000
        return ("EVAL", _COMMIT, len(keys), *keys, *lease_fields, payload, *kept, commit.turn)

    async def behind(self, leases: Sequence[Lease]) -> list[int]:
        """Return how many entries follow each lease's position, at most `MAX_BEHIND`."""
        commands: list[Command] = [
            (
                "EVAL_RO",  # needs no permission to write events
                _BEHIND,
                1,
                self._group.source_key(lease.partition),
                lease.position,
                MAX_BEHIND,
            )
            for lease in leases
        ]
        return [reply if isinstance(reply, int) else 0 for reply in await self._exchange(commands)]

    async def _exchange(self, commands: Sequence[Command]) -> list[object]:
        replies = await exchange(self._client, commands, _TIMEOUT_S) if commands else []
        if any(isinstance(reply, Exception) for reply in replies):
            await drop_connections(self._client)
        return replies

    async def _eval(self, script: str, keys: Sequence[str], *arguments: str | int) -> int:
        reply = await execute(
            self._client, "EVAL", script, len(keys), *keys, *arguments, timeout_s=_TIMEOUT_S
        )
        return int(reply)


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [text for pair in fields.items() for text in pair]
