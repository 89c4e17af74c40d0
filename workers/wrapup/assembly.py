"""Creates the worker `wrapup` from its settings."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry

from common.settings import SettingsError
from gateway.redis_client.client import RedisClient
from workers.consumer import Consumer, ConsumerMetrics, Group
from workers.settings import Settings as WorkerSettings
from workers.wrapup.making import Maker
from workers.wrapup.metrics import Metrics
from workers.wrapup.settings import Settings, TextKind
from workers.wrapup.store import Store, group_name, suffix_of
from workers.wrapup.worker import WrapupHandler

_log = logging.getLogger("workers.wrapup")

type Run = Callable[[asyncio.Event], Coroutine[Any, Any, object]]


@contextlib.asynccontextmanager
async def wrapup(
    settings: Settings, shared: WorkerSettings, client: RedisClient, registry: CollectorRegistry
) -> AsyncIterator[Run]:
    """Prepare the worker; yield what runs it. Without a URL it only waits to be stopped.

    Args:
        settings: which model, and what it may cost.
        shared: the settings of all workers.
        client: from `create_client`; its creator closes it.
        registry: collects the metrics.

    Raises:
        SettingsError: the package `openai` is not installed.
    """
    if settings.url is None:
        _log.warning("wrapup-off WORKER_WRAPUP_URL is not set; no wrap-ups are made")
        yield asyncio.Event.wait
        return
    try:
        from workers.wrapup.client import Client  # here: 1.5 s of CPU, and an extra
    except ImportError:
        message = "WORKER_WRAPUP_URL needs the package openai: install callscribe[wrapup]"
        raise SettingsError(message) from None
    async with contextlib.aclosing(Client(settings)) as model:
        group = group_of(settings.text, shared)
        source = "" if settings.text is TextKind.RAW else "redacted"
        maker = Maker(settings, model, Metrics(registry), f"wrapup-{shared.id}")
        consumer = Consumer(
            client,
            group,
            shared.id,
            lambda partition: WrapupHandler(Store(client, group, partition, source), maker),
            ConsumerMetrics(registry, group.name),
        )
        yield consumer.run


def group_of(text: TextKind, shared: WorkerSettings) -> Group:
    """Return the group of workers that receive a kind of text.

    It begins with calls that end from now on: those before would all be sent to the model.
    """
    return Group(
        group_name(text),
        suffix_of(text),
        source="events" if text is TextKind.RAW else "redacted",
        partitions=shared.partitions,
        start="now",
        lease_s=shared.takeover_s,
        retention_s=shared.retention_s,
    )
