"""A relay, a browser, and what writes events."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser

from gateway.redis_client.client import create_client
from tests.browser.chromium import chromium
from tests.workers.relay.a_relay import ARelay, Assistants, Calls, running


@dataclass(frozen=True, slots=True)
class World:
    """A relay of both kinds of text, a browser, and what writes events."""

    redis_url: str
    relay: ARelay
    calls: Calls
    assistants: Assistants
    browser: Browser


@contextlib.asynccontextmanager
async def new_world(redis_url: str, **relay: Any) -> AsyncIterator[World]:
    """Run a relay, with further settings, and a browser."""
    async with (
        contextlib.aclosing(create_client(redis_url)) as client,
        running(redis_url, text="both", **relay) as started,
        chromium() as browser,
    ):
        yield World(redis_url, started, Calls(client), Assistants(client), browser)
