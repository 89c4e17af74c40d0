"""Makes messages from the events of a partition, and adds them to the outbox.

One group of workers per stream of the partitions (`push-events`, `push-alerts` …). An event's
messages are added before its position is committed. If a worker crashes in between, the event is
handled again, and the outbox skips it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from gateway.redis_client.client import RedisClient
from workers.client.events import AnyEvent
from workers.consumer import Append, Group, Identity, Received
from workers.push import messages
from workers.push.calls import Calls, CallState
from workers.push.messages import CALL_ENDED, Message
from workers.push.metrics import Metrics, log_dead
from workers.push.outbox import DueCall, Outbox
from workers.push.subscriptions import Subscription

_FULL: Final = "queue-full"
_DELTA: Final = "transcript.delta"
# The streams that contain the calls' own events, and the suffixes of the calls' streams.
_OF_CALLS: Final = {"events": "", "redacted": "redacted"}


class Selector:
    """Makes the messages of the events of one stream of a partition.

    Args:
        client: from `create_client`.
        partition: the partition.
        source: the stream.
        subscriptions: who may get messages; those that do not read the stream are left out.
        since: returns the Unix ms before which events are not for a subscription, by its id; None
            if there is no such time.
    """

    def __init__(
        self,
        client: RedisClient,
        partition: int,
        source: str,
        subscriptions: Iterable[Subscription],
        since: Callable[[], Awaitable[Mapping[str, int]]] | None = None,
    ) -> None:
        self._source = source
        self._since = since
        self._subscriptions = [each for each in subscriptions if each.reads(source)]
        is_of_calls = source in _OF_CALLS
        self._calls = Calls(client, partition, _OF_CALLS[source]) if is_of_calls else None

    async def messages(self, received: Received) -> list[tuple[str, Message]]:
        """Return the messages of an event, each with its subscription's id.

        Raises:
            PublishError: Redis is unavailable.
        """
        kind = received.fields.get("type", "")
        if kind == _DELTA:
            return []
        event = received.event
        if self._calls:
            state = await self._calls.apply(received.fields)
            return self._of_call_event(event, kind, state, await self._present(event))
        route = received.fields.get("route", "")
        return [
            (each.id, self._message(event, kind, each, route))
            for each in await self._present(event)
            if each.wants(kind, event.tenant, route)
        ]

    async def _present(self, event: AnyEvent) -> list[Subscription]:
        """Return the subscriptions that were there when an event was written."""
        if self._since is None:
            return self._subscriptions
        since, written_ms = await self._since(), int(event.id.partition("-")[0])
        return [each for each in self._subscriptions if written_ms >= since[each.id]]

    def _of_call_event(
        self, event: AnyEvent, kind: str, state: CallState, present: Iterable[Subscription]
    ) -> list[tuple[str, Message]]:
        route = state.routes.get(event.stream_id)
        found = []
        for each in present:
            if each.wants(kind, event.tenant, route):
                started_at = state.starts.get(event.stream_id) or None
                found.append((each.id, self._message(event, kind, each, route, started_at)))
            is_end = kind == "stream.ended" and state.has_ended
            if is_end and each.wants(CALL_ENDED, event.tenant, route):
                found.append((each.id, self._call_end(event, state, each, route)))
        return found

    def _message(
        self,
        event: AnyEvent,
        kind: str,
        subscription: Subscription,
        route: str | None,
        started_at: str | None = None,
    ) -> Message:
        return messages.of_event(
            event,
            kind,
            source=self._source,
            subscription=subscription.id,
            text=subscription.text,
            route=route,
            started_at=started_at,
        )

    def _call_end(
        self, event: AnyEvent, state: CallState, subscription: Subscription, route: str | None
    ) -> Message:
        return messages.of_call_end(
            event,
            state.stream_ends,
            source=self._source,
            subscription=subscription.id,
            text=subscription.text,
            route=route,
        )


class Intake:
    """Adds the messages of one partition's events to the outbox; implements `Handler`.

    Args:
        partition: the partition.
        source: the stream that is read.
        selector: makes the messages.
        outbox: where they wait.
        added: called with the calls after messages were added.
        metrics: counts the messages that could not be added.
    """

    def __init__(
        self,
        partition: int,
        source: str,
        selector: Selector,
        outbox: Outbox,
        added: Callable[[Iterable[DueCall]], None],
        metrics: Metrics,
    ) -> None:
        self._partition = partition
        self._source = source
        self._selector = selector
        self._outbox = outbox
        self._added = added
        self._metrics = metrics

    async def handle(self, received: Received) -> Sequence[Append]:
        """Add the messages of an event; see `Handler`."""
        if found := await self._selector.messages(received):
            # A dead letter that is handled again has another id than the event, so its messages
            # are added again.
            event = received.event
            parts = event.call_id, event.id, *Identity.of(received.fields)  # see `families.py`
            identity = " ".join(map(str, parts))
            done = await self._outbox.enqueue(self._partition, self._source, identity, found)
            for subscription, message in done.full:
                self._metrics.attempts_total.labels(subscription, "dead").inc()
                self._metrics.failures_total.labels(subscription, _FULL).inc()
                log_dead(subscription, self._partition, message, _FULL)
            self._added(DueCall(self._partition, name, each.call_id) for name, each in found)
        return ()


def group(source: str, partitions: int, lease_s: float) -> Group:
    """Return the group of workers that read a stream; it begins with the events from now on.

    Args:
        source: the stream of the partitions.
        partitions: the number of partitions.
        lease_s: how long a worker that crashed keeps its share.
    """
    return Group(
        f"push-{source}",
        suffix="push:none",  # it writes none; the name is in what its Redis user may read
        partitions=partitions,
        start="now",
        lease_s=lease_s,
        source=source,
    )
