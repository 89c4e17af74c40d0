"""What tests of admission share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest


@pytest.fixture
async def calls() -> AsyncIterator[AsyncExitStack]:
    """Calls that live until the test is over."""
    async with AsyncExitStack() as stack:
        yield stack
