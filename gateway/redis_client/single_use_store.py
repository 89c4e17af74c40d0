"""What all gateways remember together, in Redis: implements `Memory` of `replay_guard.py`.

One key per thing, which expires with it. Its value is the moment, and a mark by which a gateway
tells its own first attempt, whose answer was lost, from another's claim.
"""

import math
import secrets
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute

TIMEOUT_S: Final = 1.0  # for a send or a reply; a call that starts waits for it

_PREFIX: Final = "cs:once:"


class RedisSingleUseStore:
    """Moments by keys, in Unix seconds.

    Args:
        client: a single server's or a cluster's, made with `TIMEOUT_S`; whoever made it closes it.
        timeout_s: for each command.
    """

    def __init__(self, client: RedisClient, *, timeout_s: float = 2 * TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def claim(self, key: str, now_s: float, seconds: float) -> float | None:
        """Note the moment of a key that has none; see `Memory`."""
        value = f"{now_s:.3f} {secrets.token_hex(8)}"
        found: bytes | None = await execute(
            self._client,
            *("SET", _PREFIX + key, value, "NX", "GET", "EX", math.ceil(seconds)),
            timeout_s=self._timeout_s,
            get=True,
        )
        return None if found in (None, value.encode()) else _moment(found)

    async def find(self, key: str) -> float | None:
        """Return the moment of a key; see `Memory`."""
        found = await execute(self._client, "GET", _PREFIX + key, timeout_s=self._timeout_s)
        return None if found is None else _moment(found)


def _moment(value: bytes) -> float:
    return float(value.partition(b" ")[0])
