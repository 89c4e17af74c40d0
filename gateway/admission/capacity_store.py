"""The capacity store in Redis: per stock a sorted set of leases, by the server's own clock.

Each stock's key has a hash tag of its own, so that stocks spread over a Redis Cluster's nodes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.admission.lease_pool import Acquisition
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute

TIMEOUT_S: Final = 1.0  # for a send or a reply; a call that starts waits for it

_SCRIPT = Path(__file__).with_name("leases.lua").read_text(encoding="utf-8")


def pool_key(pool: str) -> str:
    """Name the key of a stock's leases."""
    return f"cs:{{cap:{pool}}}:places"


class RedisCapacityStore:
    """Implements `CapacityStore`.

    Args:
        client: a single server's or a cluster's, made with `TIMEOUT_S`; whoever made it closes it.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        """Register leases, all or none."""
        granted, places = await self._run(pool, limit, round(lease_s * 1000), *leases)
        return Acquisition(granted == 1, places)

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        """Register or renew leases; gives how many places are taken."""
        _, places = await self._run(pool, "", round(lease_s * 1000), *leases)
        return int(places)

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        """Forget leases."""
        await self._execute("ZREM", pool_key(pool), *leases)

    async def _run(self, pool: str, *arguments: str | int) -> tuple[int, int]:
        # The script's whole text, not its hash: it is a kilobyte, once per call.
        granted, places = await self._execute("EVAL", _SCRIPT, 1, pool_key(pool), *arguments)
        return granted, places

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401  # Redis' own values
        return await execute(self._client, *command, timeout_s=2 * TIMEOUT_S)
