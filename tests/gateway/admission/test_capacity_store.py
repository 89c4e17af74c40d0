"""The contract of capacity stores, checked with Redis, a Redis cluster and the one in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.admission.capacity_store import TIMEOUT_S, RedisCapacityStore, pool_key
from gateway.admission.lease_pool import Acquisition, CapacityStore
from gateway.errors import PublishError
from gateway.redis_client.client import create_client
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.redis_servers import free_port

LONG_S = 60.0


@pytest.fixture(params=["memory", "redis", "cluster"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[CapacityStore]:
    if request.param == "memory":
        yield MemoryCapacityStore(asyncio.get_running_loop().time)
        return
    fixture = {"redis": "redis_url", "cluster": "redis_cluster_url"}[request.param]
    client = create_client(request.getfixturevalue(fixture), TIMEOUT_S)
    yield RedisCapacityStore(client)
    await client.aclose()


async def test_acquire_grants_all_leases_or_none(store: CapacityStore) -> None:
    assert await store.acquire("a", ["1", "2"], 3, LONG_S) == Acquisition(True, 2)
    assert await store.acquire("a", ["3", "4"], 3, LONG_S) == Acquisition(False, 2)
    assert await store.acquire("a", ["3"], 3, LONG_S) == Acquisition(True, 3)
    assert await store.acquire("a", ["5"], 3, LONG_S) == Acquisition(False, 3)


async def test_pools_are_independent(store: CapacityStore) -> None:
    assert await store.acquire("a", ["1"], 1, LONG_S) == Acquisition(True, 1)
    assert await store.acquire("b", ["1"], 1, LONG_S) == Acquisition(True, 1)


async def test_repeated_acquire_is_idempotent(store: CapacityStore) -> None:
    assert await store.acquire("a", ["1", "2"], 2, LONG_S) == Acquisition(True, 2)
    assert await store.acquire("a", ["1", "2"], 2, LONG_S) == Acquisition(True, 2)


async def test_released_slots_are_available(store: CapacityStore) -> None:
    await store.acquire("a", ["1", "2"], 2, LONG_S)
    await store.release("a", ["1", "unknown"])
    assert await store.acquire("a", ["3"], 2, LONG_S) == Acquisition(True, 2)


async def test_renew_registers_unknown_leases_above_the_limit(
    store: CapacityStore,
) -> None:
    await store.acquire("a", ["1"], 1, LONG_S)
    assert await store.renew("a", ["2", "3"], LONG_S) == 3
    assert await store.acquire("a", ["4"], 3, LONG_S) == Acquisition(False, 3)


async def test_renew_without_leases_returns_the_count(store: CapacityStore) -> None:
    assert await store.renew("a", [], LONG_S) == 0
    await store.acquire("a", ["1"], 1, LONG_S)
    assert await store.renew("a", [], LONG_S) == 1


async def test_leases_expire_unless_renewed(store: CapacityStore) -> None:
    await store.acquire("a", ["kept", "lapsed"], 2, 0.2)
    await store.renew("a", ["kept"], LONG_S)
    async with asyncio.timeout(20):
        while await store.renew("a", [], LONG_S) > 1:  # noqa: ASYNC110  # the server's clock
            await asyncio.sleep(0.02)
    assert await store.acquire("a", ["next"], 2, LONG_S) == Acquisition(True, 2)
    assert await store.acquire("a", ["another"], 2, LONG_S) == Acquisition(False, 2)


async def test_shorter_lease_does_not_expire_longer_ones(store: CapacityStore) -> None:
    """Symptom: with different GATEWAY_LEASE_S, the slots of live calls expired."""
    await store.acquire("a", ["long", "longer"], 4, LONG_S)
    await store.acquire("a", ["short"], 4, 0.2)
    async with asyncio.timeout(20):
        while await store.renew("a", [], LONG_S) > 2:  # noqa: ASYNC110  # the server's clock
            await asyncio.sleep(0.02)
    assert await store.renew("a", [], LONG_S) == 2


async def test_concurrent_acquires_respect_the_limit(store: CapacityStore) -> None:
    answers = await asyncio.gather(
        *(store.acquire("a", [f"{i}a", f"{i}b"], 7, LONG_S) for i in range(20))
    )
    assert sum(answer.granted for answer in answers) == 3
    assert await store.renew("a", [], LONG_S) == 6


async def test_unused_pool_leaves_no_key(redis_url: str) -> None:
    client = create_client(redis_url)
    store = RedisCapacityStore(client)
    await store.acquire("a", ["1"], 1, 0.05)
    async with asyncio.timeout(20):
        while await client.execute_command("EXISTS", pool_key("a")):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
    await client.aclose()


async def test_unavailable_server_raises_publish_error() -> None:
    client = create_client(f"redis://127.0.0.1:{free_port()}", TIMEOUT_S)
    store = RedisCapacityStore(client)
    with pytest.raises(PublishError, match="redis-unavailable"):
        await store.acquire("a", ["1"], 1, LONG_S)
    with pytest.raises(PublishError, match="redis-unavailable"):
        await store.release("a", ["1"])
    await client.aclose()


async def test_key_of_another_type_raises_publish_error(redis_url: str) -> None:
    client = create_client(redis_url, TIMEOUT_S)
    await client.execute_command("SET", pool_key("a"), "x")
    with pytest.raises(PublishError):
        await RedisCapacityStore(client).acquire("a", ["1"], 1, LONG_S)
    await client.aclose()
