"""The transport to a vLLM server, and each way it can fail."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from gateway.errors import UpstreamError
from gateway.upstream.dialects.dialect import Address, Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.websocket import WebSocketStream, WebSocketTransport
from tests.gateway.upstream.peers import LIMIT_S, EchoServer, Recorder

WITH_KEY = Voxtral().address(Options(""), "a-key")


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    async with EchoServer().serving() as made:
        yield made


@contextlib.asynccontextmanager
async def transport_to(url: str, **changed: Any) -> AsyncIterator[WebSocketTransport]:
    transport = WebSocketTransport(f"{url}/v1/realtime", **changed)
    try:
        yield transport
    finally:
        async with asyncio.timeout(LIMIT_S):
            await transport.close()


async def opened(
    transport: WebSocketTransport, address: Address | None = None
) -> tuple[WebSocketStream, Recorder]:
    recorder = Recorder()
    async with asyncio.timeout(LIMIT_S):
        return await transport.open(recorder, address), recorder


async def why_not_opened(url: str, **changed: Any) -> UpstreamError:
    async with transport_to(url, **changed) as transport:
        with pytest.raises(UpstreamError) as refused:
            async with asyncio.timeout(LIMIT_S):
                await transport.open(Recorder(), WITH_KEY)
    return refused.value


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run a server with one handler at the path of the Realtime API."""
    app = web.Application()
    app.router.add_get("/v1/realtime", handler)
    server = TestServer(app)
    await server.start_server(ssl=tls)
    yield f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}"
    await server.close()


# Opening


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "access-denied"),
        (402, "payment-required"),
        (403, "access-denied"),
        (404, "endpoint-not-found"),
        (429, "throttled"),
        (500, "internal-server-error"),
        (503, "service-unavailable"),
        (200, "endpoint-not-found"),
        (405, "endpoint-not-found"),
        (418, "realtime-protocol-error"),
    ],
)
async def test_refused_upgrade_has_a_reason(status: int, reason: str) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, text="the server's words")

    async with serving(refuse) as url:
        error = await why_not_opened(url)
    assert error.reason == reason
    assert error.detail == f"status={status}"


async def test_api_key_is_sent_as_bearer_token(server: EchoServer) -> None:
    async with transport_to(server.url) as transport:
        await opened(transport, WITH_KEY)
    assert server.headers[0]["Authorization"] == "Bearer a-key"


async def test_no_authorization_header_without_api_key(server: EchoServer) -> None:
    async with transport_to(server.url) as transport:
        await opened(transport)
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("", "/v1/listen?a=1"),
        ("/", "/v1/listen?a=1"),
        ("?b=2", "/v1/listen?b=2&a=1"),
        ("/v1/realtime", "/v1/realtime?a=1"),
        ("/v1/realtime?b=2", "/v1/realtime?b=2&a=1"),
    ],
)
async def test_url_without_a_path_gets_the_dialects(
    server: EchoServer, given: str, target: str
) -> None:
    transport = WebSocketTransport(server.url + given)
    await opened(transport, Address("v1/listen", "a=1"))
    await transport.close()
    assert server.targets == [target]


async def test_refused_connection(unused_tcp_port: int) -> None:
    error = await why_not_opened(f"ws://127.0.0.1:{unused_tcp_port}")
    assert error.reason == "connect-refused"


async def test_host_without_address_is_unreachable() -> None:
    assert (await why_not_opened("ws://no-such-host.invalid")).reason == "host-unreachable"


async def test_server_that_never_responds_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        error = await why_not_opened(url, open_timeout_s=0.2)
    assert error.reason == "connect-timeout"


async def test_server_that_disconnects_during_the_upgrade() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        error = await why_not_opened(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert error.reason == "connection-lost"


async def test_certificate_of_an_unknown_ca_is_rejected() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(EchoServer().serve, context) as url:
        assert (await why_not_opened(url)).reason == "tls-untrusted"
        async with transport_to(url, tls=trusting) as transport:
            _, recorder = await opened(transport)
            assert await recorder.echoes(0) == []


async def test_open_can_be_cancelled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with transport_to(f"ws://127.0.0.1:{listener.getsockname()[1]}") as transport:
            waiting = asyncio.create_task(transport.open(Recorder()))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting


# Ends


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, None),
        (1001, "service-unavailable"),
        (1002, "realtime-protocol-error"),
        (1008, "access-denied"),
        (1009, "validation-error"),
        (1011, "internal-server-error"),
        (1012, "service-unavailable"),
        (1013, "model-at-capacity"),
        (4000, "realtime-error"),
    ],
)
async def test_close_code_maps_to_a_reason(
    server: EchoServer, code: int, reason: str | None
) -> None:
    async with transport_to(server.url) as transport:
        stream, recorder = await opened(transport)
        stream.send(b"close:%d" % code)
        assert await recorder.reason() == reason


@pytest.mark.parametrize("how", ["vanish", "hang up"])
async def test_lost_connection_is_not_a_clean_end(server: EchoServer, how: str) -> None:
    """For a FIN without a close frame aiohttp's close code is 1000, as for a clean end."""
    async with transport_to(server.url) as transport:
        stream, recorder = await opened(transport)
        stream.send(how.encode())
        assert await recorder.reason() == "connection-lost"


async def test_connection_without_pong_is_lost() -> None:
    async def ignore_pings(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await socket.receive()  # the ping
        await socket.receive()
        return socket

    async with (
        serving(ignore_pings) as url,
        transport_to(url, heartbeat_s=0.2, close_timeout_s=0.2) as transport,
    ):
        _, recorder = await opened(transport)
        assert await recorder.reason() == "connection-lost"


async def test_peer_that_stops_reading_causes_a_send_timeout(server: EchoServer) -> None:
    server.reading.clear()
    async with transport_to(server.url, send_timeout_s=0.2, close_timeout_s=0.2) as transport:
        stream, recorder = await opened(transport)
        for _ in range(200):
            stream.send(b"x" * 1_000_000)
        assert await recorder.reason() == "send-timeout"
        assert not stream.send(b"too late")


async def test_missing_reply_to_the_close_frame_times_out(server: EchoServer) -> None:
    server.answering_closes = False
    async with transport_to(server.url, close_timeout_s=0.2) as transport:
        stream, recorder = await opened(transport)
        stream.finish()
        assert await recorder.reason() == "response-timeout"


async def test_message_above_the_limit_ends_the_stream() -> None:
    async def flood(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("x" * (2**24 + 1))
        await socket.receive()
        return socket

    async with serving(flood) as url, transport_to(url) as transport:
        _, recorder = await opened(transport)
        assert await recorder.reason() == "realtime-protocol-error"


async def test_logs_and_errors_have_no_key_or_content(
    server: EchoServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with transport_to(server.url) as transport:
        stream, recorder = await opened(transport, WITH_KEY)
        stream.send(b"the words of a caller")
        await recorder.echoes(1)
        stream.send(b"close:1011")
        error = await recorder.end()
    written = "\n".join(record.getMessage() for record in caplog.records) + repr(error)
    assert "a-key" not in written
    assert "the words" not in written
