"""Fixtures of the admission tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest


@pytest.fixture
async def calls() -> AsyncIterator[AsyncExitStack]:
    """A stack for calls that stay live until the test ends."""
    async with AsyncExitStack() as stack:
        yield stack
