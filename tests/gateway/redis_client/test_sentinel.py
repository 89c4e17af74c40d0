"""Redis behind sentinels: clients connect to the current primary, even after a failover."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.admission.capacity_store import RedisCapacityStore
from gateway.admission.lease_pool import Acquisition
from gateway.errors import PublishError
from gateway.publishing.outbox import Limits
from gateway.publishing.redis_store import probe_writes
from gateway.redis_client.check import check
from gateway.redis_client.client import destination
from tests.gateway.ingress.remembered import claims_in
from tests.gateway.publishing.publisher_harness import (
    PARTITIONS,
    client_of,
    events_of,
    final,
    numbers,
    open_stream,
    publisher_at,
)
from tests.redis_servers import valkey
from tests.sentinels import Watched, fail_over, sentinel, watched_by_sentinel
from tests.waiting import eventually

_QUICK = Limits(flush_interval_s=0.002, backoff_first_s=0.005, backoff_max_s=0.05)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_by_sentinel(tmp_path) as made:
        yield made


async def test_every_client_follows_the_sentinels_to_the_new_primary(watched: Watched) -> None:
    async with (
        client_of(watched.url) as one,
        client_of(watched.url) as two,
        publisher_at(watched.url, _QUICK) as publisher,
    ):
        store, claim = RedisCapacityStore(one), claims_in(two)
        writer = open_stream(publisher, "CA1")
        writer.publish(final("a"))
        assert await store.acquire("a", ["1"], 1, 60) == Acquisition(True, 1)
        assert await claim("before", 60)
        await eventually(lambda: not publisher.buffered_events)
        await fail_over(watched)
        writer.publish(final("b"))
        await eventually(lambda: not publisher.buffered_events)
        assert await store.acquire("a", ["2"], 1, 60) == Acquisition(False, 1)
        assert not await claim("before", 60)
        assert await claim("after", 60)
        assert not await claim("after", 60)
        assert await probe_writes(one, PARTITIONS, 5) == [None]
        assert numbers(await events_of(watched.replica, "CA1")) == [1, 2]


async def test_the_database_of_the_url_is_used(watched: Watched) -> None:
    async with client_of(f"{watched.url}/3") as client:
        await client.execute_command("SET", "a", "b")
        assert "db3" in await client.execute_command("INFO", "keyspace")


async def test_destination_is_service_and_sentinels_without_credentials() -> None:
    url = "redis+sentinel://user:secret@b:1,a/calls/2?sentinel_username=u&sentinel_password=secret2"
    async with client_of(url) as client:
        assert destination(client) == "calls of a:26379, b:1/2"
        assert "secret" not in repr(client)


async def test_sentinels_and_redis_have_separate_credentials(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        redis_url = stack.enter_context(valkey())
        async with client_of(redis_url) as client:
            await client.execute_command("CONFIG", "SET", "requirepass", "r@1")
        port = stack.enter_context(
            sentinel(tmp_path, redis_url, "sentinel auth-pass calls r@1", "requirepass s@3")
        )
        address = f"127.0.0.1:{port}/calls"
        right = f"redis+sentinel://:r%401@{address}?sentinel_password=s%403"
        async with client_of(right) as client:
            await check(client)
        for url, message in (
            (f"redis+sentinel://:r%401@{address}", "the sentinels of calls of"),
            (
                f"redis+sentinel://:r%401@{address}?sentinel_password=x",
                "wrong user or password",
            ),
            (
                f"redis+sentinel://:wrong@{address}?sentinel_password=s%403",
                "wrong user or password",
            ),
        ):
            async with client_of(url) as client:
                with pytest.raises(PublishError, match=message) as caught:
                    await check(client)
            assert caught.value.reason == "redis-refused"
            assert "s@3" not in str(caught.value)
            assert "r@1" not in str(caught.value)


async def test_unknown_service_is_reported_as_unavailable(watched: Watched) -> None:
    async with client_of(watched.url.replace("/calls", "/other")) as client:
        with pytest.raises(PublishError, match="no sentinel monitors other of") as caught:
            await check(client)
    assert caught.value.reason == "redis-unavailable"
