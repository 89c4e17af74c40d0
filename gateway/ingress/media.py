"""The carrier's WebSocket: passes its messages to one `CallStream`. Independent of the carrier."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from common.connections import Connection
from gateway.admission.admission import Admission
from gateway.calls.allowance import FLOODS
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallServices, Reservation
from gateway.calls.stream import CallStream
from gateway.calls.termination import CLOSED, FLOODED, Termination
from gateway.carriers.adapter import Adapter
from gateway.carriers.carrier import Carrier, Upgrade
from gateway.carriers.events import CallStarted, Reply
from gateway.carriers.protocols.formats import with_encoding
from gateway.errors import CarrierError
from gateway.ingress.bound_tokens import BoundTokens
from gateway.ingress.refusals import require_upgrade
from gateway.ingress.turns import Turns
from gateway.tracing import Span

_CLOSE_TIMEOUT_S: Final = 5.0
_FLOOD_CLOSE_S: Final = 1.0  # shorter: what a flooding peer sends meanwhile costs CPU
_REPLY_TIMEOUT_S: Final = 10.0
_FAREWELL_REPLY_TIMEOUT_S: Final = 5.0
_UNREAD_TIMEOUT_S: Final = 1.0  # to read what a lost socket has received
_TEXT: Final = WSMsgType.TEXT  # a module global: it is read for every message
_MESSAGES: Final = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE)
_IGNORED: Final = (WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG)  # after the farewell
_MAX_REPLIES: Final = 256  # unsent replies; protocols need a few per minute

type _Correct = Callable[[CallStarted], CallStarted]


class MediaHandler:
    """Serves the media streams of one carrier, after the carrier has authenticated the upgrade.

    Attributes:
        carrier: replaced when its settings are reloaded.
    """

    def __init__(
        self,
        carrier: Carrier,
        services: CallServices,
        streams: LiveStreams,
        admission: Admission,
        tokens: BoundTokens,
        *,
        start_timeout_s: float,
        heartbeat_s: float,
    ) -> None:
        self.carrier = carrier
        self._services = services
        self._streams = streams
        self._admission = admission
        self._tokens = tokens
        self._start_timeout_s = start_timeout_s
        self._heartbeat_s = heartbeat_s

    async def serve(
        self,
        request: web.Request,
        upgrade: Upgrade,
        route_name: str | None,
    ) -> web.StreamResponse:
        """Upgrade the connection, and run the stream until it has ended.

        Args:
            request: the upgrade request.
            upgrade: the carrier's checks and adapter for it.
            route_name: the route that its URL names, if any.

        Raises:
            CarrierError: the stream was not admitted, its token was used before, or its socket was
                lost meanwhile. The connection was not upgraded.
        """
        require_upgrade(request)
        is_probed = self.carrier.answers_pings
        with self._streams.admit(), self._services.start_trace(self.carrier.name) as trace:
            async with contextlib.AsyncExitStack() as held:
                with trace.child("admission"):
                    entering = self._admission.enter(self.carrier.name, route_name)
                    reservation = await held.enter_async_context(entering)
                # After the reservation: a refusal for capacity must not use up a single-use token.
                await self._tokens.check(upgrade)
                socket = web.WebSocketResponse(
                    compress=False,  # audio in base64 hardly shrinks, and compression costs CPU
                    # Detects half-open connections.
                    heartbeat=self._heartbeat_s if is_probed else None,
                    autoping=False,  # if a pong can't be sent, received messages are still read
                    timeout=_CLOSE_TIMEOUT_S,
                    max_msg_size=self.carrier.max_message_bytes,
                    protocols=self.carrier.subprotocols,
                    decode_text=False,
                )
                try:
                    await socket.prepare(request)
                except ConnectionError:
                    raise CarrierError("socket-lost") from None
                correct = upgrade.adapter.correct
                upgrade.adapter.correct = self._with_route_encoding(route_name, correct)
                termination = await self._run_stream(
                    request, socket, upgrade, reservation, trace, is_probed=is_probed
                )
            await _close(request, socket, termination)
            return socket

    def _with_route_encoding(self, route_name: str | None, correct: _Correct) -> _Correct:
        """Wrap `correct` so that the encoding of a call's route overrides the carrier's."""
        encoding_of = self._admission.routes.encoding

        def corrected(start: CallStarted) -> CallStarted:
            encoding = encoding_of(self.carrier.name, route_name, start.called, start.params)
            return with_encoding(start, encoding) if encoding else correct(start)

        return corrected

    async def _run_stream(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        upgrade: Upgrade,
        reservation: Reservation,
        trace: Span,
        *,
        is_probed: bool,
    ) -> Termination:
        reader = _Reader(socket, self._start_timeout_s)
        async with replying(socket) as replies:
            farewell = _Farewell(upgrade.adapter, replies)

            def on_termination(termination: Termination) -> None:
                reader.wake()
                farewell.schedule(termination.reason)

            stream = CallStream(
                self.carrier.name,
                upgrade.adapter,
                self._services,
                reservation,
                authorize=lambda start: self._tokens.authorize(upgrade, start, stream),
                on_termination=on_termination,
                reply=replies.send,
                trace=trace,
                is_probed=is_probed,
            )
            if isinstance(request.protocol, Connection):
                request.protocol.on_flood = lambda: stream.end(FLOODED)
            turns = Turns(lambda: stream.audio_ms, self._services.monotonic_s)
            with self._streams.hold(stream):
                try:
                    # A task of its own: otherwise each message would resume this whole chain of
                    # awaiting coroutines.
                    termination = await stream.run(
                        lambda: asyncio.create_task(reader.feed(stream, turns), name="reader")
                    )
                finally:
                    await self._tokens.end_stream(upgrade, stream)
            farewell.send(termination.reason)
            await _await_farewell_reply(socket, turns, upgrade.adapter, replies)
            return termination


async def _await_farewell_reply(
    socket: web.WebSocketResponse, turns: Turns, adapter: Adapter, replies: "Replies"
) -> None:
    """Wait for the carrier's reply to the farewell, if the protocol has one, and handle it."""
    with contextlib.suppress(TimeoutError, CarrierError):
        async with asyncio.timeout(_FAREWELL_REPLY_TIMEOUT_S):
            while adapter.awaits_answer:
                message = await socket.receive()
                if turns.spend(message):
                    await turns.end()
                if message.type is WSMsgType.TEXT:
                    for event in adapter.receive_text(message.data):
                        if isinstance(event, Reply):
                            replies.send(event.message)
                elif message.type not in _IGNORED:
                    return


