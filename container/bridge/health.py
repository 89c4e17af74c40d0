"""The engine's health, for `/ping`."""

import asyncio
import time

from aiohttp import ClientError, ClientSession, ClientTimeout

_FRESH_S = 1.0  # however often we are pinged, the engine is asked this seldom


class EngineHealth:
    """Whether the engine is healthy: an answer is used again while it is fresh."""

    def __init__(self, session: ClientSession, url: str, timeout_s: float) -> None:
        self._session = session
        self._url = url
        self._timeout = ClientTimeout(total=timeout_s)
        self._asking = asyncio.Lock()
        self._fresh_until_s = 0.0
        self._healthy = False

    async def healthy(self) -> bool:
        """Ask the engine, unless the last answer is fresh."""
        async with self._asking:
            if time.monotonic() >= self._fresh_until_s:
                self._healthy = await self._ask()
                self._fresh_until_s = time.monotonic() + _FRESH_S
            return self._healthy

    async def _ask(self) -> bool:
        try:
            async with self._session.get(self._url, timeout=self._timeout) as response:
                return response.status == 200
        except (ClientError, TimeoutError, OSError):
            return False
