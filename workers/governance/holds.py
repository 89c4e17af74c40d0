"""Legal holds: calls that are neither erased nor deleted when their time is over.

cs:{pNN}:held   hash: call_id -> JSON, a `Hold`
"""

from collections.abc import AsyncIterator, Collection
from itertools import batched
from pathlib import Path
from typing import Final

import msgspec

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command
from gateway.transcript.keys import homes, partition_key
from workers.governance.families import Part, call_of
from workers.governance.keyspace import scan
from workers.governance.table import Table, text

_BATCH: Final = 200  # commands of one exchange
_HOLD: Final = Path(__file__).with_name("hold.lua").read_text(encoding="utf-8")


class Hold(msgspec.Struct, frozen=True):
    """A legal hold.

    Attributes:
        at: when it was placed, RFC 3339.
        who: who placed it.
        reason: why.
    """

    at: str
    who: str
    reason: str


class _Line(Hold, frozen=True, kw_only=True):
    """A hold in a further place."""

    call_id: str


class Holds:
    """The operations of legal holds.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        partitions: the number of partitions, fixed at installation.
    """

    def __init__(self, client: RedisClient, partitions: int) -> None:
        self._client = client
        self._table = Table(client, "held", partitions)

    async def place(self, call_id: str, hold: Hold) -> str:
        """Place a hold; return `placed`, `held` if there is one already, or `erased`."""
        record = msgspec.json.encode(hold).decode()
        outcomes = []
        for partition in homes(call_id, self._table.partitions):
            keys = [partition_key(partition, name) for name in ("held", "erased")]
            outcomes.append(text(await self._table.eval(_HOLD, keys, call_id, record)))
        if "erased" in outcomes:
            await self._table.delete(call_id)
            return "erased"
        return outcomes[0]

    async def lift(self, call_id: str) -> bool:
        """Lift a hold; return False if there is none."""
        return await self._table.delete(call_id)

    async def get(self, call_id: str) -> Hold | None:
        """Return the hold of a call; None if there is none."""
        record = await self._table.get(call_id)
        return None if record is None else _read(record)

    async def held(self, call_ids: Collection[str]) -> set[str]:
        """Return those of the calls that are held."""
        return set(await self._table.get_all(call_ids))

    async def set_expiry(self, calls: Collection[str], lifetime_s: int | None) -> None:
        """Make the keys of some calls expire after a time, or never (None)."""
        if not calls:
            return
        wanted = set(calls)
        commands: list[Command] = []
        async for found in scan(self._client):
            if found.rule.part is Part.OWN and call_of(found.name, found.rule) in wanted:
                expiry: Command = ("EXPIRE", found.key, lifetime_s) if lifetime_s else ()
                commands.append(expiry or ("PERSIST", found.key))
        for some in batched(commands, _BATCH):
            await self._table.exchange(some)

    async def count(self) -> int:
        """Return how many holds there are; those in two partitions count twice."""
        return await self._table.count()

    async def all(self) -> AsyncIterator[tuple[str, Hold]]:
        """Yield all holds."""
        async for call_id, record in self._table.all():
            yield call_id, _read(record)


def _read(record: str) -> Hold:
    """Return a hold; one that is damaged holds nevertheless."""
    try:
        return msgspec.json.decode(record, type=Hold)
    except msgspec.DecodeError:
        return Hold("", "", "")


def hold_line(call_id: str, hold: Hold) -> bytes:
    """Return a hold as it is in a further place."""
    return msgspec.json.encode(_Line(call_id=call_id, **msgspec.structs.asdict(hold)))


def read_hold(content: bytes) -> tuple[str, Hold] | None:
    """Return a hold of a further place; None if it is damaged."""
    try:
        line = msgspec.json.decode(content, type=_Line)
    except msgspec.DecodeError:
        return None
    return line.call_id, Hold(line.at, line.who, line.reason)
