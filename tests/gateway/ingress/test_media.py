"""Replies on a real socket are sent in order; a peer that does not read is disconnected."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from gateway.carriers.vendors.asterisk import Asterisk
from gateway.errors import CarrierError
from gateway.ingress.media import replying
from tests.gateway.ingress.served import Served, serving
from tests.waiting import eventually


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., asyncio.Future[ClientWebSocketResponse]]]:
    """Serve a socket with a handler of the test's own."""
    runners: list[web.AppRunner] = []
    async with ClientSession() as client:

        async def connect(serve: Callable[..., object]) -> ClientWebSocketResponse:
            app = web.Application()
            app.router.add_get("/", serve)  # type: ignore[arg-type]  # a handler
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return await client.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/")

        yield connect  # type: ignore[misc]  # a coroutine function
        for runner in runners:
            await runner.cleanup()


async def test_replies_are_sent_in_order(connect: Callable[..., object]) -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with replying(socket) as replies:
            for number in range(100):
                replies.send(str(number))
        await socket.close()
        return socket

    socket = await connect(serve)  # type: ignore[misc]
    received = [await socket.receive() for _ in range(101)]
    assert [message.data for message in received[:100]] == [str(n) for n in range(100)]
    assert received[100].type is WSMsgType.CLOSE


async def test_reply_queue_is_bounded(connect: Callable[..., object]) -> None:
    refused = asyncio.Event()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with replying(socket) as replies:
            with contextlib.suppress(CarrierError):
                for _ in range(10_000):
                    replies.send("x" * 1000)
                return socket
            refused.set()
            assert request.transport
            request.transport.abort()
        return socket

    await connect(serve)  # type: ignore[misc]
    async with asyncio.timeout(10):
        await refused.wait()


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def test_reply_after_send_timeout_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.ingress.media._REPLY_TIMEOUT_S", 0.05)
    refused = asyncio.Event()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with replying(socket) as replies:
            for _ in range(200):
                replies.send("x" * 100_000)
            await eventually(lambda: replies.is_stuck)
            with pytest.raises(CarrierError, match="replies-unread"):
                replies.send("x")
            refused.set()
            assert request.transport
            request.transport.abort()
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, writer = await asyncio.open_connection(*runner.addresses[0], limit=1024)
    writer.write(HANDSHAKE)
    async with asyncio.timeout(25):
        await refused.wait()
    writer.close()
    await runner.cleanup()


async def test_reloaded_settings_of_pings_apply_to_new_streams() -> None:
    """Symptom: after SIGHUP, GATEWAY_ASTERISK_PINGS was logged as reloaded and had no effect."""
    secret = "a secret of the operator"
    old = Asterisk(Asterisk.Settings(_env_file=None, secret=secret))
    new = Asterisk(Asterisk.Settings(_env_file=None, secret=secret, pings=True))
    credentials = base64.b64encode(f"asterisk:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    async with serving(Served(old, heartbeat_s=1)) as gateway:
        gateway.carriers["asterisk"].replace_carrier(new)
        socket = await gateway.connect("/media/asterisk", headers, autoping=False)
        message = await asyncio.wait_for(socket.receive(), 10)
        assert message.type is WSMsgType.PING
