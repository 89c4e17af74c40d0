"""Store first uses in Redis, for all gateways: implements `SharedRecord` of `replay_guard.py`.

One Redis key per claimed key, with an expiry. Its value is the time of the claim and a random mark.
The mark distinguishes a gateway's own claim, retried because its reply was lost, from a claim of
another gateway.
"""

import math
import secrets
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute

TIMEOUT_S: Final = 1.0  # for each send and reply; delays the start of a call

_PREFIX: Final = "cs:once:"


class RedisSingleUseStore:
    """Stores the time of the first use of each key, in Unix seconds.

    Args:
        client: created with `TIMEOUT_S`; its creator closes it.
        timeout_s: for each command.
    """

    def __init__(self, client: RedisClient, *, timeout_s: float = 2 * TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def claim(self, key: str, now_s: float, seconds: float) -> float | None:
        """Store a key's first use, or return the time of an earlier one; see `SharedRecord`."""
        value = f"{now_s:.3f} {secrets.token_hex(8)}"
        found: bytes | None = await execute(
            self._client,
            *("SET", _PREFIX + key, value, "NX", "GET", "EX", math.ceil(seconds)),
            timeout_s=self._timeout_s,
            get=True,
        )
        return None if found in (None, value.encode()) else _time_of(found)

    async def find(self, key: str) -> float | None:
        """Return the time of a key's first use; see `SharedRecord`."""
        found = await execute(self._client, "GET", _PREFIX + key, timeout_s=self._timeout_s)
        return None if found is None else _time_of(found)


def _time_of(value: bytes) -> float:
    return float(value.partition(b" ")[0])
