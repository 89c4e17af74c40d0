"""One client's socket: a RealtimeSession's dialogue with it.

Transport as uvicorn's under vLLM: pings every 20 s with a 20 s time-out (close 1011), frames up to
16 MiB (close 1009), a binary frame drops the connection without a close frame.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine

from aiohttp import WSCloseCode, WSMsgType, web

from container.cpu import protocol
from container.cpu.generation import Rules
from container.cpu.session import BacklogError, Phase, RealtimeSession
from container.cpu.slots import Slots
from container.cpu.transcriber import Transcriber

PING_EVERY_S = 20.0
MAX_FRAME_BYTES = 16 * 1024 * 1024
STALL_S = 30.0  # after a final commit, the longest wait for progress of the model
CLOSE_TIMEOUT_S = 2.0  # for the peer's close frame


class Connection:
    """One client's socket, from the upgrade to its end."""

    def __init__(self, rules: Rules, slots: Slots, transcriber: Transcriber) -> None:
        self._session = RealtimeSession(rules)
        self._slots = slots
        self._transcriber = transcriber
        self._loop = asyncio.get_running_loop()
        self._socket = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            autoping=False,
            compress=False,
            max_msg_size=MAX_FRAME_BYTES + 1,  # aiohttp refuses what is not below it
        )
        self._transport: asyncio.Transport | None = None
        self._unsent: list[str] = []
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pong_awaited = False
        self._stall: asyncio.TimerHandle | None = None

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Hold the dialogue until either side ends it."""
        await self._socket.prepare(request)
        self._transport = request.transport
        self._spawn(self._keep_alive())
        try:
            await self._send([protocol.session_created(secrets.token_hex(8), int(time.time()))])
            await self._read()
        except ConnectionError:
            pass  # the client went away while we wrote
        finally:
            self._session.abandon()
            self._follow()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._socket

    async def restart(self, message: str | None = None) -> None:
        """End because the engine does; with a last message, if there is one."""
        if message is not None:
            self._say([message])
        await self._close(WSCloseCode.SERVICE_RESTART)

    async def _read(self) -> None:
        receive, session = self._socket.receive, self._session
        while True:
            message = await receive()
            match message.type:
                case WSMsgType.TEXT:
                    try:
                        replies = session.receive(message.data)
                    except BacklogError:
                        await self._refuse_backlog()
                        return
                    self._follow()
                    if replies or self._unsent:
                        await self._send(replies)
                case WSMsgType.BINARY:
                    self._drop()
                    return
                case WSMsgType.PING:
                    await self._socket.pong(message.data)
                case WSMsgType.PONG:
                    self._pong_awaited = False
                case _:
                    return

    async def _refuse_backlog(self) -> None:
        await self._send([protocol.error("processing_error", "Too much audio is waiting")])
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
        """Close after what is unsent; drop a client that doesn't even read that."""
        try:
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._send([])
                await self._socket.close(code=code, message=reason)
        except (TimeoutError, ConnectionError):
            self._drop()

    def _drop(self) -> None:
        """End without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def _follow(self) -> None:
        """Ask for a slot, give it back, watch the model: as the session's phase wants it."""
        match self._session.phase:
            case Phase.HEARING:
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
        self._stall = None if seconds is None else self._loop.call_later(seconds, self._give_up)

    def _begin(self) -> None:
        transcription = self._transcriber.begin(self._on_progress)
        self._say(self._session.begin(transcription))

    def _on_progress(self) -> None:
        self._say(self._session.progress())

    def _give_up(self) -> None:
        self._say(self._session.give_up())

    def _say(self, messages: list[str]) -> None:
        """Send what is no reply to a message just read."""
        self._follow()
        if messages:
            self._unsent += messages
            self._spawn(self._send([]))

    async def _send(self, messages: list[str]) -> None:
        """Send messages after all that are unsent; waits while the client doesn't read."""
        self._unsent += messages
        async with self._sending:
            while self._unsent:
                batch, self._unsent = self._unsent, []
                for message in batch:
                    await self._socket.send_str(message)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            with contextlib.suppress(ConnectionError):  # the reader learns of it, too
                await work

        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
