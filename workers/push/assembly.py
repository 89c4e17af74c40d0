"""Creates the worker `push` from its settings."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient
from workers.consumer import Consumer, ConsumerMetrics, run_all
from workers.push import intake
from workers.push.adapter import Adapter
from workers.push.dispatcher import Dispatcher
from workers.push.endpoints import EndpointStates
from workers.push.intake import Intake, Selector
from workers.push.kafka import open_kafka
from workers.push.metrics import Metrics
from workers.push.outbox import Limits, Outbox
from workers.push.salesforce import SalesforceAdapter
from workers.push.settings import Settings
from workers.push.subscriptions import Endpoint, read_endpoints, sources
from workers.push.webhook import WebhookAdapter, open_session
from workers.settings import Settings as WorkerSettings

_log = logging.getLogger("workers.push")

type Run = Callable[[asyncio.Event], Coroutine[Any, Any, object]]


@contextlib.asynccontextmanager
async def push(
    settings: Settings,
    shared: WorkerSettings,
    client: RedisClient,
    registry: CollectorRegistry,
) -> AsyncIterator[Run]:
    """Yield what delivers messages until an event is set.

    Args:
        settings: of the worker.
        shared: the settings of the process.
        client: from `create_client`; its creator closes it.
        registry: collects the metrics.

    Raises:
        SettingsError: a setting, or the file of the subscriptions, is invalid.
    """
    metrics = Metrics(registry)
    if settings.subscriptions is None:
        _log.warning("push-off WORKER_PUSH_SUBSCRIPTIONS is not set; nothing is sent")
        yield asyncio.Event.wait
        return
    endpoints = read_endpoints(settings.subscriptions, allow_http=settings.allow_http)
    subscriptions = [each.subscription for each in endpoints]
    outbox = Outbox(client, limits(settings), shared.id)
    async with _adapters(settings, endpoints) as adapters:
        states = EndpointStates(client, [each.id for each in subscriptions])
        dispatcher = Dispatcher(
            outbox,
            adapters,
            states,
            metrics,
            partitions=shared.partitions,
            timeout_s=settings.timeout_s,
            concurrency=settings.concurrency,
            policy=settings.policy,
        )

        def consumer(source: str) -> Consumer:
            group = intake.group(source, shared.partitions, shared.takeover_s)
            return Consumer(
                client,
                group,
                shared.id,
                lambda partition: Intake(
                    partition,
                    source,
                    Selector(client, partition, source, subscriptions, states.since),
                    outbox,
                    dispatcher.offer,
                    metrics,
                ),
                ConsumerMetrics(registry, group.name),
            )

        consumers = [consumer(source) for source in sources(subscriptions)]

        yield partial(run_all, [dispatcher, *consumers])


@contextlib.asynccontextmanager
async def _adapters(
    settings: Settings, endpoints: Sequence[Endpoint]
) -> AsyncIterator[dict[str, Adapter]]:
    """Yield the adapter of each subscription."""
    adapters: dict[str, Adapter] = {}
    limit_s, ca_file = settings.timeout_s, settings.ca_file
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            open_session(settings.allow_networks, limit_s, ca_file)
        )
        for each in endpoints:
            name = each.subscription.id
            match each.adapter:
                case "kafka":
                    opening = open_kafka(each, limit_s, ca_file)
                    adapters[name] = await stack.enter_async_context(opening)
                case "salesforce":
                    adapters[name] = SalesforceAdapter(session, each)
                case _:
                    adapters[name] = WebhookAdapter(session, each)
        yield adapters


def limits(settings: Settings) -> Limits:
    """Return what is kept in Redis."""
    return Limits(keep_s=settings.keep_s, history=settings.history)
