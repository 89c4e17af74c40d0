"""The capacity store in Redis: one sorted set of leases per lease pool, timed by Redis's clock.

Each pool's key has a hash tag of its own, so that the pools spread over a Redis Cluster's nodes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.admission.lease_pool import Acquisition
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute

TIMEOUT_S: Final = 1.0  # for a send or a reply; short, because a starting call waits for it

_SCRIPT = Path(__file__).with_name("leases.lua").read_text(encoding="utf-8")


def pool_key(pool: str) -> str:
    """Return the key of a pool's leases."""
    return f"cs:{{cap:{pool}}}:places"


class RedisCapacityStore:
    """Implements `CapacityStore`.

    Args:
        client: of a single server or a cluster, created with `TIMEOUT_S`. Its creator closes it.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        """Register leases, all or none."""
        granted, taken = await self._run(pool, limit, round(lease_s * 1000), *leases)
        return Acquisition(granted == 1, taken)

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        """Register or renew leases; return how many slots all gateways hold."""
        _, taken = await self._run(pool, "", round(lease_s * 1000), *leases)
        return int(taken)

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        """Delete leases."""
        await self._execute("ZREM", pool_key(pool), *leases)

    async def _run(self, pool: str, *arguments: str | int) -> tuple[int, int]:
        # EVAL instead of EVALSHA: the script is 1.5 kB and runs about once per call.
        granted, taken = await self._execute("EVAL", _SCRIPT, 1, pool_key(pool), *arguments)
        return granted, taken

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401  # any Redis reply
        return await execute(self._client, *command, timeout_s=2 * TIMEOUT_S)
