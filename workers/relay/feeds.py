"""What a viewer receives: the history from Redis, then what is published, without loss between.

A feed subscribes first, then reads the history, then continues with what was published meanwhile.
A viewer who is too slow, or for whom an event is missing, continues from the history in the same
way.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Final

from gateway.redis_client.client import RedisClient
from workers.client import reading
from workers.client.events import AnyEvent, Entry, EventError, Hole
from workers.client.transcript import Numbering, check
from workers.governance.ledger import Ledger
from workers.relay.call_summary import CallList
from workers.relay.channel import Channel
from workers.relay.hub import complete_before_ms
from workers.relay.messages import End, Gone, Item, Merge, Message, Order, hole, item, named
from workers.relay.metrics import Metrics
from workers.relay.sign_in.viewer import Scope
from workers.relay.store import Store, shared_key

_LIST_INTERVAL_S: Final = 0.5
_KEPT_CALLS: Final = 1000  # of which a feed of all calls knows whether its viewer may see them


class CallFeed:
    """The events of one call.

    Args:
        channel: publishes them.
        store: has the history.
        call_id: the call.
        after: the entry id after which the viewer continues; 0 is the beginning.
        scope: the calls that the viewer may see.
        metrics: receives the results.
    """

    def __init__(
        self,
        channel: Channel,
        store: Store,
        call_id: str,
        after: str,
        scope: Scope,
        metrics: Metrics,
    ) -> None:
        self._channel = channel
        self._store = store
        self._call_id = call_id
        self._after = after
        self._scope = scope
        self._metrics = metrics
        self._is_resumed = after != "0"
        self._streams: dict[str, Numbering] = {}

    async def messages(self) -> AsyncGenerator[Sequence[Message]]:
        """Yield messages until all streams of the call have ended, or the call is erased.

        Raises:
            PublishError: Redis is unavailable.
        """
        with self._channel.subscribe(self._call_id) as subscription:
            call = await self._channel.find(self._call_id)
            if call:  # otherwise its first event is published
                if not call.is_in(self._scope):
                    return  # it began after it was opened
                async for batch in self._catch_up():
                    yield batch
            while not (call and call.is_over and subscription.is_empty):
                items = await subscription.pop()
                if subscription.is_ended:
                    yield [named("gone", Gone(self._call_id))]
                    return
                call = await self._channel.find(self._call_id)
                if call and not call.is_in(self._scope):
                    return
                if not items or self._has_gap(items):
                    self._metrics.catch_ups_total.inc()
                    async for batch in self._catch_up():
                        yield batch
                yield self._new(items)
            totals = call.transcript
            yield [named("end", End(totals.events, totals.missing))]

    async def _catch_up(self) -> AsyncIterator[Sequence[Message]]:
        history = self._store.history(self._channel.text, self._call_id, self._after)
        async for entries in history:
            yield self._new(_items(entries, 0))
            await asyncio.sleep(0)  # a long history must not delay other viewers

    def _new(self, items: Iterable[Item]) -> list[Message]:
        """Return the messages of items that were not sent yet, and of the holes before them."""
        messages = []
        for each in items:
            self._trust_first(each.event)
            for new in check(self._streams, each.event):
                messages.append(hole(new) if isinstance(new, Hole) else each.of_call)
                self._after = each.of_call.id
        return messages

    def _trust_first(self, event: AnyEvent) -> None:
        """Begin the numbering of a stream where the viewer resumes."""
        if self._is_resumed and event.stream_id not in self._streams:
            self._streams[event.stream_id] = Numbering(event.epoch, event.n - 1)

    def _has_gap(self, items: Sequence[Item]) -> bool:
        """Return whether events before the first new one of a stream have not been received."""
        streams: set[str] = set()
        for each in items:
            event = each.event
            numbering = self._streams.get(event.stream_id)
            if event.stream_id in streams or (numbering and numbering.is_repeated(event)):
                continue
            streams.add(event.stream_id)
            if not (numbering.is_next(event) if numbering else event.n == 1):
                return True
        return False


class AllFeed:
    """The events of all calls in a scope, ordered by when they were written.

    Args:
        channel: publishes them.
        store: has the history.
        client: reads the history.
        ledger: the erased calls, whose events may still be in the history.
        after: the message after which the viewer continues.
        scope: the calls that the viewer may see.
    """

    def __init__(
        self,
        channel: Channel,
        store: Store,
        client: RedisClient,
        ledger: Ledger,
        after: Order,
        scope: Scope,
    ) -> None:
        self._channel = channel
        self._store = store
        self._client = client
        self._ledger = ledger
        self._after = after
        self._scope = scope
        self._admitted: OrderedDict[str, bool] = OrderedDict()

    async def messages(self) -> AsyncGenerator[Sequence[Message]]:
        """Yield messages for as long as it is iterated.

        Raises:
            PublishError: Redis is unavailable.
        """
        with self._channel.subscribe(None) as subscription:
            while True:
                async for batch in self._catch_up(self._after):
                    yield batch
                while items := await subscription.pop():
                    yield await self._new(items)

    async def _catch_up(self, after: Order) -> AsyncIterator[Sequence[Message]]:
        """Yield what was written after an event, up to now."""
        partitions = {
            shared_key(partition, self._channel.text): partition
            for partition in range(self._store.partitions)
        }
        # The entry itself is read again, because another partition may have the same id.
        positions = dict.fromkeys(partitions, f"{max(0, after.ms - 1)}")
        merge = Merge()
        is_complete = False
        while not is_complete:
            before_ms = await self._store.server_ms()
            found = await reading.read(self._client, positions, wait_s=0)
            is_complete = True
            for key, entries in found.items():
                positions[key] = entries[-1].id
                merge.add(_items(entries, partitions[key]))
                before_ms = complete_before_ms(entries, before_ms)
                is_complete = is_complete and len(entries) < reading.BATCH
            if items := merge.release(before_ms):
                erased = await self._ledger.erased({each.event.call_id for each in items})
                yield await self._new([each for each in items if each.event.call_id not in erased])

    async def _new(self, items: Sequence[Item]) -> list[Message]:
        """Return the messages of items that were not sent yet and are in the scope."""
        messages = []
        for each in items:
            if each.order > self._after:
                self._after = each.order
                if await self._admits(each.event):
                    messages.append(each.of_all)
        return messages

    async def _admits(self, event: AnyEvent) -> bool:
        """Return whether the scope admits a call; its route is only in `stream.started`."""
        call_id = event.call_id
        if self._scope.route is None:
            return self._scope.admits(call_id=call_id, route="", tenant=event.tenant)
        if call_id not in self._admitted:
            call = await self._channel.find(call_id)
            self._admitted[call_id] = bool(call and call.is_in(self._scope))
            if len(self._admitted) > _KEPT_CALLS:
                self._admitted.popitem(last=False)
        return self._admitted[call_id]


async def calls_feed(channel: Channel, scope: Scope) -> AsyncGenerator[Sequence[Message]]:
    """Yield the list of calls in a scope, then its changes, twice a second at most."""
    directory = channel.directory
    version = -1
    while True:
        changes = directory.changes(version) if version >= 0 else None
        if changes is None:
            calls = [channel.summarize(call) for call in directory.calls() if call.is_in(scope)]
            yield [named("calls", CallList(calls))]
            version = directory.version
        elif changes.version > version:
            version = changes.version
            listed = [channel.summarize(call) for call in changes.calls if call.is_in(scope)]
            removed = [each.call_id for each in changes.gone if each.is_in(scope)]
            gone = [named("gone", Gone(call_id)) for call_id in removed]
            yield [*(named("call", summary) for summary in listed), *gone]
        await asyncio.sleep(_LIST_INTERVAL_S)


def _items(entries: Iterable[Entry], partition: int) -> list[Item]:
    items = []
    for entry in entries:
        try:
            items.append(item(entry, partition))
        except EventError:
            continue
    return items
