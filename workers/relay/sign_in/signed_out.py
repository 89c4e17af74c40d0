"""Stores which sessions were signed out, for all relays, until they would have expired."""

import asyncio
import math
from collections.abc import Callable
from typing import Final, Protocol

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute

_PREFIX: Final = "cs:relay:signed-out:"
_TIMEOUT_S: Final = 1.0
_CACHED_S: Final = 5.0  # another relay accepts a session for this long after it was signed out
_MAX_CACHED: Final = 4096
_READERS: Final = 8  # reads at the same time
_TURN_TIMEOUT_S: Final = 5.0


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

    Only some reads are made at the same time. After a restart of the relay, all viewers connect at
    once; each read would open a connection, and time out.

    Args:
        store: the store.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(self, store: SignedOut, monotonic_s: Callable[[], float]) -> None:
        self._store = store
        self._monotonic_s = monotonic_s
        self._turns = asyncio.Semaphore(_READERS)
        self._cached: dict[str, tuple[float, bool]] = {}  # session -> valid until, and revoked

    async def revoke(self, session_id: str, until_s: int) -> None:
        """Revoke a session that would have expired at `until_s`, in Unix seconds."""
        await self._store.revoke(session_id, until_s)
        self._keep(session_id, is_revoked=True)

    async def is_revoked(self, session_id: str) -> bool:
        """Return whether a session was revoked."""
        is_revoked = self._known(session_id)
        if is_revoked is not None:
            return is_revoked
        try:
            async with asyncio.timeout(_TURN_TIMEOUT_S), self._turns:
                is_revoked = self._known(session_id)  # another request may have read it meanwhile
                if is_revoked is None:
                    found = await self._store.is_revoked(session_id)
                    is_revoked = self._keep(session_id, is_revoked=found)
                return is_revoked
        except TimeoutError:
            raise PublishError("redis-unavailable", "no turn to read the session") from None

    def _known(self, session_id: str) -> bool | None:
        """Return a cached result; None if there is none, or it is too old."""
        valid_until_s, is_revoked = self._cached.get(session_id, (0.0, False))
        return is_revoked if self._monotonic_s() < valid_until_s else None

    def _keep(self, session_id: str, *, is_revoked: bool) -> bool:
        """Cache a result and return it. A session that was revoked while it was read stays so."""
        _, was_revoked = self._cached.pop(session_id, (0.0, False))
        is_revoked = is_revoked or was_revoked
        if len(self._cached) >= _MAX_CACHED:
            del self._cached[next(iter(self._cached))]
        self._cached[session_id] = self._monotonic_s() + _CACHED_S, is_revoked
        return is_revoked
