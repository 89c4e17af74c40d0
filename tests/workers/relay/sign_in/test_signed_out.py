"""The cache in front of the store of signed-out sessions."""

import asyncio

import pytest

from workers.relay.sign_in.signed_out import CachedSignedOut


class Store:
    """Counts reads."""

    def __init__(self) -> None:
        self.revoked: dict[str, int] = {}
        self.reads = 0

    async def revoke(self, session_id: str, until_s: int) -> None:
        self.revoked[session_id] = until_s

    async def is_revoked(self, session_id: str) -> bool:
        self.reads += 1
        return session_id in self.revoked


async def test_store_is_read_once_in_five_seconds() -> None:
    store, clock = Store(), [100.0]
    cached = CachedSignedOut(store, lambda: clock[0])
    for clock[0] in (100.0, 101.0, 104.9):
        assert not await cached.is_revoked("a")
    assert store.reads == 1
    await store.revoke("a", 200)  # by another relay
    clock[0] = 105.0
    assert await cached.is_revoked("a")
    assert store.reads == 2


async def test_viewers_who_connect_at_once_wait_for_few_reads() -> None:
    """Symptom to prevent: after a restart of the relay, all viewers get 503."""

    class Slow(Store):
        at_once = most = 0

        async def is_revoked(self, session_id: str) -> bool:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(0)
            self.at_once -= 1
            return await super().is_revoked(session_id)

    store = Slow()
    cached = CachedSignedOut(store, lambda: 100.0)
    same = [cached.is_revoked("a") for _ in range(100)]
    others = [cached.is_revoked(str(number)) for number in range(100)]
    assert not any(await asyncio.gather(*same, *others))
    assert store.most == 8
    assert store.reads < 120


async def test_own_sign_out_is_effective_at_once() -> None:
    store = Store()
    cached = CachedSignedOut(store, lambda: 100.0)
    assert not await cached.is_revoked("a")
    await cached.revoke("a", 200)
    assert await cached.is_revoked("a")
    assert store.revoked == {"a": 200}
    assert not await cached.is_revoked("b")


async def test_sign_out_during_a_read_is_kept() -> None:
    class Slow:
        async def revoke(self, session_id: str, until_s: int) -> None:
            pass

        async def is_revoked(self, session_id: str) -> bool:
            await cached.revoke(session_id, 200)
            return False

    cached = CachedSignedOut(Slow(), lambda: 100.0)
    assert await cached.is_revoked("a")
    assert await cached.is_revoked("a")


@pytest.mark.parametrize("sessions", [4096, 10_000])
async def test_cache_is_bounded(sessions: int) -> None:
    store = Store()
    cached = CachedSignedOut(store, lambda: 100.0)
    for number in range(sessions):
        await cached.is_revoked(str(number))
    assert not await cached.is_revoked(str(sessions - 4096))
    assert store.reads == sessions
    if sessions > 4096:
        await cached.is_revoked("0")
        assert store.reads == sessions + 1