async def _close(
    request: web.Request, socket: web.WebSocketResponse, termination: Termination
) -> None:
    """Close the socket; abort the connection if the peer does not read the close frame."""
    within_s = _FLOOD_CLOSE_S if termination.reason in FLOODS else 2 * _CLOSE_TIMEOUT_S
    try:
        async with asyncio.timeout(within_s):
            await socket.close(code=termination.close_code, message=termination.reason.encode())
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


class Replies:
    """The queue of messages to the carrier."""

    def __init__(self) -> None:
        self.unsent: asyncio.Queue[str] = asyncio.Queue(_MAX_REPLIES)
        self.is_stuck = False  # whether a message could not be sent in time

    def send(self, message: str) -> None:
        """Queue a text message.

        Raises:
            CarrierError: replies-unread, if the carrier does not read its socket.
        """
        if self.is_stuck or self.unsent.full():
            raise CarrierError("replies-unread")
        self.unsent.put_nowait(message)


@contextlib.asynccontextmanager
async def replying(socket: web.WebSocketResponse) -> AsyncIterator[Replies]:
    """Send queued replies for as long as the context lasts; flush the queue at its end."""
    replies = Replies()

    async def send_all() -> None:
        while True:
            message = await replies.unsent.get()
            try:
                async with asyncio.timeout(_REPLY_TIMEOUT_S):
                    await socket.send_str(message)
            except TimeoutError:
                replies.is_stuck = True
            except ConnectionError:
                pass  # the reader detects the loss
            replies.unsent.task_done()

    sending = asyncio.create_task(send_all(), name="replies")
    try:
        yield replies
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                await replies.unsent.join()
    finally:
        sending.cancel()
        await asyncio.wait([sending])


