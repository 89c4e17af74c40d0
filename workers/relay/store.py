"""The relay's Redis operations, for a single server, sentinels or a cluster."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from redis.asyncio import RedisCluster

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import homes, partition_key
from workers.client import reading
from workers.client.events import AnyEvent, AssistAlert, Entry, EventError, read_event
from workers.relay.call_summary import CallState
from workers.relay.derived import Source, derived
from workers.relay.sign_in.viewer import Text

_TIMEOUT_S: Final = 5.0
_READERS: Final = 8  # commands at the same time for viewers, and therefore connections
_TAIL: Final = 200  # entries of a partition in which calls that ended lately are looked for


def shared_key(partition: int, text: Text) -> str:
    """Return the key of the events of all calls of a partition."""
    return partition_key(partition, "redacted" if text is Text.REDACTED else "events")


class Store:
    """Reads what the hub has not: histories, and which calls there are.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        partitions: the number of partitions, fixed at installation.
    """

    def __init__(self, client: RedisClient, partitions: int) -> None:
        self.partitions = partitions
        self._client = client
        self._turns = asyncio.Semaphore(_READERS)

    async def server_ms(self) -> int:
        """Return the server's time in Unix ms; of a cluster, the earliest of its primaries."""
        is_cluster = isinstance(self._client, RedisCluster)
        options = {"target_nodes": RedisCluster.PRIMARIES} if is_cluster else {}
        reply = await execute(self._client, "TIME", timeout_s=_TIMEOUT_S, **options)
        times = reply.values() if isinstance(reply, dict) else [reply]  # of several primaries
        return min(int(s) * 1000 + int(us) // 1000 for s, us in times)

    async def recent_calls(self, partition: int, key: str) -> set[str]:
        """Return the calls that are live, and those of the last events in a shared stream."""
        members = await self._execute("ZRANGE", partition_key(partition, "live"), 0, -1)
        live = {member.decode(errors="replace").partition(" ")[0] for member in members}
        tail = await self._execute("XREVRANGE", key, "+", "-", "COUNT", _TAIL)
        return live | {fields.get(b"call_id", b"").decode("ascii", "replace") for _, fields in tail}

    async def call(self, text: Text, call_id: str) -> CallState | None:
        """Return the state of a call after all its events; None if it has none."""
        call = CallState.begin(call_id)
        async for event in self.events(text, call_id):
            call.apply(event)
        return call if call.transcript.events else None

    async def events(self, text: Text, call_id: str) -> AsyncIterator[AnyEvent]:
        """Yield the events of a call; skip entries that are not events."""
        async for entries in self.history(text, call_id, "0"):
            for entry in entries:
                try:
                    yield read_event(entry.id, entry.fields)
                except EventError:
                    continue

    async def alerts(self, text: Text, call_id: str) -> AsyncIterator[AssistAlert]:
        """Yield the alerts of a call; skip other entries."""
        async for entries in self.derived_history(text, Source.ALERTS, call_id, "0"):
            for entry in entries:
                with contextlib.suppress(EventError):
                    event = derived(entry, Source.ALERTS).event
                    if isinstance(event, AssistAlert):
                        yield event

    async def history(self, text: Text, call_id: str, after: str) -> AsyncIterator[list[Entry]]:
        """Yield a call's entries after an id, in batches, up to the newest.

        There are none if the call was erased, even if its keys are not deleted yet.
        """
        async for entries in self._pages(text, call_id, "", after):
            yield entries

    async def derived_history(
        self, text: Text, source: Source, call_id: str, after: str
    ) -> AsyncIterator[list[Entry]]:
        """Yield the entries after an id in a stream that was derived from a call's events.

        Args:
            text: a kind of text of which the call's events may be read, to find its partition.
            source: the stream.
            call_id: the call.
            after: the id.

        There are none if the call was erased.
        """
        async for entries in self._pages(text, call_id, source, after):
            yield entries

    async def _pages(
        self, text: Text, call_id: str, source: str, after: str
    ) -> AsyncIterator[list[Entry]]:
        key = await self._locate(text, call_id)
        if await self._is_erased(key, call_id):
            return
        if source:
            key = f"{key.removesuffix(_suffix(text))}:{source}"
        while True:
            async with self._turns:
                entries = await reading.history(self._client, key, after=after)
            if not entries:
                return
            yield entries
            after = entries[-1].id
            if len(entries) < reading.BATCH:
                return

    async def tag(self, text: Text, call_id: str) -> str:
        """Return the beginning of the keys of a call's partition, `cs:{pNN}:`."""
        return _tag(await self._locate(text, call_id))

    async def _is_erased(self, key: str, call_id: str) -> bool:
        return bool(await self._execute("HEXISTS", f"{_tag(key)}erased", call_id))

    async def _locate(self, text: Text, call_id: str) -> str:
        """Return the key of a call's stream."""
        name = f"call:{call_id}{_suffix(text)}"
        keys = [partition_key(each, name) for each in homes(call_id, self.partitions)]
        for key in keys if len(keys) > 1 else ():
            if await self._execute("EXISTS", key):
                return key
        return keys[0]

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        async with self._turns:
            return await execute(self._client, *command, timeout_s=_TIMEOUT_S)


def _tag(key: str) -> str:
    return key.partition("call:")[0]


def _suffix(text: Text) -> str:
    return ":redacted" if text is Text.REDACTED else ""
