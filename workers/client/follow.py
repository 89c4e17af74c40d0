"""Follow one call, or all calls, event by event."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Final

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key, partition_of
from workers.client import reading
from workers.client.events import AnyEvent, Entry, Hole, StreamEnded, read_event
from workers.client.ids import order
from workers.client.transcript import Numbering, check

PARTITIONS: Final = 64  # the default of GATEWAY_PARTITIONS
_RETRY_S: Final = (0.1, 2.0)  # the interval doubles while Redis is unavailable
_CALLS_KEPT: Final = 10_000  # calls whose numbering `follow_all` keeps


async def follow(
    client: RedisClient,
    call_id: str,
    *,
    after: str = "0",
    redacted: bool = False,
    partitions: int = PARTITIONS,
    partition: int | None = None,
    retry_s: float = 60.0,
) -> AsyncIterator[AnyEvent | Hole]:
    """Yield the events of one call, and end when all its streams have ended.

    A call that has not begun is awaited. The numbering of a call is checked from its first event,
    even if only later ones are yielded: a `Hole` is yielded before the event that follows it. A
    stream that ended as `lost` counts as ended, but may be resumed later.

    Args:
        client: from `create_client`, or any client of redis-py.
        call_id: as in events; encode a carrier's id with `encode_id`.
        after: yield the events after this entry id.
        redacted: read the redacted copy.
        partitions: as GATEWAY_PARTITIONS.
        partition: needed for a call with a longer id ("Two calls with one id" in docs/events.md).
        retry_s: how long Redis may be unavailable.

    Raises:
        PublishError: Redis refuses the command, or was unavailable for `retry_s`.
        EventError: an entry is not an event of version 1.
    """
    if partition is None:
        partition = partition_of(call_id, partitions)
    key = partition_key(partition, f"call:{call_id}{':redacted' if redacted else ''}")
    streams: dict[str, Numbering] = {}
    open_streams: set[str] = set()
    position = {key: "0"}
    first = order(after)
    while not streams or open_streams:
        for entry in (await _read(client, position, retry_s)).get(key, ()):
            position[key] = entry.id
            is_wanted = order(entry.id) > first
            for item in check(streams, read_event(entry.id, entry.fields)):
                if not isinstance(item, Hole):
                    _note_end(open_streams, item)
                if is_wanted:
                    yield item
        await asyncio.sleep(0)  # a long backlog must not block other tasks


def _note_end(open_streams: set[str], event: AnyEvent) -> None:
    if isinstance(event, StreamEnded):
        open_streams.discard(event.stream_id)
    else:
        open_streams.add(event.stream_id)


async def follow_all(
    client: RedisClient,
    positions: MutableMapping[int, str] | None = None,
    *,
    redacted: bool = False,
    partitions: int = PARTITIONS,
    retry_s: float = 60.0,
) -> AsyncIterator[AnyEvent | Hole]:
    """Yield the events of all calls, for as long as it is iterated.

    Events of one call are in order; those of several calls are in no particular order. Within a
    stream whose beginning was read, or whose previous event was, missing events are yielded as a
    `Hole`.

    Args:
        client: from `create_client`, or any client of redis-py.
        positions: by partition, the entry id after which to read; absent ones begin now. Updated
            before each event is yielded: store it, and pass it to continue.
        redacted: read the redacted copies.
        partitions: as GATEWAY_PARTITIONS.
        retry_s: how long Redis may be unavailable.

    Raises:
        PublishError: Redis refuses the command, or was unavailable for `retry_s`.
        EventError: an entry is not an event of version 1.
    """
    positions = {} if positions is None else positions
    name = "redacted" if redacted else "events"
    keys = {partition_key(partition, name): partition for partition in range(partitions)}
    for key, partition in keys.items():
        if partition not in positions:
            positions[partition] = await reading.last_id(client, key)
    calls: dict[str, dict[str, Numbering]] = {}
    while True:
        after = {key: positions[partition] for key, partition in keys.items()}
        for key, entries in (await _read(client, after, retry_s)).items():
            for entry in entries:
                event = read_event(entry.id, entry.fields)
                positions[keys[key]] = entry.id
                for item in check(_numbering(calls, event), event):
                    yield item
        await asyncio.sleep(0)


def _numbering(calls: dict[str, dict[str, Numbering]], event: AnyEvent) -> dict[str, Numbering]:
    """Return the numbering of the event's call; a stream whose beginning was missed starts here."""
    streams = calls.pop(event.call_id, {})
    calls[event.call_id] = streams  # moves it to the end: the longest unused are dropped first
    if len(calls) > _CALLS_KEPT:
        del calls[next(iter(calls))]
    if event.stream_id not in streams and event.n > 1:
        streams[event.stream_id] = Numbering(event.epoch, event.n - 1)
    return streams


async def _read(
    client: RedisClient, positions: Mapping[str, str], retry_s: float
) -> dict[str, list[Entry]]:
    """Read new entries; while Redis is unavailable, retry."""
    deadline_s = time.monotonic() + retry_s
    interval_s, longest_s = _RETRY_S
    while True:
        try:
            return await reading.read(client, positions)
        except PublishError as error:
            if not error.info.retry or time.monotonic() + interval_s > deadline_s:
                raise
        await asyncio.sleep(interval_s)
        interval_s = min(2 * interval_s, longest_s)