class _Farewell:
    """Sends the protocol's closing messages once: when the stream has ended, or at a deadline."""

    def __init__(self, adapter: Adapter, replies: Replies) -> None:
        self._adapter = adapter
        self._replies = replies
        self._is_sent = False

    def schedule(self, reason: str) -> None:
        """Schedule the messages for their deadline, which may precede the final transcripts."""
        if (within_s := self._adapter.farewell_within_s) is not None:
            asyncio.get_running_loop().call_later(within_s, self.send, reason)

    def send(self, reason: str) -> None:
        """Send the messages, unless they were sent."""
        if self._is_sent:
            return
        self._is_sent = True
        with contextlib.suppress(CarrierError):  # the carrier does not read its socket
            for reply in self._adapter.farewell(reason):
                self._replies.send(reply.message)


class _Reader:
    """Passes a socket's messages to a stream until either of them ends."""

    def __init__(self, socket: web.WebSocketResponse, start_timeout_s: float) -> None:
        self._socket = socket
        self._start_timeout_s = start_timeout_s
        self._scope: asyncio.Timeout | None = None

    def wake(self) -> None:
        """Stop waiting for the socket's next message."""
        if self._scope and not self._scope.expired():
            self._scope.reschedule(0)

    async def feed(self, stream: CallStream, turns: Turns) -> None:
        """Pass messages to the stream.

        Raises:
            CarrierError: a message violates the carrier's protocol, the start message did not come
                in time, or the socket was lost.
        """
        if await self._feed(stream, turns, self._start_timeout_s, until_start=True):
            stream.begin()
            if not stream.started and stream.termination is None:
                raise CarrierError("start-timeout")
        await self._feed(stream, turns, None)

    async def _feed(
        self,
        stream: CallStream,
        turns: Turns,
        timeout_s: float | None,
        *,
        until_start: bool = False,
    ) -> bool:
        """Pass messages on until the stream ends, or starts; return True after a timeout."""
        try:
            async with asyncio.timeout(timeout_s) as self._scope:
                while stream.termination is None and not (until_start and stream.started):
                    message = await self._socket.receive()
                    if turns.spend(message):
                        await turns.end()
                    if message.type is _TEXT:  # mostly media: handled without another coroutine
                        stream.receive_text(message.data)
                    else:
                        await self._pass_on(stream, turns, message)
        except TimeoutError:
            return stream.termination is None
        except ConnectionError:
            raise CarrierError("socket-lost") from None
        finally:
            self._scope = None
        return False

    async def _pass_on(self, stream: CallStream, turns: Turns, message: WSMessage) -> None:
        match message.type:
            case WSMsgType.TEXT:
                stream.receive_text(message.data)
            case WSMsgType.BINARY:
                stream.receive_binary(message.data)
            case WSMsgType.PING:
                await self._pong(message.data)
            case WSMsgType.PONG:
                pass
            case WSMsgType.CLOSE:
                stream.end(CLOSED)
            case _:
                for unread in await _unread(self._socket):
                    if unread.type in _MESSAGES and stream.termination is None:
                        if turns.spend(unread):
                            await turns.end()
                        await self._pass_on(stream, turns, unread)
                if stream.termination is None:
                    raise _loss(message)

    async def _pong(self, data: bytes) -> None:
        """Send a pong. If the socket was lost, messages received before the loss are still read."""
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                await self._socket.pong(data)
        except TimeoutError:
            raise CarrierError("replies-unread") from None
        except ConnectionError:
            pass


async def _unread(socket: web.WebSocketResponse) -> list[Any]:
    """Return messages that were received before a socket was lost; `receive` does not return them.

    The last one is the peer's close frame, if it was received.
    """
    messages = []
    reader = socket._reader  # noqa: SLF001 - no public way; tests/gateway/ingress/test_lost_sockets.py
    with contextlib.suppress(Exception):  # the reader raises the cause of the loss at the end
        async with asyncio.timeout(_UNREAD_TIMEOUT_S):
            while reader is not None:
                messages.append(await reader.read())
    return messages


def _loss(message: WSMessage) -> CarrierError:
    """Return why the socket was lost without the carrier's close frame."""
    if isinstance(message.data, WebSocketError):
        too_big = message.data.code == WSCloseCode.MESSAGE_TOO_BIG
        return CarrierError("message-too-big" if too_big else "malformed-message")
    return CarrierError("socket-lost")
