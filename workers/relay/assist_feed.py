"""What a viewer receives of one call's alerts and wrap-ups: the history, then what is published."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence

from workers.client.events import Entry, EventError
from workers.relay.assist import Assist
from workers.relay.call_summary import CallState
from workers.relay.channel import Channel
from workers.relay.derived import Derived, Places, Source, derived, sources
from workers.relay.messages import Message
from workers.relay.metrics import Metrics
from workers.relay.sign_in.viewer import Scope
from workers.relay.store import Store


class AssistFeed:
    """The alerts and wrap-ups of one call.

    Args:
        assist: publishes them.
        channel: of the text that the viewer may see.
        store: has the history.
        call_id: the call.
        after: what the viewer has received.
        scope: the calls that the viewer may see.
        metrics: receives the results.
    """

    def __init__(
        self,
        assist: Assist,
        channel: Channel,
        store: Store,
        call_id: str,
        after: Places,
        scope: Scope,
        metrics: Metrics,
    ) -> None:
        self._assist = assist
        self._channel = channel
        self._store = store
        self._call_id = call_id
        self._places = after
        self._scope = scope
        self._metrics = metrics

    async def messages(self) -> AsyncGenerator[Sequence[Message]]:
        """Yield messages for as long as it is iterated, because a wrap-up may come at any time.

        Raises:
            PublishError: Redis is unavailable.
        """
        with self._assist.subscribe(self._call_id, self._channel.text) as subscription:
            call = await self._begun()
            if not call.is_in(self._scope):
                return
            async for batch in self._catch_up():
                yield batch
            while True:
                items = await subscription.pop()
                if not items:
                    self._metrics.catch_ups_total.inc()
                    async for batch in self._catch_up():
                        yield batch
                yield self._new(items)

    async def _begun(self) -> CallState:
        """Wait until the call has begun: only then is it known whether the viewer may see it."""
        with self._channel.subscribe(self._call_id) as beginning:
            while (call := await self._channel.find(self._call_id)) is None:
                await beginning.pop()
        return call

    async def _catch_up(self) -> AsyncIterator[Sequence[Message]]:
        text = self._channel.text
        for source in sources(text):
            after = self._places.of(source)
            async for entries in self._store.derived_history(text, source, self._call_id, after):
                yield self._new(_read(entries, source))

    def _new(self, items: Iterable[Derived]) -> list[Message]:
        """Return the messages of items that were not sent yet."""
        return [message for each in items if (message := self._places.advance(each))]


def _read(entries: Iterable[Entry], source: Source) -> list[Derived]:
    items = []
    for entry in entries:
        try:
            items.append(derived(entry, source))
        except EventError:
            continue
    return items
