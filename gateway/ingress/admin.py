"""The private port: metrics for Prometheus, health for the platform."""

from aiohttp import web
from prometheus_client import CollectorRegistry

from common.exposition import private_app
from gateway.readiness import Readiness


def admin_app(registry: CollectorRegistry, readiness: Readiness) -> web.Application:
    """Make the private application.

    Args:
        registry: the metrics to show.
        readiness: what `/readyz` reports.
    """

    async def readyz(_: web.Request) -> web.Response:
        status, text = readiness.report()
        return web.Response(status=status, text=text)

    app = private_app(registry)
    app.router.add_get("/readyz", readyz)
    return app
