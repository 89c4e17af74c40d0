"""Creates the worker `archive` from its settings."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry

from common.settings import SettingsError
from gateway.redis_client.client import RedisClient
from workers.archive.archiver import Archiver, Metrics
from workers.archive.due import DueCalls
from workers.archive.evidence import SOURCES
from workers.archive.objects import StoreError, open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveStore
from workers.archive.worker import AdditionHandler, MainHandler
from workers.consumer import Consumer, ConsumerMetrics, Group, HandlerFactory, run_all
from workers.settings import Settings as WorkerSettings

_AT_ONCE: Final = 8  # calls that are archived at the same time


def open_store(settings: Settings, text: Text) -> ArchiveStore:
    """Open the archive of one kind of text.

    Raises:
        SettingsError: the settings name no store, or not a valid one.
    """
    if not settings.url:
        raise SettingsError("WORKER_ARCHIVE_URL is not set; it says where calls are archived")
    try:
        return ArchiveStore(open_objects(settings), text)
    except StoreError as error:
        raise SettingsError(f"WORKER_ARCHIVE_URL can't be opened: {error.reason}") from None


def archive(
    settings: Settings,
    shared: WorkerSettings,
    client: RedisClient,
    registry: CollectorRegistry,
) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """Return the function that archives calls until an event is set.

    Raises:
        SettingsError: the settings name no store, or not a valid one.
    """
    metrics, turns = Metrics(registry), asyncio.Semaphore(_AT_ONCE)
    consumers = [
        consumer
        for text in map(Text, settings.text.kinds)
        for consumer in _consumers(
            open_store(settings, text), settings, shared, client, (registry, metrics, turns)
        )
    ]

    return partial(run_all, consumers)


def groups(text: Text, shared: WorkerSettings) -> list[Group]:
    """Return the groups that archive one kind of text: of the calls, then of what is added."""
    name = f"archive-{text}"
    main, *additions = SOURCES[text]
    names = {main: name} | {source: f"{name}-{source}" for source in additions}
    return [
        Group(group, source=source, partitions=shared.partitions, lease_s=shared.takeover_s)
        for source, group in names.items()
    ]


def _consumers(
    store: ArchiveStore,
    settings: Settings,
    shared: WorkerSettings,
    client: RedisClient,
    common: tuple[CollectorRegistry, Metrics, asyncio.Semaphore],
) -> list[Consumer]:
    registry, metrics, turns = common
    text, grace_s = store.text, settings.grace_s
    archiver, due = Archiver(client, store, metrics), DueCalls(client, f"archive-{text}")

    def main(partition: int) -> MainHandler:
        return MainHandler(partition, due, archiver, grace_s, turns, metrics)

    def addition(partition: int) -> AdditionHandler:
        return AdditionHandler(client, partition, text, due, grace_s)

    main_group, *others = groups(text, shared)
    factories: list[tuple[Group, HandlerFactory]] = [
        (main_group, main),
        *((group, addition) for group in others),
    ]
    return [
        Consumer(client, group, shared.id, factory, ConsumerMetrics(registry, group.name))
        for group, factory in factories
    ]
