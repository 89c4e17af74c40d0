"""Shared by the publisher's tests: events, a publisher, and a reader that checks a stream."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gateway.metrics import Metrics
from gateway.publishing.event_store import EventStore
from gateway.publishing.outbox import Limits
from gateway.publishing.publisher import Publisher, StreamWriter
from gateway.publishing.redis_store import RedisStore
from gateway.publishing.spool.spool import Spool
from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.events import (
    FinalReason,
    Status,
    StreamEnded,
    StreamStarted,
    TrackInfo,
    TranscriptDelta,
    TranscriptFinal,
)
from gateway.transcript.keys import CallKeys, call_keys

EPOCH = 1_795_255_616_244
PARTITIONS = 64
# Timeout of operations that take milliseconds; only a hang reaches it.
PATIENCE_S = 20.0

type Entries = list[dict[str, str]]


def never_fenced() -> None:
    raise AssertionError("fenced without cause")


def started() -> StreamStarted:
    return StreamStarted("twilio", (TrackInfo("inbound", "customer", "pcmu", 8000),), {})


def delta(text: str) -> TranscriptDelta:
    now_s = time.monotonic()
    return TranscriptDelta("inbound", "customer", 1, 1, text, 0, 80, now_s, now_s)


def final(text: str) -> TranscriptFinal:
    return TranscriptFinal("inbound", "customer", 1, 1, text, 0, 80, FinalReason.PAUSE)


def ended() -> StreamEnded:
    return StreamEnded(Status.COMPLETED, "", 80, 1, 0)


@contextlib.asynccontextmanager
async def client_of(url: str, timeout_s: float = 5.0) -> AsyncIterator[RedisClient]:
    client = create_client(url, timeout_s)
    try:
        yield client
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def publisher_at(
    url: str,
    limits: Limits | None = None,
    metrics: Metrics | None = None,
    timeout_s: float = 5.0,
    spool_dir: Path | None = None,
) -> AsyncIterator[Publisher]:
    """Run a publisher; at the end it has `PATIENCE_S` to write the remaining events."""
    async with client_of(url, timeout_s) as client:
        publisher = make_publisher(RedisStore(client), limits, metrics, spool_dir)
        publisher.start()
        try:
            yield publisher
        finally:
            await publisher.close(PATIENCE_S)


def make_publisher(
    store: EventStore,
    limits: Limits | None = None,
    metrics: Metrics | None = None,
    spool_dir: Path | None = None,
    spool_bytes: int = 1 << 30,
) -> Publisher:
    metrics = metrics or Metrics()
    errors = metrics.redis_errors_total
    spool = None
    if spool_dir:
        spool = Spool(
            spool_dir, "here", spool_bytes, lambda reason: errors.labels(reason).inc(), 2000
        )
    return Publisher(
        store,
        gateway="g1",
        metrics=metrics,
        partitions=PARTITIONS,
        limits=limits,
        spool=spool,
    )


def open_stream(
    publisher: Publisher,
    call_id: str,
    stream_id: str = "MZ1",
    epoch: int = EPOCH,
    on_fenced: Callable[[], None] = never_fenced,
    *,
    tenant: str = "default",
    carrier: str = "twilio",
) -> StreamWriter:
    return publisher.open_stream(
        call_id, stream_id, epoch, on_fenced, tenant=tenant, carrier=carrier
    )


def keys_of(call_id: str) -> CallKeys:
    return call_keys(call_id, PARTITIONS)


async def entries(client: RedisClient, key: str) -> Entries:
    """Return a stream's entries as text."""
    found: list[tuple[bytes, dict[bytes, bytes]]] = await client.execute_command(
        "XRANGE", key, "-", "+"
    )
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in found]


async def events_of(client: RedisClient, call_id: str, stream_id: str = "MZ1") -> Entries:
    """Return one stream's events; check that its call and its partition have the same ones."""
    keys = keys_of(call_id)
    mine = [e for e in await entries(client, keys.call) if e["stream_id"] == stream_id]
    shared = [
        e
        for e in await entries(client, keys.events)
        if (e.get("call_id"), e.get("stream_id"))
        == (call_id, stream_id)  # other entries may have any fields
    ]
    assert mine == shared
    return mine


def numbers(events: Entries) -> list[int]:
    return [int(event["n"]) for event in events]


def texts(events: Entries) -> list[str]:
    return [event["text"] for event in events if "text" in event]


def total(metrics: Metrics, name: str, **labels: str) -> float:
    """Return one sample of the metrics; 0 if it was never counted."""
    return metrics.registry.get_sample_value(f"callscribe_{name}", labels) or 0.0
