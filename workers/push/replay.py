"""Adds messages to the outbox again: from events that Redis still has, or from dead letters.

Replayed messages have the ids that they had before, so an endpoint that ignores ids that it knows
gets each once. They wait behind what waits already.
"""

from collections.abc import AsyncIterator
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.client import reading
from workers.client.events import EventError, read_event
from workers.consumer import Received
from workers.push import history
from workers.push.intake import Selector
from workers.push.outbox import Outbox
from workers.push.subscriptions import SOURCES, Subscription

_BATCH: Final = 100  # dead letters that are deleted at a time


async def from_events(
    client: RedisClient,
    outbox: Outbox,
    subscription: Subscription,
    partition: int,
    after: str,
    call_id: str | None = None,
) -> int:
    """Add the messages of a partition's events again; return how many.

    The events of different streams (transcripts, alerts, wrap-ups) are added one stream after
    another.

    Args:
        client: from `create_client`.
        outbox: gets the messages.
        subscription: whose messages.
        partition: the partition.
        after: the id of an entry, after which events are read.
        call_id: only of this call.

    Raises:
        PublishError: Redis is unavailable.
    """
    count = 0
    for source in SOURCES:
        if subscription.reads(source):
            selector = Selector(client, partition, source, [subscription])
            async for received in _events(client, partition_key(partition, source), after):
                if call_id is None or received.event.call_id == call_id:
                    found = await selector.messages(received)
                    if found:
                        count += (await outbox.enqueue(partition, source, "", found)).added
    return count


async def _events(client: RedisClient, key: str, after: str) -> AsyncIterator[Received]:
    """Yield the events of a stream until its present end."""
    last = await reading.last_id(client, key)
    while entries := await reading.history(client, key, after=after, last=last):
        for entry in entries:
            try:
                yield Received(read_event(entry.id, entry.fields), entry.fields)
            except EventError:
                continue  # a dead letter of the group
        after = entries[-1].id


async def from_dead_letters(
    client: RedisClient, outbox: Outbox, subscription: str, partition: int
) -> int:
    """Move a partition's dead letters back to their queues; return how many.

    Each is added before it is deleted: if that is interrupted, it may be sent twice.

    Raises:
        PublishError: Redis is unavailable.
    """
    moved: list[str] = []
    count = 0
    letters = [each async for each in history.dead_messages(client, partition, subscription)]
    for letter in letters:
        found = [(subscription, letter.message)]
        count += (await outbox.enqueue(partition, letter.message.source, "", found)).added
        moved.append(letter.id)
        if len(moved) >= _BATCH:
            await history.drop_dead(client, partition, subscription, moved)
            moved.clear()
    await history.drop_dead(client, partition, subscription, moved)
    return count
