"""The worker `search`: keeps the indexes up to date with the events of all calls.

Each index is filled by groups of its own, one for each stream that it reads: events, alerts and
wrap-ups. What a group has handled is in the index before its position advances, and a repeated
change has no effect, so a crash loses and doubles nothing.

The index of redacted text reads redacted streams only.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry

from common.settings import SettingsError
from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.client import reading
from workers.client.events import EventError, read_event
from workers.consumer import Append, Consumer, ConsumerMetrics, Group, Received, run_all
from workers.consumer.calls import Calls, Identity
from workers.search import indexes
from workers.search.calls import CallFold, facts
from workers.search.index import (
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    GapNoted,
    Said,
    SearchIndex,
    SearchIndexError,
)
from workers.search.metrics import Metrics
from workers.search.settings import Settings

_log = logging.getLogger("workers.search")

SOURCES: Final = {
    "raw": ("events", "alerts", "wrapups", "redacted-wrapups"),
    "redacted": ("redacted", "alerts", "redacted-wrapups"),
}
_CALL_SUFFIXES: Final = {"events": "", "redacted": ":redacted"}
_KINDS: Final = {
    CallSeen: "call",
    Said: "segment",
    GapNoted: "gap",
    AlertNoted: "alert",
    DispositionNoted: "disposition",
}

type Run = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Writer:
    """Writes changes to one index, for the handlers of all partitions.

    Args:
        index: the index.
        text: `raw` or `redacted`.
        metrics: receives the results.
    """

    def __init__(self, index: SearchIndex, text: str, metrics: Metrics) -> None:
        self._index = index
        self._text = text
        self._metrics = metrics
        self._is_available = True

    async def add(self, changes: Sequence[Change]) -> None:
        """Store changes.

        Raises:
            PublishError: the index is not available; the event is handled again later.
        """
        if not changes:
            return
        begin_s = time.monotonic()
        try:
            await self._index.add(changes)
        except SearchIndexError as error:
            self._note_failure(error)
            raise PublishError("service-unavailable", "the search index") from None
        self._is_available = True
        self._metrics.write_seconds.labels(self._text).observe(time.monotonic() - begin_s)
        for change in changes:
            self._metrics.changes_total.labels(self._text, _KINDS[type(change)]).inc()

    def _note_failure(self, error: SearchIndexError) -> None:
        self._metrics.index_errors_total.labels(self._text).inc()
        if self._is_available:  # once, not at each attempt
            _log.error("search-index-unavailable text=%s %s", self._text, error)
        self._is_available = False


class EventHandler:
    """Indexes the events of one partition; implements `Handler`.

    The state of a call is in memory. Where it is missing, or an event is not the next one, the
    call's own stream is read from its beginning: what is in the index already is not changed.

    Args:
        client: from `create_client`.
        partition: the partition.
        suffix: of the keys of calls.
        writer: writes to the index.
    """

    def __init__(self, client: RedisClient, partition: int, suffix: str, writer: Writer) -> None:
        self._client = client
        self._partition = partition
        self._suffix = suffix
        self._writer = writer
        self._calls: Calls[CallFold] = Calls()

    async def handle(self, received: Received) -> Sequence[Append]:
        """Index one event; see `Handler`."""
        event = received.event
        identity = Identity(event.stream_id, event.epoch, event.n)
        call = self._calls.take(event.call_id, identity)
        if call is None:
            call = await self._read(event.call_id, identity)
        await self._writer.add(call.apply(event))
        self._calls.put(event.call_id, call)
        return ()

    async def _read(self, call_id: str, until: Identity) -> CallFold:
        """Index the events of a call before one of them; return the state before it."""
        call = CallFold()
        key = partition_key(self._partition, f"call:{call_id}{self._suffix}")
        async for entries in reading.pages(self._client, key):
            changes: list[Change] = []
            is_found = False
            for entry in entries:
                if is_found := Identity.of(entry.fields) == until:
                    break
                with contextlib.suppress(EventError):  # it became a dead letter
                    changes += call.apply(read_event(entry.id, entry.fields))
            await self._writer.add(changes)
            if is_found:
                break
        return call


class FactHandler:
    """Indexes the alerts and wrap-ups of one partition; implements `Handler`.

    Args:
        writer: writes to the index.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def handle(self, received: Received) -> Sequence[Append]:
        """Index one alert or wrap-up; see `Handler`."""
        await self._writer.add(facts(received.event))
        return ()


@contextlib.asynccontextmanager
async def search_worker(
    settings: Settings,
    client: RedisClient,
    worker: str,
    registry: CollectorRegistry,
    *,
    partitions: int,
    lease_s: float,
) -> AsyncIterator[Run]:
    """Open the indexes for as long as the context lasts; yield what fills them.

    Args:
        settings: what is indexed, and where.
        client: from `create_client`; its creator closes it.
        worker: the worker's name.
        registry: collects the metrics.
        partitions: as GATEWAY_PARTITIONS.
        lease_s: how long a worker that crashed keeps its share.

    Raises:
        SettingsError: an index can't be opened.
    """
    metrics = Metrics(registry)
    async with contextlib.AsyncExitStack() as cleanup:
        consumers = []
        for text in settings.text.kinds:
            index = await _open(settings, text, lease_s)
            cleanup.push_async_callback(index.close)
            _log.info("search-started text=%s index=%s", text, index.group or "database")
            writer = Writer(index, text, metrics)
            for source in SOURCES[text]:
                name = "-".join(("search", text, source, *filter(None, [index.group])))
                group = Group(name, source=source, partitions=partitions, lease_s=lease_s)
                consumers.append(_consumer(text, group, writer, client, worker, registry))

        yield partial(run_all, consumers)


async def _open(settings: Settings, text: str, wait_s: float) -> SearchIndex:
    try:
        return await indexes.open_to_write(settings, text, wait_s)
    except SearchIndexError as error:
        name = "DATABASE_URL" if settings.database_url else "PATH"
        raise SettingsError(f"WORKER_SEARCH_{name}: {error}") from None


def _consumer(
    text: str,
    group: Group,
    writer: Writer,
    client: RedisClient,
    worker: str,
    registry: CollectorRegistry,
) -> Consumer:
    suffix = _CALL_SUFFIXES.get(group.source)

    def handler(partition: int) -> EventHandler | FactHandler:
        if suffix is None:
            return FactHandler(writer)
        return EventHandler(client, partition, suffix, writer)

    # The id of a file is no label: a metric must keep its name when the index is built anew.
    metrics = ConsumerMetrics(registry, f"search-{text}-{group.source}")
    return Consumer(client, group, worker, handler, metrics)
