"""Serve one client's WebSocket: pass its messages to a session and send the replies.

The transport behaves like uvicorn's under vLLM: it pings every 20 s and closes with 1011 if no pong
arrives within 20 s, closes with 1009 if a frame exceeds 16 MiB, and drops the connection without a
close frame after a message that the protocol does not know, such as a binary frame.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence

from aiohttp import WSCloseCode, WSMsgType, web

from container.cpu.server_session import (
    BacklogError,
    Close,
    Phase,
    Reply,
    ServerSession,
    UnsupportedMessageError,
)
from container.cpu.slots import Slots
from container.cpu.transcriber import Transcriber

PING_EVERY_S = 20.0
MAX_FRAME_BYTES = 16 * 1024 * 1024
STALL_S = 30.0  # after a final commit, the longest time without progress of the model
CLOSE_TIMEOUT_S = 2.0  # to receive the peer's close frame


class Connection:
    """One client's WebSocket, from the upgrade until it closes."""

    def __init__(self, session: ServerSession, slots: Slots, transcriber: Transcriber) -> None:
        self._session = session
        self._slots = slots
        self._transcriber = transcriber
        self._loop = asyncio.get_running_loop()
        self._socket = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            autoping=False,
            compress=False,
            max_msg_size=MAX_FRAME_BYTES + 1,  # aiohttp rejects a frame of exactly this size
        )
        self._transport: asyncio.Transport | None = None
        self._unsent: list[Reply] = []
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pong_awaited = False
        self._stall: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the client until either side closes the connection."""
        await self._socket.prepare(request)
        self._transport = request.transport
        self._spawn(self._keep_alive())
        try:
            await self._send(self._session.greet())
            await self._read()
        except ConnectionError:
            pass  # the client disconnected during a write
        finally:
            self._session.abandon()
            self._apply_phase()
            if self._idle is not None:
                self._idle.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._socket

    async def restart(self, problem: str | None = None) -> None:
        """Report a problem, if there is one, and close because the engine stops."""
        if problem is not None:
            self._send_soon([self._session.error(problem)])
        await self._close(WSCloseCode.SERVICE_RESTART)

    async def _read(self) -> None:
        receive, session = self._socket.receive, self._session
        self._watch_idle()
        while True:
            message = await receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self._watch_idle()
                    try:
                        replies = session.receive(message.data)
                    except BacklogError:
                        await self._close_on_backlog()
                        return
                    except UnsupportedMessageError:
                        self._drop()
                        return
                    self._unsent += replies  # before those of what starts now
                    self._apply_phase()
                    if self._unsent:
                        await self._send([])
                case WSMsgType.PING:
                    await self._socket.pong(message.data)
                case WSMsgType.PONG:
                    self._pong_awaited = False
                case _:
                    return

    async def _close_on_backlog(self) -> None:
        await self._send([self._session.error("Too much audio is waiting")])
        await self._close(WSCloseCode.POLICY_VIOLATION, b"audio backlog")

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            if self._pong_awaited:
                await self._close(WSCloseCode.INTERNAL_ERROR, b"keepalive ping timeout")
                return
            self._pong_awaited = True
            await self._socket.ping()

    async def _close(self, code: WSCloseCode, reason: bytes = b"") -> None:
        """Send all pending messages and close; drop a client that does not read them in time."""
        try:
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._send([])
                await self._socket.close(code=code, message=reason)
        except (TimeoutError, ConnectionError):
            self._drop()

    def _drop(self) -> None:
        """Abort the connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def _apply_phase(self) -> None:
        """Claim or release a slot and set the stall timer, according to the session's phase."""
        match self._session.phase:
            case Phase.RUNNING:
                pass
            case Phase.WAITING:
                self._slots.claim(self, self._begin)
            case Phase.IDLE:
                self._slots.release(self)
                self._watch(None)
            case Phase.DRAINING:
                self._watch(STALL_S)

    def _watch(self, seconds: float | None) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._stall = None if seconds is None else self._loop.call_later(seconds, self._fail)

    def _watch_idle(self) -> None:
        """Restart the time without a message."""
        if (idle_s := self._session.idle_s) is not None:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = self._loop.call_later(idle_s, self._expire)

    def _expire(self) -> None:
        self._send_soon(self._session.expire())

    def _begin(self) -> None:
        transcription = self._transcriber.begin(self._on_progress)
        self._send_soon(self._session.begin(transcription))

    def _on_progress(self) -> None:
        self._send_soon(self._session.progress())

    def _fail(self) -> None:
        self._send_soon(self._session.fail())

    def _send_soon(self, messages: Sequence[Reply]) -> None:
        """Send messages in the background: those that are not replies to a received message."""
        self._unsent += messages  # before those of what starts now
        self._apply_phase()
        if messages:
            self._spawn(self._send([]))

    async def _send(self, messages: Sequence[Reply]) -> None:
        """Send all pending messages, then these; waits while the client does not read."""
        self._unsent += messages
        async with self._sending:
            while self._unsent:
                batch, self._unsent = self._unsent, []
                for message in batch:
                    if isinstance(message, Close):
                        reason = message.reason.encode()
                        await self._socket.close(code=message.code, message=reason)
                    else:
                        await self._socket.send_str(message)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            with contextlib.suppress(ConnectionError):  # `_read` detects it as well
                await work

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
