"""Stores which sessions were signed out, for all relays, until they would have expired."""

import math
from collections.abc import Callable
from typing import Final, Protocol

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute

_PREFIX: Final = "cs:relay:signed-out:"
_TIMEOUT_S: Final = 1.0
_CACHED_S: Final = 5.0  # another relay accepts a session for this long after it was signed out
_MAX_CACHED: Final = 4096


class SignedOut(Protocol):
    """A store of signed-out sessions. Both methods raise `PublishError` if it is unavailable."""

    async def revoke(self, session_id: str, until_s: int) -> None:
        """Revoke a session that would have expired at `until_s`, in Unix seconds."""

    async def is_revoked(self, session_id: str) -> bool:
        """Return whether a session was revoked."""


class RedisSignedOut:
    """Stores one key per signed-out session in Redis; implements `SignedOut`.

    Args:
        client: from `gateway.redis_client.client.create_client`; its creator closes it.
        wall_s: the current time, in Unix seconds.
    """

    def __init__(self, client: RedisClient, wall_s: Callable[[], float]) -> None:
        self._client = client
        self._wall_s = wall_s

    async def revoke(self, session_id: str, until_s: int) -> None:
        """Revoke a session that would have expired at `until_s`, in Unix seconds."""
        seconds = max(1, math.ceil(until_s - self._wall_s()))
        command = ("SET", _PREFIX + session_id, "1", "EX", seconds)
        await execute(self._client, *command, timeout_s=_TIMEOUT_S)

    async def is_revoked(self, session_id: str) -> bool:
        """Return whether a session was revoked."""
        key = _PREFIX + session_id
        return await execute(self._client, "GET", key, timeout_s=_TIMEOUT_S) is not None


class CachedSignedOut:
    """Caches a store's results for 5 s; implements `SignedOut`.

    Args:
        store: the store.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(self, store: SignedOut, monotonic_s: Callable[[], float]) -> None:
        self._store = store
        self._monotonic_s = monotonic_s
        self._cached: dict[str, tuple[float, bool]] = {}  # session -> valid until, and revoked

    async def revoke(self, session_id: str, until_s: int) -> None:
        """Revoke a session that would have expired at `until_s`, in Unix seconds."""
        await self._store.revoke(session_id, until_s)
        self._keep(session_id, is_revoked=True)

    async def is_revoked(self, session_id: str) -> bool:
        """Return whether a session was revoked."""
        valid_until_s, is_revoked = self._cached.get(session_id, (0.0, False))
        if self._monotonic_s() >= valid_until_s:
            is_revoked = self._keep(session_id, is_revoked=await self._store.is_revoked(session_id))
        return is_revoked

    def _keep(self, session_id: str, *, is_revoked: bool) -> bool:
        """Cache a result and return it. A session that was revoked while it was read stays so."""
        _, was_revoked = self._cached.pop(session_id, (0.0, False))
        is_revoked = is_revoked or was_revoked
        if len(self._cached) >= _MAX_CACHED:
            del self._cached[next(iter(self._cached))]
        self._cached[session_id] = self._monotonic_s() + _CACHED_S, is_revoked
        return is_revoked
