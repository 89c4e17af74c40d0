"""The engine's HTTP server: routes, health and metrics.

GET /v1/realtime       WebSocket: one `Connection` each
GET /health, /ping     an empty 200; 503 once the model has failed
GET /metrics           Prometheus
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from common.exposition import metrics_of
from container.cpu import protocol
from container.cpu.connection import Connection
from container.cpu.settings import Settings
from container.cpu.slots import Slots
from container.cpu.transcriber import Transcriber

_log = logging.getLogger(__name__)

type OnFailed = Callable[[BaseException], None]


class Engine:
    """The connections of one engine and the resources they share.

    Args:
        settings: of this process.
        make_transcriber: called once, with the callback for a failure of the model.

    Attributes:
        failed: set when the model has failed, so that the process must exit.
    """

    def __init__(
        self, settings: Settings, make_transcriber: Callable[[OnFailed], Transcriber]
    ) -> None:
        self.failed = asyncio.Event()
        self._rules = settings.rules()
        self._slots = Slots(settings.max_num_seqs)
        self._connections: set[Connection] = set()
        self._authorization: bytes | None = None
        if settings.api_key is not None:
            self._authorization = f"Bearer {settings.api_key.get_secret_value()}".encode()
        self._transcriber = make_transcriber(self._fail)
        self._restarts: asyncio.Future[list[None]] | None = None
        self._registry = self._metrics()

    def app(self) -> web.Application:
        """Build the application with the engine's routes."""
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve_realtime)
        app.router.add_get("/health", self._serve_health)
        app.router.add_get("/ping", self._serve_health)
        app.router.add_get("/metrics", metrics_of(self._registry))
        app.on_shutdown.append(self._restart)
        app.cleanup_ctx.append(self._hold_transcriber)
        return app

    async def _serve_realtime(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if self._authorization and not hmac.compare_digest(given, self._authorization):
            return web.json_response({"error": "Unauthorized"}, status=401)
        connection = Connection(self._rules, self._slots, self._transcriber)
        self._connections.add(connection)
        try:
            return await connection.serve(request)
        finally:
            self._connections.discard(connection)

    async def _serve_health(self, _request: web.Request) -> web.Response:
        return web.Response(status=503 if self.failed.is_set() else 200)

    def _metrics(self) -> CollectorRegistry:
        registry = CollectorRegistry()

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(name, text, namespace="callscribe_engine", registry=registry).set_function(value)

        gauge("sessions", "Realtime connections open now.", lambda: len(self._connections))
        gauge("generations_waiting", "Generations without a slot.", lambda: self._slots.waiting)
        gauge(
            "lag_seconds",
            "Audio that the slowest session waits for the model to hear, in seconds.",
            lambda: self._transcriber.lag_s,
        )
        return registry

    def _fail(self, error: BaseException) -> None:
        """Send an error to every session and close it, as vLLM does when its model fails."""
        _log.error("model-failed: %s", type(error).__name__)
        self.failed.set()
        message = protocol.error("processing_error", "The model failed")
        self._restarts = asyncio.gather(*(one.restart(message) for one in self._connections))

    async def _restart(self, _app: web.Application) -> None:
        await asyncio.gather(*(one.restart() for one in self._connections))

    async def _hold_transcriber(self, _app: web.Application) -> AsyncIterator[None]:
        yield
        await asyncio.get_running_loop().run_in_executor(None, self._transcriber.close)
