"""Records that gateways share: a `Memory` for tests without a server, and claims in Redis."""

from collections.abc import Awaitable, Callable

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.redis_client.single_use_store import RedisSingleUseStore


class Remembered:
    """Implements `Memory`; raises PublishError while `is_unavailable`."""

    def __init__(self) -> None:
        self.moments: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.is_unavailable = False

    async def claim(self, key: str, now_s: float, seconds: float) -> float | None:
        before_s = await self.find(key)
        if before_s is None:
            self.moments[key], self.seconds[key] = now_s, seconds
        return before_s

    async def find(self, key: str) -> float | None:
        if self.is_unavailable:
            raise PublishError("redis-unavailable")
        return self.moments.get(key)


def claims_in(client: RedisClient) -> Callable[[str, float], Awaitable[bool]]:
    """Return a function that claims a key in Redis and returns whether the key was new."""
    memory = RedisSingleUseStore(client)

    async def claim(key: str, seconds: float) -> bool:
        return await memory.claim(key, 0, seconds) is None

    return claim
