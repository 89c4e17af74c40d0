"""Reads the alerts and wrap-ups of all calls once, and passes them to all viewers.

It reads apart from the hub. If Redis refuses these streams, such as to a user without permission
for them, the transcripts are not affected.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.client.events import AssistAlert, Entry, EventError
from workers.relay.alerts import AlertBook
from workers.relay.channel import Channel
from workers.relay.derived import Derived, Source, derived, sources
from workers.relay.metrics import Metrics
from workers.relay.sign_in.viewer import Text
from workers.relay.subscription import Subscription
from workers.relay.tail import Tail

_INTERVAL_S: Final = 0.05  # between two reads


class Assist:
    """The alerts and wrap-ups of all calls.

    Args:
        client: from `create_client`.
        partitions: the number of partitions, fixed at installation.
        channels: their kinds of text decide what is read; their lists show how many alerts are
            open.
        alerts: the alerts of the calls.
        metrics: receives the results.
    """

    def __init__(
        self,
        client: RedisClient,
        partitions: int,
        channels: Sequence[Channel],
        alerts: AlertBook,
        metrics: Metrics,
    ) -> None:
        read = {source for channel in channels for source in sources(channel.text)}
        self._keys = {
            partition_key(partition, source): source
            for source in Source
            if source in read
            for partition in range(partitions)
        }
        self._channels = channels
        self._alerts = alerts
        self._metrics = metrics
        self._tail = Tail(client, self._keys, metrics, "assist")
        self._viewers: defaultdict[tuple[str, Source], set[Subscription[Derived]]]
        self._viewers = defaultdict(set)  # by call
        self.ready = self._tail.ready

    async def run(self) -> None:
        """Read until cancelled."""
        await self._tail.start()
        while True:
            await self._tail.until_done(self._read)
            await asyncio.sleep(_INTERVAL_S)

    @contextlib.contextmanager
    def subscribe(self, call_id: str, text: Text) -> Iterator[Subscription[Derived]]:
        """Subscribe to what a viewer of a kind of text may read about a call."""
        subscription = Subscription[Derived]()
        places = [(call_id, source) for source in sources(text)]
        for place in places:
            self._viewers[place].add(subscription)
        try:
            yield subscription
        finally:
            for place in places:
                self._viewers[place].discard(subscription)
                if not self._viewers[place]:
                    del self._viewers[place]

    async def _read(self) -> None:
        found = await self._tail.read(wait_s=1.0)
        for key, entries in found.entries.items():
            self._receive(self._keys[key], entries)
        if found.failure:
            raise found.failure

    def _receive(self, source: Source, entries: Sequence[Entry]) -> None:
        calls: defaultdict[str, list[Derived]] = defaultdict(list)
        for entry in entries:
            try:
                each = derived(entry, source)
            except EventError:
                self._metrics.count_error("event-malformed")
                continue
            calls[each.event.call_id].append(each)
            if isinstance(each.event, AssistAlert) and self._alerts.apply(each.event):
                self._show(each.event.call_id)
        self._metrics.events_total.labels("derived").inc(len(entries))
        for call_id, items in calls.items():
            for subscription in self._viewers.get((call_id, source), ()):
                subscription.push(items)

    def _show(self, call_id: str) -> None:
        for channel in self._channels:
            channel.directory.touch(call_id, time.monotonic())
