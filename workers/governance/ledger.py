"""The ledger of erased calls, which every writer consults.

    cs:{pNN}:erased    hash: call_id -> JSON, an `Erasure`
    cs:{pNN}:erasing   set: the calls of which something may be left

The gateways' script `append.lua` and the workers' `commit.lua` write nothing of its calls.
Writers to other stores may ask `erased`; stores are searched once more ten minutes later, in case
one was slow. The ledger never expires: a backup may be restored at any time.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command
from gateway.transcript.keys import homes, partition_key, partition_of
from workers.governance.table import Table, text

_RECORD: Final = Path(__file__).with_name("record.lua").read_text(encoding="utf-8")
_MOST_LINE: Final = 4096


class Erasure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of the ledger.

    Attributes:
        at: when it was requested, RFC 3339.
        who: who requested it.
        reason: why.
        owner: `<tenant> <carrier>` of the call, if known: the same id of another one is another
            call.
        done: when nothing of the call was left in any store, RFC 3339; absent until then.
    """

    at: str
    who: str
    reason: str
    owner: str | None = None
    done: str | None = None


class Line(Erasure, frozen=True, omit_defaults=True, kw_only=True):
    """A record of an exported ledger."""

    call_id: str


class Recorded(StrEnum):
    """What became of a request to erase a call."""

    RECORDED = "recorded"
    ERASED = "erased"  # it was recorded before
    HELD = "held"  # refused: a legal hold
    LIVE = "live"  # refused: the call has not ended


_REFUSALS: Final = (Recorded.HELD, Recorded.LIVE)


class LedgerFileError(Exception):
    """A file is not an exported ledger. The message names the line."""


class Ledger:
    """The operations of the ledger.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        partitions: the number of partitions, fixed at installation.
    """

    def __init__(self, client: RedisClient, partitions: int) -> None:
        self._table = Table(client, "erased", partitions)

    async def erased(self, call_ids: Collection[str]) -> set[str]:
        """Return those of the calls that were erased."""
        return set(await self._table.get_all(call_ids))

    async def get(self, call_id: str) -> Erasure | None:
        """Return the record of a call; None if it was not erased."""
        record = await self._table.get(call_id)
        return None if record is None else read(record)

    async def record(self, call_id: str, erasure: Erasure, *, even_live: bool = False) -> Recorded:
        """Record that a call is erased, unless it is held or, by default, live.

        Nothing is written of a call that is refused. Of its partitions, the first one that is
        written to decides, in one step, about a hold that is placed meanwhile.
        """
        partitions = homes(call_id, self._table.partitions)
        first = partition_of(call_id, self._table.partitions)
        # A hold is placed in all of them, and removed if one has the record.
        ordered = [*(each for each in partitions if each != first), first]
        when = ["any" if even_live else "ended"] * len(ordered)
        if len(ordered) > 1:
            for partition in ordered:
                outcome = await self._record(partition, call_id, None, when[0])
                if outcome in _REFUSALS:
                    return outcome
            when[1:] = ["decided"] * (len(ordered) - 1)
        outcomes = []
        for partition, each in zip(ordered, when, strict=True):
            outcomes.append(await self._record(partition, call_id, erasure, each))
            if outcomes[-1] in _REFUSALS:
                return outcomes[-1]
        return Recorded.RECORDED if Recorded.RECORDED in outcomes else Recorded.ERASED

    async def _record(
        self, partition: int, call_id: str, erasure: Erasure | None, when: str
    ) -> Recorded:
        """Record it in one partition; without an erasure, only check whether it is possible."""
        keys = [partition_key(partition, name) for name in ("erased", "erasing")]
        record = msgspec.json.encode(erasure).decode() if erasure else ""
        return Recorded(text(await self._table.eval(_RECORD, keys, call_id, record, when)))

    async def complete(self, call_id: str) -> None:
        """Add to a record who owns the call's id, before its keys are deleted.

        It is written to all partitions of the call: whoever recorded it may have crashed before.
        """
        erasure = await self.get(call_id)
        if erasure is None:
            return
        owner = erasure.owner or (await self.owners([call_id]))[call_id]
        if owner != erasure.owner or len(homes(call_id, self._table.partitions)) > 1:
            owned = msgspec.structs.replace(erasure, owner=owner)
            await self._table.put(call_id, msgspec.json.encode(owned).decode())

    async def owners(self, call_ids: Collection[str]) -> dict[str, str | None]:
        """Return who owns the ids of some calls, `<tenant> <carrier>`; None if it is unknown."""
        records = await self.records(call_ids)
        found = {each: records[each].owner if each in records else None for each in call_ids}
        for call_id in [each for each, owner in found.items() if owner is None]:
            partitions = homes(call_id, self._table.partitions)
            keys = [partition_key(each, f"writers:{call_id}") for each in partitions]
            replies = await self._table.exchange([("HGET", key, ":owner") for key in keys])
            found[call_id] = next((text(each) for each in replies if each is not None), None)
        return found

    async def mark_done(self, call_id: str, at: str) -> None:
        """Record that nothing of a call is left."""
        if erasure := await self.get(call_id):
            done = msgspec.structs.replace(erasure, done=at)
            await self._table.put(call_id, msgspec.json.encode(done).decode())
        await self._table.exchange(self._no_longer_erasing(call_id))

    async def pending(self) -> dict[str, Erasure]:
        """Return the calls of which something may be left.

        Calls without a record are removed from the list: nothing may be deleted of them.
        """
        keys = [partition_key(each, "erasing") for each in range(self._table.partitions)]
        replies = await self._table.exchange([("SMEMBERS", key) for key in keys])
        members = {text(call_id) for found in replies for call_id in found}
        records = await self.records(members)
        for call_id in members - records.keys():
            await self._table.exchange(self._no_longer_erasing(call_id))
        return records

    async def records(self, call_ids: Collection[str]) -> dict[str, Erasure]:
        """Return the records of those of some calls that were erased."""
        found = await self._table.get_all(call_ids)
        return {call_id: read(record) for call_id, record in found.items()}

    def _no_longer_erasing(self, call_id: str) -> list[Command]:
        partitions = homes(call_id, self._table.partitions)
        return [("SREM", partition_key(each, "erasing"), call_id) for each in partitions]

    async def all(self) -> AsyncIterator[tuple[str, Erasure]]:
        """Yield all records."""
        async for call_id, record in self._table.all():
            yield call_id, read(record)

    async def count(self) -> int:
        """Return how many calls were erased."""
        return await self._table.count()


def read(record: str | bytes) -> Erasure:
    """Return a record; one that is damaged is an erasure nevertheless."""
    try:
        return msgspec.json.decode(record, type=Erasure)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Erasure("", "", "")


def line_of(call_id: str, erasure: Erasure) -> str:
    """Return the line of a record in an exported ledger."""
    line = Line(call_id=call_id, **msgspec.structs.asdict(erasure))
    return msgspec.json.encode(line).decode()


def read_lines(lines: Iterable[str]) -> list[tuple[str, Erasure]]:
    """Return the records of an exported ledger.

    Raises:
        LedgerFileError: a line is not a record.
    """
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = msgspec.json.decode(line[:_MOST_LINE], type=Line)
        except (msgspec.DecodeError, ValueError):
            raise LedgerFileError(f"line {number} is not a record of a ledger") from None
        fields = {name: getattr(record, name) for name in Erasure.__struct_fields__}
        found.append((record.call_id, Erasure(**fields)))
    return found
