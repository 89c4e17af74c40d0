"""The events of one kind of text, on their way to the viewers who receive them."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.errors import PublishError
from workers.client.events import AnyEvent, Entry, EventError
from workers.relay.alerts import AlertBook
from workers.relay.call_summary import CallState, Summary
from workers.relay.directory import Directory
from workers.relay.messages import Item, Merge, item
from workers.relay.metrics import Metrics
from workers.relay.sign_in.viewer import Text
from workers.relay.store import Store
from workers.relay.subscription import Subscription


@dataclass(slots=True)
class _Load:
    """A call that is being loaded, and its events that were published meanwhile."""

    task: "asyncio.Task[CallState | None]"
    pending: list[AnyEvent] = field(default_factory=list)


class Channel:
    """The events of one kind of text, and the viewers who receive them.

    Args:
        text: raw or redacted.
        store: loads calls whose beginning was not received.
        directory: the calls.
        alerts: the alerts of the calls, for any kind of text.
        metrics: receives the results.
    """

    def __init__(
        self,
        text: Text,
        store: Store,
        directory: Directory,
        alerts: AlertBook,
        metrics: Metrics,
    ) -> None:
        self.text = text
        self.directory = directory
        self.merge = Merge()
        self._alerts = alerts
        self._store = store
        self._metrics = metrics
        self._of_call: defaultdict[str, set[Subscription[Item]]] = defaultdict(set)
        self._of_all: set[Subscription[Item]] = set()
        self._loads: dict[str, _Load] = {}

    @contextlib.contextmanager
    def subscribe(self, call_id: str | None) -> Iterator[Subscription[Item]]:
        """Subscribe to one call, or with None to all calls, for as long as the context lasts."""
        subscription = Subscription[Item]()
        subscriptions = self._of_all if call_id is None else self._of_call[call_id]
        subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            subscriptions.discard(subscription)
            if call_id is not None and not subscriptions:
                self._of_call.pop(call_id, None)

    def receive(self, partition: int, entries: Sequence[Entry]) -> list[str]:
        """Pass new entries of a partition on; return the calls whose beginning is not known."""
        calls: defaultdict[str, list[Item]] = defaultdict(list)
        unknown = []
        for entry in entries:
            try:
                each = item(entry, partition)
            except EventError:
                self._metrics.count_error("event-malformed")
                continue
            calls[each.event.call_id].append(each)
            if self._note(each.event):
                unknown.append(each.event.call_id)
        self._metrics.events_total.labels(self.text).inc(len(entries))
        for call_id, items in calls.items():
            self.merge.add(items)
            for subscription in self._of_call.get(call_id, ()):
                subscription.push(items)
        return unknown

    def _note(self, event: AnyEvent) -> bool:
        """Apply an event to the directory; return whether the call's beginning is not known."""
        call_id, now_s = event.call_id, time.monotonic()
        if load := self._loads.get(call_id):
            load.pending.append(event)
        elif call_id in self.directory:
            self.directory.apply(event, now_s)
        elif event.n == 1:
            self.directory.put(CallState.begin(call_id), now_s)
            self.directory.apply(event, now_s)
        else:
            return True
        return False

    @property
    def followed(self) -> set[str]:
        """The ids of the calls whose feed is open."""
        return set(self._of_call)

    def forget(self, call_id: str) -> None:
        """Remove an erased call from the list, and end its feeds."""
        self.directory.forget(call_id)
        for subscription in self._of_call.get(call_id, ()):
            subscription.end()

    def release(self, before_ms: int) -> None:
        """Pass events written before a time to the viewers of all calls."""
        if items := self.merge.release(before_ms):
            for subscription in self._of_all:
                subscription.push(items)

    def summarize(
        self, call: CallState, match: str | None = None, *, with_text: bool = True
    ) -> Summary:
        """Return a call's row of the list."""
        return call.summarize(match, with_text=with_text, alerts=self._alerts.of(call.call_id))

    async def find(self, call_id: str) -> CallState | None:
        """Return a call, from Redis if it is not in the directory; None if there is no such call.

        Raises:
            PublishError: Redis is unavailable.
        """
        if call := self.directory.get(call_id):
            return call
        load = self._loads.get(call_id)
        if load is None:
            task = asyncio.create_task(self._load(call_id))
            load = self._loads[call_id] = _Load(task)
        return await asyncio.shield(load.task)  # others may wait for it

    async def _load(self, call_id: str) -> CallState | None:
        try:
            call = await self._store.call(self.text, call_id)
            if call:
                await self._load_alerts(call_id)
        finally:
            load = self._loads.pop(call_id)
        if call:
            for event in load.pending:
                call.apply(event)
            if self._is_listed(call):
                self.directory.put(call, time.monotonic())
        return call

    async def _load_alerts(self, call_id: str) -> None:
        """Load what the list shows of a call's alerts; without them, it is shown nevertheless."""
        try:
            async for alert in self._store.alerts(self.text, call_id):
                self._alerts.apply(alert)
        except PublishError as error:
            self._metrics.count_error(error.reason)

    def _is_listed(self, call: CallState) -> bool:
        ended = call.newest if call.is_over else None
        return ended is None or datetime.now(UTC) - ended < timedelta(seconds=self.directory.keep_s)
