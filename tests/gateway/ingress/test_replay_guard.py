"""Replays are rejected at all gateways; repeated webhooks are recognized."""

import pytest

from gateway.carriers.carrier import SingleUse
from gateway.errors import CarrierError
from gateway.ingress.replay_guard import ReplayGuard
from gateway.redis_client.single_use_store import RedisSingleUseStore
from tests.gateway.ingress.remembered import Remembered
from tests.gateway.publishing.publisher_harness import client_of

DAY_S = 86_400


class SharedMemory(Remembered):
    """The record that all gateways share."""

    now_s = 1000.0

    def gateway(self) -> ReplayGuard:
        return ReplayGuard(self, lambda: self.now_s, DAY_S)


@pytest.fixture
def memory() -> SharedMemory:
    return SharedMemory()


async def test_second_use_is_rejected(memory: SharedMemory) -> None:
    guard = memory.gateway()
    await guard.use_once(SingleUse("a", 1060))
    await guard.use_once(SingleUse("b", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await guard.use_once(SingleUse("a", 1060))


async def test_second_use_at_another_gateway_is_rejected(memory: SharedMemory) -> None:
    await memory.gateway().use_once(SingleUse("a", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await memory.gateway().use_once(SingleUse("a", 1060))


async def test_local_record_is_used_while_redis_is_unavailable(memory: SharedMemory) -> None:
    memory.is_unavailable = True
    guard = memory.gateway()
    await guard.use_once(SingleUse("a", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await guard.use_once(SingleUse("a", 1060))


async def test_record_expires_with_the_value(memory: SharedMemory) -> None:
    guard = memory.gateway()
    await guard.use_once(SingleUse("a", 1060))
    assert list(memory.seconds.values()) == [120]  # plus a minute, because clocks differ
    memory.moments.clear()
    memory.now_s = 1121
    await guard.use_once(SingleUse("a", 1181))


async def test_only_digests_are_stored(memory: SharedMemory) -> None:
    await memory.gateway().use_once(SingleUse("a-secret", 1060))
    assert "secret" not in str(memory.moments)


async def test_none_is_always_accepted(memory: SharedMemory) -> None:
    guard = memory.gateway()
    await guard.use_once(None)
    await guard.use_once(None)


class TestMarkUsed:
    async def test_value_is_valid_until_marked_used(self, memory: SharedMemory) -> None:
        here, there = memory.gateway(), memory.gateway()
        once = SingleUse("a", 1300, until_end=True)
        for gateway in (here, here, there):
            await gateway.check_not_revoked(once)
        await here.revoke(once)
        for gateway in (here, there, memory.gateway()):
            with pytest.raises(CarrierError, match="replayed"):
                await gateway.check_not_revoked(once)

    async def test_marked_value_is_rejected_locally_while_redis_is_unavailable(
        self, memory: SharedMemory
    ) -> None:
        memory.is_unavailable = True
        here, there = memory.gateway(), memory.gateway()
        once = SingleUse("a", 1300, until_end=True)
        await here.revoke(once)
        with pytest.raises(CarrierError, match="replayed"):
            await here.check_not_revoked(once)
        await there.check_not_revoked(once)


class TestFirstSeen:
    async def test_all_gateways_return_the_same_time(self, memory: SharedMemory) -> None:
        """Symptom: a webhook that the vendor retried after a timeout was refused."""
        once = SingleUse("a", None)
        assert await memory.gateway().record_first_seen(once) == 1000
        memory.now_s = 1299
        guard = memory.gateway()
        assert await guard.record_first_seen(once) == 1000
        assert await guard.record_first_seen(once) == 1000

    async def test_value_is_rejected_after_the_retry_window(self, memory: SharedMemory) -> None:
        """Symptom: a captured webhook without a timestamp received new tokens forever."""
        once = SingleUse("a", None)
        guard = memory.gateway()
        await guard.record_first_seen(once)
        for later_s in (1301, 1000 + DAY_S):
            memory.now_s = later_s
            for gateway in (guard, memory.gateway()):
                with pytest.raises(CarrierError, match="replayed"):
                    await gateway.record_first_seen(once)
        assert list(memory.seconds.values()) == [DAY_S + 60]


async def test_redis_keeps_the_first_time(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        store = RedisSingleUseStore(client, timeout_s=20)
        assert await store.find("a") is None
        assert await store.claim("a", 1000.25, 60) is None
        assert await store.claim("a", 2000.0, 60) == 1000.25
        assert await store.find("a") == 1000.25
        assert 0 < await client.ttl("cs:once:a") <= 60
