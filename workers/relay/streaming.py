"""Writes a feed to a viewer: as server-sent events, or on a WebSocket."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from gateway.errors import PublishError
from workers.relay.messages import Expired, Message, named
from workers.relay.metrics import Metrics
from workers.relay.sign_in.signed_out import SignedOut
from workers.relay.sign_in.viewer import Viewer

_PING_S: Final = 15.0
_CHECK_S: Final = 5.0  # between two checks that the viewer is connected and signed in
_WRITE_TIMEOUT_S: Final = 30.0
_MAX_FRAME: Final = 4096  # viewers send nothing

type Feed = AsyncGenerator[Sequence[Message]]
type Send = Callable[[Sequence[Message]], Awaitable[None]]


async def stream(
    request: web.Request, feed: Feed, viewer: Viewer, signed_out: SignedOut, metrics: Metrics
) -> web.StreamResponse:
    """Send a feed until it ends, the viewer leaves, or the viewer's session ends.

    The last message is `expired` if the session ended.

    Args:
        request: of the viewer; a WebSocket handshake gets a WebSocket.
        feed: the messages.
        viewer: decides how long it lasts.
        signed_out: the sessions that were signed out.
        metrics: receives why a feed ended early.
    """
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await _stream_to_socket(request, feed, viewer, signed_out, metrics)
    response = EventSourceResponse(ping_interval=_PING_S, send_timeout=_WRITE_TIMEOUT_S, sep="\n")
    await response.prepare(request)

    async def send(messages: Sequence[Message]) -> None:
        async with asyncio.timeout(_WRITE_TIMEOUT_S):
            await response.write(b"".join(each.sse for each in messages))

    async with response:
        await _send_all(request, feed, viewer, signed_out, send, metrics)
    return response


async def _stream_to_socket(
    request: web.Request, feed: Feed, viewer: Viewer, signed_out: SignedOut, metrics: Metrics
) -> web.StreamResponse:
    socket = web.WebSocketResponse(heartbeat=_PING_S, compress=False, max_msg_size=_MAX_FRAME)
    await socket.prepare(request)

    async def send(messages: Sequence[Message]) -> None:
        async with asyncio.timeout(_WRITE_TIMEOUT_S):
            for each in messages:
                await socket.send_str(each.text)

    async def send_all() -> None:
        await _send_all(request, feed, viewer, signed_out, send, metrics)
        await socket.close()

    sending = asyncio.create_task(send_all())
    try:
        async for _ in socket:  # handles the peer's pings and its close
            pass
    finally:
        sending.cancel()
        await asyncio.wait((sending,))
    return socket


async def _send_all(
    request: web.Request,
    feed: Feed,
    viewer: Viewer,
    signed_out: SignedOut,
    send: Send,
    metrics: Metrics,
) -> None:
    async with contextlib.AsyncExitStack() as cleanup:
        await cleanup.enter_async_context(contextlib.aclosing(feed))
        cleanup.enter_context(contextlib.suppress(ConnectionError, TimeoutError))
        session = asyncio.timeout(viewer.expires_s - time.time())
        try:
            async with session:
                watching = asyncio.create_task(_watch(request, viewer, signed_out, session))
                cleanup.callback(watching.cancel)
                async for messages in feed:
                    if messages:
                        await send(messages)
        except TimeoutError:
            if session.expired() and request.transport is not None:
                await send([named("expired", Expired())])
            elif request.transport is not None:
                metrics.count_error("viewer-stalled")  # it does not read
                request.transport.abort()
        except PublishError as error:  # the viewer connects again and resumes
            metrics.count_error(error.reason)


async def _watch(
    request: web.Request, viewer: Viewer, signed_out: SignedOut, session: asyncio.Timeout
) -> None:
    """End a session early when the viewer has left or signed out."""
    while True:
        await asyncio.sleep(_CHECK_S)
        with contextlib.suppress(PublishError):  # the next check decides
            if request.transport is None or await signed_out.is_revoked(viewer.session_id):
                session.reschedule(asyncio.get_running_loop().time())
                return
