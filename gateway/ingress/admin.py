"""The private port: metrics for Prometheus, health for the platform."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from process.exposition import private_app

_CHECK_TIMEOUT_S: Final = 2.0


def admin_app(
    registry: CollectorRegistry, check: Callable[[], Awaitable[str | None]]
) -> web.Application:
    """Make the private application.

    Args:
        registry: the metrics to show.
        check: tells why the process should get no new calls now; None if it should.
    """

    async def readyz(_: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                problem = await check()
        except TimeoutError:
            problem = "redis-unavailable"
        return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")

    app = private_app(registry)
    app.router.add_get("/readyz", readyz)
    return app
