"""The audit trail: who viewed, exported, held and erased what. Append-only, chained by digests.

    cs:audit   stream: one entry per action, see docs/governance.md

A call's id is in it, and nothing of what was said.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.encode import rfc3339_ms
from workers.client import reading
from workers.governance import chain
from workers.governance.stores import StoreError
from workers.governance.table import TIMEOUT_S, text

KEY: Final = "cs:audit"
_APPEND: Final = Path(__file__).with_name("append_trail.lua").read_text(encoding="utf-8")
_TRIES: Final = 100  # other writers may be faster
_MOST_CHARACTERS: Final = 512  # of a value
_pack = msgspec.msgpack.Encoder().encode


class Trail:
    """Appends to the trail, and reads it.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._tip = ""  # the digest of the last entry, as far as it is known here

    async def append(self, entries: Sequence[Mapping[str, str | None]]) -> str:
        """Append entries; return the digest of the last one.

        If a reply is lost, the entries may be in it twice.
        """
        bodies = [_clean(entry) for entry in entries]
        for _ in range(_TRIES):
            sealed: list[dict[str, str]] = []
            for body in bodies:
                prev = sealed[-1]["digest"] if sealed else self._tip
                sealed.append(chain.seal(prev, body))
            payload = _pack(
                [[each for pair in fields.items() for each in pair] for fields in sealed]
            )
            command = ("EVAL", _APPEND, 1, KEY, self._tip, payload)
            is_done, tip = await execute(self._client, *command, timeout_s=TIMEOUT_S)  # type: ignore[arg-type]  # (packed bytes)
            if is_done:
                self._tip = sealed[-1]["digest"] if sealed else self._tip
                return self._tip
            self._tip = text(tip)
        raise StoreError("audit", "too-many-writers")

    async def entries(self, after: str = "0") -> AsyncIterator[tuple[str, dict[str, str]]]:
        """Yield the ids and fields of the entries after an id, from the oldest on."""
        while entries := await reading.history(self._client, KEY, after=after):
            for entry in entries:
                yield entry.id, entry.fields
            after = entries[-1].id

    async def count(self) -> int:
        """Return the number of entries."""
        return int(await execute(self._client, "XLEN", KEY, timeout_s=TIMEOUT_S))

    async def verify(self, *, contains: str = "") -> tuple[int, list[chain.Problem]]:
        """Return the number of entries, and where the chain is broken; see `chain.verify`."""
        entries = [entry async for entry in self.entries()]
        return len(entries), chain.verify(entries, contains=contains)

    async def trim(self, before_ms: int, now_s: float, who: str) -> int:
        """Delete the entries that were written before a time; return how many.

        What was deleted is recorded first, so that the chain shows it.
        """
        last: tuple[str, dict[str, str]] | None = None
        count = 0
        async for entry_id, fields in self.entries():
            if int(entry_id.partition("-")[0]) >= before_ms:
                break
            last, count = (entry_id, fields), count + 1
        if last is None:
            return 0
        entry_id, fields = last
        record = {"at": rfc3339_ms(now_s), "action": chain.TRIMMED, "who": who}
        digest = fields.get("digest", "")
        await self.append([{**record, "entries": str(count), "last_digest": digest}])
        ms, _, sequence = entry_id.partition("-")
        next_id = f"{ms}-{int(sequence) + 1}"
        await execute(self._client, "XTRIM", KEY, "MINID", next_id, timeout_s=TIMEOUT_S)
        return count


def _clean(entry: Mapping[str, str | None]) -> dict[str, str]:
    """Return the fields that have a value, none of them too long."""
    return {name: value[:_MOST_CHARACTERS] for name, value in entry.items() if value}
