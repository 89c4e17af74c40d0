"""Waiting for what another task or process does, where it offers no event to wait for."""

import asyncio
from collections.abc import Callable

_LIMIT_S = 20.0  # far beyond any expectation: a slow machine must not fail a test


async def eventually(holds: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail the test if it never does."""
    async with asyncio.timeout(_LIMIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)
