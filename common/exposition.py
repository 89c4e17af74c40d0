"""HTTP handlers of a process's private port: /metrics for Prometheus, /healthz for the platform."""

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def metrics_of(registry: CollectorRegistry) -> Handler:
    """Return a handler of /metrics for a registry."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    return metrics


def private_app(registry: CollectorRegistry) -> web.Application:
    """Return the application of a private port, with /metrics and /healthz."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics_of(registry))
    app.router.add_get("/healthz", healthz)
    return app
