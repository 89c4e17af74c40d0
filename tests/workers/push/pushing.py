"""Runs the worker `push` in the test's process, and writes events as gateways and workers do."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from gateway.redis_client.client import RedisClient, create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.client.stories import fields
from workers.push.assembly import push
from workers.push.history import Attempt, DeadMessage, attempts, dead_messages
from workers.push.settings import Settings
from workers.settings import Settings as WorkerSettings

PARTITIONS: Final = 4
SECRET: Final = "whsec_" + base64.b64encode(bytes(range(24))).decode()
OTHER_SECRET: Final = "whsec_" + base64.b64encode(bytes(range(50, 90))).decode()
LOOPBACK: Final = "127.0.0.0/8"


def write_file(folder: Path, subscriptions: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a file of subscriptions; each has a secret unless it names others."""
    (folder / "secret").write_text(SECRET)
    (folder / "other").write_text(OTHER_SECRET)
    lines = []
    for name, own in subscriptions.items():
        lines.append(f"[subscriptions.{name}]")
        values = {"secrets": ["file:secret"], "text": "raw", **own}
        lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
    path = folder / "subscriptions.toml"
    path.write_text("\n".join(lines))
    return path


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list) else str(value)


def settings(path: Path, **own: Any) -> Settings:
    """Return settings for receivers on loopback."""
    local = {"allow_http": True, "allow_networks": LOOPBACK, "timeout_s": 5.0}
    return Settings(_env_file=None, subscriptions=path, **{**local, **own})


@contextlib.asynccontextmanager
async def running(
    url: str, path: Path, name: str = "w1", registry: CollectorRegistry | None = None, **own: Any
) -> AsyncIterator[RedisClient]:
    """Run a worker; yield a client of its Redis."""
    shared = WorkerSettings(
        _env_file=None, id=name, redis_url=url, partitions=PARTITIONS, takeover_s=1
    )
    client, reader = create_client(url), create_client(url)
    stop = asyncio.Event()
    try:
        async with push(
            settings(path, **own), shared, client, registry or CollectorRegistry()
        ) as run:
            task = asyncio.create_task(run(stop))
            try:
                yield reader
            finally:
                stop.set()
                await task
    finally:
        await client.aclose()
        await reader.aclose()


async def write(client: RedisClient, event: Mapping[str, str], source: str = "events") -> None:
    """Write an event as gateways and workers do."""
    suffix = "" if source == "events" else f":{source}"
    partition = partition_of(event["call_id"], PARTITIONS)
    values: Any = event
    entry_id: Any = await client.xadd(partition_key(partition, source), values)
    await client.xadd(
        partition_key(partition, f"call:{event['call_id']}{suffix}"), values, id=entry_id
    )


def started(call: str, n: int = 1, **own: Any) -> dict[str, str]:
    return fields("stream.started", n, call=call, **{"route": "sales", **own})


def final(call: str, n: int, text: str = "hello", **own: Any) -> dict[str, str]:
    where = {"track": "inbound", "segment": n, "rev": 0, "start_ms": 0, "end_ms": 80 * n}
    return fields("transcript.final", n, call=call, text=text, **{**where, **own})


def ended(call: str, n: int, **own: Any) -> dict[str, str]:
    about = {"status": "completed", "reason": "stopped", "duration_ms": 1000, "gap_ms": 0}
    return fields("stream.ended", n, call=call, **{**about, **own})


def alert(call: str, n: int, name: str = "a1", **own: Any) -> dict[str, str]:
    about = {
        "alert": name,
        "state": "raised",
        "rule": "refund",
        "rule_version": "1",
        "severity": "warning",
        "title": "A refund is requested",
    }
    return fields("assist.alert", n, call=call, **{**about, **own})


def wrapup(call: str, n: int, made_from: str = "redacted", **own: Any) -> dict[str, str]:
    sentence = (
        '[{"text": "The caller wants a refund.", "citations": [{"stream_id": "MZ1", "track": '
        '"inbound", "segment": 2, "start_ms": 0, "end_ms": 160}]}]'
    )
    about = {
        "wrapup": "w1",
        "made_from": made_from,
        "trigger": "ended",
        "model": "m",
        "summary": sentence,
        "follow_ups": "[]",
    }
    return fields("assist.wrapup", n, call=call, **{**about, **own})


async def history(client: RedisClient, subscription: str) -> list[Attempt]:
    """Return the attempts in all partitions, in the order in which they began."""
    found = [
        each
        for partition in range(PARTITIONS)
        for each in await attempts(client, partition, subscription)
    ]
    return sorted(found, key=lambda each: [int(part) for part in each.id.split("-")])


async def settled(client: RedisClient, subscription: str, count: int) -> list[Attempt]:
    """Return the attempts when there are that many and all have ended."""
    async with asyncio.timeout(20):
        while True:
            found = await history(client, subscription)
            if len(found) >= count and all(each.step for each in found):
                return found
            await asyncio.sleep(0.01)


async def dead(client: RedisClient, subscription: str) -> list[DeadMessage]:
    """Return the dead letters of all partitions."""
    return [
        each
        for partition in range(PARTITIONS)
        async for each in dead_messages(client, partition, subscription)
    ]
