"""A scripted engine on a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

from aiohttp import WSMsgType, web

CREATED = '{"type":"session.created","id":"sess-0123456789abcdef","created":1}'
DONE = '{"type":"transcription.done","text":"one two","usage":{}}'
FINAL = '{"type":"input_audio_buffer.commit","final":true}'


def delta(text: str) -> str:
    return f'{{"type":"transcription.delta","delta":"{text}"}}'


class ScriptedEngine:
    """The Realtime API without a model: it replies to an append with a delta, to a final with done.

    Attributes to set before a session:
        refuse_status: the status with which the upgrade is refused.
        close_after_append: code and reason of a close; () aborts the TCP connection.
        done_after: an event until which `done` is held back.
        accept_after: an event until which the upgrade is held back.
        answers_pings: whether pings get a pong.
        floods: whether deltas are sent as fast as they are read, also without audio.
        reads: whether anything is read after the upgrade.
        error: the reply to a final commit; `done` follows only if `done_after` is set.
    """

    def __init__(self) -> None:
        self.url = ""
        self.health_status = 200
        self.health_requests = 0
        self.refuse_status: int | None = None
        self.close_after_append: tuple[int, bytes] | tuple[()] | None = None
        self.done_after: asyncio.Event | None = None
        self.accept_after: asyncio.Event | None = None
        self.answers_pings = True
        self.floods = False
        self.reads = True
        self.error = ""
        self.authorization: str | None = None
        self.messages: list[str] = []
        self.final_seen = asyncio.Event()
        self.session_over = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._talk)
        app.router.add_get("/health", self._health)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        self.health_requests += 1
        return web.Response(status=self.health_status)

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        self.authorization = request.headers.get("Authorization")
        if self.refuse_status:
            return web.Response(status=self.refuse_status)
        if self.accept_after:
            await self.accept_after.wait()
        socket = web.WebSocketResponse(max_msg_size=0, timeout=0.1, autoping=self.answers_pings)
        await socket.prepare(request)
        flood = asyncio.create_task(self._flood(socket))
        try:
            if not self.reads and request.transport:
                request.transport.pause_reading()
            await socket.send_str(CREATED)
            async for message in socket:
                if message.type is WSMsgType.PING:
                    continue
                assert message.type is WSMsgType.TEXT
                self.messages.append(message.data)
                await self._reply(request, socket, message.data)
        finally:
            flood.cancel()
            if request.transport and not self.reads:
                request.transport.abort()
            self.session_over.set()
        return socket

    async def _flood(self, socket: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while self.floods:
                await socket.send_str(delta("x" * 1000))

    async def _reply(
        self, request: web.Request, socket: web.WebSocketResponse, message: str
    ) -> None:
        if message == FINAL:
            self.final_seen.set()
            if self.error:
                await socket.send_str(self.error)
                if self.done_after is None:
                    return
            if self.done_after:
                await self.done_after.wait()
            await socket.send_str(delta(" two"))
            await socket.send_str(DONE)
        elif "append" in message:
            await socket.send_str(delta(" one"))
            if self.close_after_append == ():
                assert request.transport is not None
                request.transport.abort()
            elif self.close_after_append:
                code, reason = self.close_after_append
                await socket.close(code=code, message=reason)
