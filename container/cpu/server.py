"""The engine's HTTP server: routes, health and metrics.

GET /v1/realtime       WebSocket: one `Connection` each, vLLM's API; with `?intent=transcription`
                       OpenAI's, or SGLang's or Speaches' version of it
GET /v1/listen         the same, Deepgram's API
GET /v1/audio/transcriptions/realtime?model=
                       the same, Mistral's protocol
GET /health, /ping     an empty 200; 503 once the model has failed
GET /metrics           Prometheus
"""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from common.exposition import metrics_of
from container.cpu import deepgram, deepgram_query, mistral
from container.cpu.connection import Connection
from container.cpu.openai import OpenAiSession
from container.cpu.openai_protocol import OpenAiServer
from container.cpu.server_session import ServerSession
from container.cpu.session import RealtimeSession
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
        self._openai_server = settings.openai_server
        self._mistral = settings.mistral()
        self._slots = Slots(settings.max_num_seqs)
        self._connections: set[Connection] = set()
        self._api_key = settings.api_key
        self._transcriber = make_transcriber(self._fail)
        self._restarts: asyncio.Future[list[None]] | None = None
        self._registry = self._metrics()

    def app(self) -> web.Application:
        """Build the application with the engine's routes."""
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve_realtime)
        app.router.add_get("/v1/listen", self._serve_listen)
        app.router.add_get("/v1/audio/transcriptions/realtime", self._serve_mistral)
        app.router.add_get("/health", self._serve_health)
        app.router.add_get("/ping", self._serve_health)
        app.router.add_get("/metrics", metrics_of(self._registry))
        app.on_shutdown.append(self._restart)
        app.cleanup_ctx.append(self._hold_transcriber)
        return app

    async def _serve_realtime(self, request: web.Request) -> web.StreamResponse:
        if not self._is_authorized(request, "Bearer"):
            return web.json_response({"error": "Unauthorized"}, status=401)
        is_speaches = self._openai_server is OpenAiServer.SPEACHES
        if _is_of_openai(request) and is_speaches and "model" not in request.query:
            return web.json_response({"error": "Forbidden"}, status=403)
        return await self._serve(request, self._session(request))

    def _session(self, request: web.Request) -> ServerSession:
        session_id, now_s = secrets.token_hex(8), int(time.time())
        if _is_of_openai(request):
            model = request.query.get("model")
            return OpenAiSession(self._rules, self._openai_server, session_id, now_s, model)
        return RealtimeSession(self._rules, session_id, now_s)

    async def _serve_listen(self, request: web.Request) -> web.StreamResponse:
        request_id = str(uuid4())
        if not self._is_authorized(request, "Token"):
            return _refused(401, "INVALID_AUTH", "Invalid credentials.", request_id)
        try:
            options = deepgram_query.parse_query(request.query.items())
        except deepgram_query.RefusedError as error:
            return _refused(400, "Bad Request", str(error), request_id)
        options = replace(options, interpolates=self._rules.interpolates)
        created = datetime.now(UTC).isoformat()
        return await self._serve(request, deepgram.ListenSession(options, request_id, created))

    async def _serve_mistral(self, request: web.Request) -> web.StreamResponse:
        if not self._is_authorized(request, "Bearer"):
            return web.json_response({"error": "Unauthorized"}, status=401)
        model = request.query.get("model")
        if model != self._rules.model_name:
            return web.json_response(mistral.refusal(model), status=400)
        session = mistral.MistralSession(self._rules, self._mistral, secrets.token_hex(16))
        return await self._serve(request, session)

    def _is_authorized(self, request: web.Request, scheme: str) -> bool:
        if self._api_key is None:
            return True
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        expected = f"{scheme} {self._api_key.get_secret_value()}".encode()
        return hmac.compare_digest(given, expected)

    async def _serve(self, request: web.Request, session: ServerSession) -> web.StreamResponse:
        connection = Connection(session, self._slots, self._transcriber)
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
        problem = "The model failed"
        self._restarts = asyncio.gather(*(one.restart(problem) for one in self._connections))

    async def _restart(self, _app: web.Application) -> None:
        await asyncio.gather(*(one.restart() for one in self._connections))

    async def _hold_transcriber(self, _app: web.Application) -> AsyncIterator[None]:
        yield
        await asyncio.get_running_loop().run_in_executor(None, self._transcriber.close)


def _is_of_openai(request: web.Request) -> bool:
    return request.query.get("intent") == "transcription"


def _refused(status: int, code: str, message: str, request_id: str) -> web.Response:
    """Refuse an upgrade as Deepgram does."""
    body = {"err_code": code, "err_msg": message, "request_id": request_id}
    return web.json_response(body, status=status)
