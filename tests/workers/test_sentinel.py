"""The workers behind sentinels: a planned failover in mid-call loses and repeats nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import create_client
from tests.sentinels import Watched, fail_over, watched_by_sentinel
from tests.workers.redact.test_worker import new_redactor, published, redacted, story, write
from tests.workers.relay.a_relay import running, viewer
from workers.consumer import Consumer, ConsumerMetrics
from workers.redact.worker import Metrics, RedactHandler, group


@contextlib.asynccontextmanager
async def redacting(url: str) -> AsyncIterator[None]:
    """Run the worker redact."""
    stop, registry = asyncio.Event(), CollectorRegistry()
    async with contextlib.aclosing(create_client(url)) as client:
        metrics = Metrics(registry)
        consumer = Consumer(
            client,
            group(64, 600, lease_s=2),
            "w1",
            lambda partition: RedactHandler(client, partition, new_redactor, metrics),
            ConsumerMetrics(registry, "redact"),
        )
        task = asyncio.create_task(consumer.run(stop))
        yield
        stop.set()
        await task


async def write_all(watched: Watched, events: list[dict[str, str]]) -> None:
    """Write events to the primary, and wait until the replica has them."""
    async with contextlib.aclosing(create_client(watched.url)) as client:
        for event in events:
            await write(client, event)
        await client.execute_command("WAIT", 1, 5000)


async def test_failover_in_mid_call_loses_and_repeats_nothing(tmp_path: Path) -> None:
    events = story("CA1", 4)
    half = len(events) // 2
    async with watched_by_sentinel(tmp_path) as watched:
        await write_all(watched, events[:half])
        async with (
            redacting(watched.url),
            running(watched.url, text="both") as relay,
            viewer(relay) as ann,
            ann.open("/api/calls/CA1/events") as feed,
        ):
            first = await feed.take(half)
            await fail_over(watched)
            await write_all(watched, events[half:])
            rest = await feed.take(len(events) - half + 1)
            numbers = [each.data["n"] for each in (*first, *rest[:-1])]
            assert numbers == [*range(1, len(events) + 1)]
            assert rest[-1].data == {"events": len(events), "missing": 0}
            expected = redacted(events)
            async with asyncio.timeout(30):
                while len(await published(watched.replica, "CA1")) < len(expected):  # noqa: ASYNC110  # Redis sends no event
                    await asyncio.sleep(0.05)
            assert await published(watched.replica, "CA1") == expected
