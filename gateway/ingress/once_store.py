"""Claims of tokens and nonces in Redis: one key per value, which expires with it."""

import math
import secrets
from typing import Final

from gateway.ingress.once import Claim
from gateway.transcript.redis import RedisClient, execute

TIMEOUT_S: Final = 1.0  # for a send or a reply; a call that starts waits for it


def claims_in(client: RedisClient) -> Claim:
    """Return a function that claims a key for all gateways.

    Args:
        client: a single server's or a cluster's, made with `TIMEOUT_S`; whoever made it closes it.
    """

    async def claim(key: str, seconds: float) -> bool:
        # The mark tells our own first attempt, whose answer was lost, from another's claim.
        mark = secrets.token_hex(8)
        command = ("SET", f"cs:once:{key}", mark, "NX", "GET", "EX", math.ceil(seconds))
        found: bytes | None = await execute(client, *command, timeout_s=2 * TIMEOUT_S, get=True)
        return found in (None, mark.encode())

    return claim
