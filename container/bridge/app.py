"""The bridge's HTTP server: routes, metrics and the client session of all connections."""

import asyncio
import logging
from collections.abc import AsyncIterator

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWSTimeout,
    TCPConnector,
    WSCloseCode,
    WSServerHandshakeError,
    web,
)
from prometheus_client import CollectorRegistry, Counter, Gauge

from common.exposition import metrics_of
from container.bridge.health import EngineHealth
from container.bridge.relay import End, Ended, EngineSocket, PlatformSocket, Relay
from container.bridge.settings import Settings

# The engine accepts 16 MiB; aiohttp rejects a frame of exactly its limit.
_LIMIT_BYTES = 16 * 1024 * 1024 + 1
_CLOSE_TIMEOUT_S = 2.0
_RESTART = Ended(End.RESTART, WSCloseCode.SERVICE_RESTART, b"restarting")
_log = logging.getLogger(__name__)


class Bridge:
    """The sessions of one bridge and the resources they share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._restarting = asyncio.Event()
        self._session: ClientSession | None = None
        self._health: EngineHealth | None = None
        self._registry = CollectorRegistry()
        self._live = Gauge("callscribe_bridge_sessions", "Live sessions.", registry=self._registry)
        self._ended = Counter(
            "callscribe_bridge_sessions_ended",
            "Sessions by how they ended.",
            ["end"],
            registry=self._registry,
        )
        for end in End:
            self._ended.labels(end=end)

    def app(self) -> web.Application:
        """Build the application with the bridge's routes."""
        app = web.Application()
        app.router.add_get("/invocations-bidirectional-stream", self._serve_session)
        app.router.add_get("/ping", self._serve_ping)
        app.router.add_get("/metrics", metrics_of(self._registry))
        app.on_shutdown.append(self._restart)
        app.cleanup_ctx.append(self._hold_client)
        return app

    async def _serve_session(self, request: web.Request) -> web.StreamResponse:
        """Serve one session.

        The platform's WebSocket is accepted before the engine's is open: SageMaker allows a
        container 250 ms, and an engine may need longer.
        """
        platform: PlatformSocket = web.WebSocketResponse(
            autoclose=False,  # the Close is replied to when no reply is pending
            compress=False,
            decode_text=False,
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=_LIMIT_BYTES,
            timeout=_CLOSE_TIMEOUT_S,
        )
        await platform.prepare(request)
        with self._live.track_inprogress():
            ended = await self._first_end(platform)
            self._ended.labels(end=ended.end).inc()
            _log.info("session-ended end=%s code=%d", ended.end, ended.code)
            await platform.close(code=ended.code, message=ended.reason)
        return platform

    async def _first_end(self, platform: PlatformSocket) -> Ended:
        """Relay until the session ends or this process stops."""
        relaying = asyncio.create_task(self._relay(platform))
        restarting = asyncio.create_task(self._restarting.wait())
        try:
            await asyncio.wait({relaying, restarting}, return_when=asyncio.FIRST_COMPLETED)
            return relaying.result() if relaying.done() else _RESTART
        finally:
            relaying.cancel()
            restarting.cancel()
            await asyncio.gather(relaying, restarting, return_exceptions=True)

    async def _relay(self, platform: PlatformSocket) -> Ended:
        """Open a session at the engine and relay; the platform is not read before that."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                engine = await self._connect()
        except WSServerHandshakeError as error:
            reason = f"engine refused: {error.status}".encode()
            return Ended(End.ENGINE_REFUSED, WSCloseCode.INTERNAL_ERROR, reason)
        except (ClientError, OSError, TimeoutError):
            return Ended(End.ENGINE_UNREACHABLE, WSCloseCode.TRY_AGAIN_LATER, b"engine unreachable")
        async with engine:
            return await Relay(platform, engine, self._settings.drain_timeout_s).run()

    async def _connect(self) -> EngineSocket:
        assert self._session is not None  # noqa: S101 - set while the routes are served
        return await self._session.ws_connect(
            f"{self._settings.engine_url}/v1/realtime",
            autoclose=False,  # its code and reason are forwarded first
            decode_text=False,
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=_LIMIT_BYTES,
            timeout=ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
        )

    async def _serve_ping(self, _request: web.Request) -> web.Response:
        assert self._health is not None  # noqa: S101 - set while the routes are served
        healthy = not self._restarting.is_set() and await self._health.healthy()
        return web.Response(status=200 if healthy else 503)

    async def _restart(self, _app: web.Application) -> None:
        self._restarting.set()

    async def _hold_client(self, _app: web.Application) -> AsyncIterator[None]:
        """Keep one client session open while the routes are served."""
        key = self._settings.engine_api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else None
        async with ClientSession(connector=TCPConnector(limit=0), headers=headers) as session:
            self._session = session
            self._health = EngineHealth(
                session, f"{self._settings.engine_url}/health", self._settings.health_timeout_s
            )
            yield
