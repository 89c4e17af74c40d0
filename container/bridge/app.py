"""The bridge's HTTP server: routes, admission, drain, and the client session of all connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import (
    ClientError,
    ClientSession,
    ClientWSTimeout,
    TCPConnector,
    WSCloseCode,
    WSServerHandshakeError,
    web,
)
from prometheus_client import CollectorRegistry

from common.exposition import metrics_of
from container.bridge import coalescing
from container.bridge.ends import End, Ended
from container.bridge.health import EngineHealth, Ping
from container.bridge.record import Metrics, SessionRecord
from container.bridge.relay import EngineSocket, Limits, PlatformSocket, Relay
from container.bridge.settings import Settings

# The engine accepts 16 MiB; aiohttp rejects a frame of exactly its limit.
_LIMIT_BYTES: Final = 16 * 1024 * 1024 + 1
_CLOSE_TIMEOUT_S: Final = 2.0
# The bridge sends 1013 for this reason only, so that the gateway does not blame the endpoint.
_AT_CAPACITY: Final = Ended(End.AT_CAPACITY, WSCloseCode.TRY_AGAIN_LATER, b"at capacity")
_RESTART: Final = Ended(End.RESTART, WSCloseCode.SERVICE_RESTART, b"restarting")
_log = structlog.get_logger()


class Bridge:
    """The sessions of one bridge and the resources they share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # A peer has as long to read a frame as it has to reply to a ping.
        self._limits = Limits(settings.heartbeat_s / 2, settings.drain_timeout_s)
        self._live = 0  # sessions that have, or may get, one of the engine's slots
        self._idle = asyncio.Event()  # set while there are none
        self._idle.set()
        self._draining = False
        self._restarting = asyncio.Event()
        self._session: ClientSession | None = None
        self._health: EngineHealth | None = None
        self._registry = CollectorRegistry()
        self._metrics = Metrics(self._registry, settings.max_sessions)
        self._metrics.live.set_function(lambda: self._live)

    def app(self) -> web.Application:
        """Build the application with the bridge's routes."""
        app = web.Application()
        app.router.add_get("/invocations-bidirectional-stream", self._serve_session)
        app.router.add_get("/ping", self._serve_ping)
        app.router.add_get("/metrics", metrics_of(self._registry))
        app.on_shutdown.append(self._restart)
        app.cleanup_ctx.append(self._hold_client)
        return app

    async def drain(self, hurry: asyncio.Event) -> None:
        """Refuse new sessions; wait until none is live, `hurry` is set or the time is up."""
        self._draining = True
        _log.info("draining", sessions=self._live)
        waits = [asyncio.create_task(event.wait()) for event in (self._idle, hurry)]
        await asyncio.wait(
            waits, timeout=self._settings.stop_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        for wait in waits:
            wait.cancel()
        _log.info("drained", sessions=self._live)

    async def _serve_session(self, request: web.Request) -> web.StreamResponse:
        """Serve or refuse one session.

        The platform's WebSocket is accepted before the engine's is open: SageMaker allows a
        container 250 ms, and an engine may need longer. A refusal is a Close frame after that,
        because SageMaker forwards its code and reason to the client.
        """
        platform: PlatformSocket = web.WebSocketResponse(
            autoclose=False,  # the Close is replied to when no reply is pending
            autoping=False,  # the relay replies, and limits the time that this takes
            compress=False,
            decode_text=False,
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=_LIMIT_BYTES,
            timeout=_CLOSE_TIMEOUT_S,
        )
        await platform.prepare(request)
        record = SessionRecord(self._metrics)
        if ended := self._refusal():
            record.refused(ended)
        else:
            window_s = coalescing.window_s(request.query.get("coalesce_ms"))
            ended = await self._first_end(platform, record, window_s)
            record.ended(ended)
        await self._close(request, platform, ended)
        return platform

    async def _close(self, request: web.Request, platform: PlatformSocket, ended: Ended) -> None:
        """Send the Close; abort the connection if the platform does not read in time.

        A transport that is only closed keeps what it could not write, with no time limit.
        """
        transport = request.transport
        if transport is None:
            return
        if ended.end is End.PLATFORM_LOST:
            transport.abort()
        else:
            asyncio.get_running_loop().call_later(self._limits.write_s, transport.abort)
            await platform.close(code=ended.code, message=ended.reason)

    def _refusal(self) -> Ended | None:
        """Return why a new session is refused, if it is."""
        if self._draining:
            return _RESTART
        return _AT_CAPACITY if self._live >= self._settings.max_sessions else None

    async def _first_end(
        self, platform: PlatformSocket, record: SessionRecord, window_s: float
    ) -> Ended:
        """Relay until the session ends or this process stops.

        The session is live until its socket to the engine is closed, because only then does the
        engine release the slot.
        """
        self._live += 1
        self._idle.clear()
        relaying = asyncio.create_task(self._relay(platform, record, window_s))
        restarting = asyncio.create_task(self._restarting.wait())
        try:
            await asyncio.wait({relaying, restarting}, return_when=asyncio.FIRST_COMPLETED)
            return relaying.result() if relaying.done() else _RESTART
        finally:
            relaying.cancel()
            restarting.cancel()
            await asyncio.gather(relaying, restarting, return_exceptions=True)
            self._live -= 1
            if not self._live:
                self._idle.set()

    async def _relay(
        self, platform: PlatformSocket, record: SessionRecord, window_s: float
    ) -> Ended:
        """Open a session at the engine and relay; the platform is not read before that."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                engine = await self._connect()
        except WSServerHandshakeError as error:
            reason = f"engine refused: {error.status}".encode()
            return Ended(End.ENGINE_REFUSED, WSCloseCode.INTERNAL_ERROR, reason)
        except (ClientError, OSError, TimeoutError):
            return Ended(End.ENGINE_UNREACHABLE, WSCloseCode.INTERNAL_ERROR, b"engine unreachable")
        record.engine_opened()
        async with engine:
            return await Relay(platform, engine, record, self._limits, window_s).run()

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
        if self._draining:
            ping = Ping.DRAINING
        else:
            ping = Ping.HEALTHY if await self._health.healthy() else Ping.UNHEALTHY
        self._metrics.pings[ping].inc()
        return web.Response(status=200 if ping is Ping.HEALTHY else 503)

    async def _restart(self, _app: web.Application) -> None:
        self._draining = True
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
