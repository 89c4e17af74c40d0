"""The private port: metrics for Prometheus, health for the platform."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_CHECK_TIMEOUT_S: Final = 2.0


def admin_app(
    registry: CollectorRegistry, check: Callable[[], Awaitable[str | None]]
) -> web.Application:
    """Make the private application.

    Args:
        registry: the metrics to show.
        check: tells why the process should get no new calls now; None if it should.
    """

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                problem = await check()
        except TimeoutError:
            problem = "redis-unavailable"
        return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app
