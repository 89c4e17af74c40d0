"""The relay on real servers that are unusual, fail, or contain what no gateway writes."""

import asyncio
import contextlib
from typing import Any

import pytest
import redis
from redis.asyncio import RedisCluster

from gateway.redis_client.client import create_client
from gateway.transcript.keys import partition_key, partition_of
from tests.redis_servers import cluster, cluster_with_replica, losing_a_node
from tests.workers.client.stories import fields
from tests.workers.relay.a_relay import Calls, running, viewer


async def test_cluster_of_one_primary_is_read() -> None:
    with cluster_with_replica() as (url, _):
        async with contextlib.aclosing(create_client(url)) as client:
            calls = Calls(client)
            await calls.start("CA1")
            async with (
                running(url) as relay,
                viewer(relay) as ann,
                ann.open("/api/calls/CA1/events") as feed,
            ):
                await feed.take(1)
                await calls.end("CA1")
                assert [each.name for each in await feed.take(2)] == ["", "end"]


@pytest.mark.parametrize("change", [{"params": "[" * 100_000}, {"at": "2026-11-21T10:06:56"}])
async def test_malformed_events_do_not_stop_the_relay(
    redis_url: str, change: dict[str, str]
) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)
        await calls.start("CA1")
        for number in range(2):  # the second time, while it is loaded
            async with (
                running(redis_url) as relay,
                viewer(relay) as ann,
                ann.open("/api/calls/CA1/events") as feed,
            ):
                await feed.take(1 + number)
                for kind, n in (("stream.started", 1), ("stream.ended", 2)):
                    event = fields(kind, n, call="CA2", status="lost", duration_ms=0, gap_ms=0)
                    await add(client, "CA2", event | {"reason": ""} | change)
                await asyncio.sleep(0.1)
                await calls.say("CA1", "x")
                assert len(await feed.take(1)) == 1


async def add(client: Any, call: str, event: dict[str, str]) -> None:
    partition = partition_of(call, 64)
    for name in ("events", f"call:{call}"):
        await client.xadd(partition_key(partition, name), event)


async def test_viewer_of_all_calls_misses_nothing_of_a_first_burst(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom to prevent: a spool is written, and a viewer who has waited gets nothing of it."""
    monkeypatch.setattr("workers.relay.subscription._MAX_BYTES", 20_000)
    gap: dict[str, Any] = {"track": "inbound", "from_ms": 0, "to_ms": 80, "cause": "x" * 300}
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        running(redis_url) as relay,
        viewer(relay) as ann,
        ann.open("/api/events") as feed,
    ):
        await asyncio.sleep(0.1)
        batch: Any = client.pipeline()
        for n in range(1, 200):
            batch.xadd("cs:{p53}:events", fields("transcript.gap", n, **gap))
        await batch.execute()
        assert [each.data["n"] for each in await feed.take(199)] == [*range(1, 200)]


async def test_feed_of_all_calls_can_begin_with_the_first_event(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        await Calls(client).start("CA1")
        async with (
            running(redis_url) as relay,
            viewer(relay) as ann,
            ann.open("/api/events?after=0-0-0") as feed,
        ):
            assert len(await feed.take(1)) == 1


async def test_lost_node_of_a_cluster_does_not_stop_the_calls_of_others() -> None:
    with losing_a_node(), cluster() as urls:
        url = urls[0].replace("redis://", "redis+cluster://")
        async with contextlib.aclosing(create_client(url)) as client:
            assert isinstance(client, RedisCluster)
            calls = Calls(client)
            await calls.start("CA1")
            own = client.get_node_from_key(partition_key(partition_of("CA1", 64), ""))
            lost = next(node for node in client.get_nodes() if node is not own)
            async with (
                running(url) as relay,
                viewer(relay) as ann,
                ann.open("/api/calls/CA1/events") as feed,
            ):
                await feed.take(1)
                with redis.Redis(port=int(lost.port)) as server:
                    server.shutdown(nosave=True)
                for n in range(2, 6):
                    await calls.say("CA1", "x")
                    assert [each.data["n"] for each in await feed.take(1)] == [n]


async def test_relay_starts_while_a_node_is_lost_and_shows_the_calls_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Any node may store whether a session was signed out, and without that no viewer is admitted.
    # The hash tag in the session's id chooses the node of the call.
    session_id = f"{{p{partition_of('CA1', 64):02d}}}"
    monkeypatch.setattr("workers.relay.sign_in.gate.secrets.token_urlsafe", lambda _: session_id)
    with losing_a_node(), cluster() as urls:
        url = urls[0].replace("redis://", "redis+cluster://")
        async with contextlib.aclosing(create_client(url)) as client:
            assert isinstance(client, RedisCluster)
            calls = Calls(client)
            await calls.start("CA1")
            own = client.get_node_from_key(partition_key(partition_of("CA1", 64), ""))
            assert own
            lost = next(node for node in client.get_nodes() if node is not own)
            with redis.Redis(port=int(lost.port)) as server:
                server.shutdown(nosave=True)
            async with (
                running(url.replace(urls[0].rpartition(":")[2], str(own.port))) as relay,
                viewer(relay) as ann,
                ann.open("/api/calls/CA1/events") as feed,
            ):
                await feed.take(1)
                for n in range(2, 6):
                    await calls.say("CA1", "x")
                    assert [each.data["n"] for each in await feed.take(1)] == [n]
