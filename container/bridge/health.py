"""Request the engine's health, for `/ping`."""

import asyncio
import time
from enum import StrEnum

from aiohttp import ClientError, ClientSession, ClientTimeout

_FRESH_S = 1.0  # minimum interval between requests to the engine, however often `/ping` is called


class Ping(StrEnum):
    """What `/ping` reports: 200 for a healthy engine, 503 for the others."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"  # this process stops


class EngineHealth:
    """The engine's health; a result is cached for `_FRESH_S`."""

    def __init__(self, session: ClientSession, url: str, timeout_s: float) -> None:
        self._session = session
        self._url = url
        self._timeout = ClientTimeout(total=timeout_s)
        self._requesting = asyncio.Lock()
        self._fresh_until_s = 0.0
        self._healthy = False

    async def healthy(self) -> bool:
        """Return whether the engine is healthy; request it unless the cached result is fresh."""
        async with self._requesting:
            if time.monotonic() >= self._fresh_until_s:
                self._healthy = await self._request()
                self._fresh_until_s = time.monotonic() + _FRESH_S
            return self._healthy

    async def _request(self) -> bool:
        try:
            async with self._session.get(self._url, timeout=self._timeout) as response:
                return response.status == 200
        except (ClientError, TimeoutError, OSError):
            return False
