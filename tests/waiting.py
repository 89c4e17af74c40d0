"""Waits for a condition that has no event."""

import asyncio
from collections.abc import Callable

_LIMIT_S = 20.0  # generous, so that a slow machine does not fail a test


async def eventually(holds: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail the test if it never does."""
    async with asyncio.timeout(_LIMIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)
