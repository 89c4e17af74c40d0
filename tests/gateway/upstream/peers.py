"""Both peers of an upstream transport under test: a stream's receiver, and a model server."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from botocore.credentials import Credentials

from deploy.local.sagemaker import LocalEndpoint, Settings
from gateway.errors import UpstreamError
from gateway.upstream.sagemaker.credentials import CredentialSource
from gateway.upstream.sagemaker.transport import SageMakerTransport, TransportLimits

LIMIT_S = 20.0  # far longer than expected, so that a slow machine does not fail a test
GREETING = b'{"type":"session.created"}'
KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class Recorder:
    """Records what a stream delivers, and every violation of its contract."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.writable = 0
        self.error: UpstreamError | None = None
        self.violations: list[str] = []
        self.then: Callable[[bytes], None] = lambda message: None
        self._thread = threading.get_ident()
        self._closed = asyncio.Event()
        self._changed = asyncio.Event()

    def on_message(self, message: bytes) -> None:
        self._check("message")
        self.messages.append(message)
        self._changed.set()
        self.then(message)

    def on_writable(self) -> None:
        self._check("writable")
        self.writable += 1
        self._changed.set()

    def on_closed(self, error: UpstreamError | None) -> None:
        self._check("closed")
        self.error = error
        self._closed.set()
        self._changed.set()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    async def end(self) -> UpstreamError | None:
        """Wait for the stream's end; return its cause."""
        async with asyncio.timeout(LIMIT_S):
            await self._closed.wait()
        return self.error

    async def reason(self) -> str | None:
        error = await self.end()
        return error.reason if error else None

    async def until(self, holds: Callable[["Recorder"], bool]) -> None:
        """Wait until a condition holds; checked after every callback."""
        async with asyncio.timeout(LIMIT_S):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()

    async def echoes(self, count: int) -> list[bytes]:
        """Wait for `count` messages after the greeting."""
        await self.until(lambda recorder: len(recorder.messages) > count)
        assert self.messages[0] == GREETING
        return self.messages[1:]

    def _check(self, what: str) -> None:
        if threading.get_ident() != self._thread:
            self.violations.append(f"{what} on another thread")
        if self._closed.is_set():
            self.violations.append(f"{what} after the end")


class EchoServer:
    """A model server that greets and echoes; it closes, disconnects or pauses on request."""

    def __init__(self) -> None:
        self.sockets: list[web.WebSocketResponse] = []
        self.headers: list[dict[str, str]] = []
        self.targets: list[str] = []  # path and query as received, per socket
        self.received: list[list[bytes]] = []  # per socket
        self.binary: list[list[bool]] = []  # whether each was a binary message, per socket
        self.gone: list[asyncio.Event] = []  # per socket
        self.reading = asyncio.Event()
        self.reading.set()
        self.answering_closes = True
        self.leaving = asyncio.Event()
        self.url = ""

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=2**25, autoclose=self.answering_closes)
        await socket.prepare(request)
        number = len(self.sockets)
        self.sockets.append(socket)
        self.headers.append(dict(request.headers))
        self.targets.append(request.raw_path)
        self.binary.append([])
        self.received.append([])
        self.gone.append(asyncio.Event())
        try:
            await socket.send_str(GREETING.decode())
            await self._converse(socket, self.received[number], self.binary[number])
        finally:
            self.gone[number].set()
        return socket

    async def _converse(
        self, socket: web.WebSocketResponse, received: list[bytes], binary: list[bool]
    ) -> None:
        await self.reading.wait()
        async for message in socket:
            binary.append(message.type is WSMsgType.BINARY)
            if message.type is WSMsgType.BINARY:
                received.append(message.data)
                await socket.send_bytes(message.data)
                continue
            received.append(str(message.data).encode())
            match str(message.data).split(":"):
                case ["close", code]:
                    await socket.close(code=int(code))
                case ["binary", text]:
                    await socket.send_bytes(text.encode())
                case ["vanish" | "hang up" as how]:
                    transport = socket._req.transport  # type: ignore[union-attr]  # noqa: SLF001 - aiohttp offers no other way
                    assert isinstance(transport, asyncio.Transport)
                    transport.abort() if how == "vanish" else transport.close()
                case _:
                    await socket.send_str(message.data)
            await self.reading.wait()
        if not self.answering_closes:
            await self.leaving.wait()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["EchoServer"]:
        app = web.Application()
        app.router.add_get("/invocations-bidirectional-stream", self.serve)
        app.router.add_get("/v1/realtime", self.serve)
        app.router.add_get("/v1/listen", self.serve)
        async with TestServer(app) as server:
            self.url = str(server.make_url("")).rstrip("/")
            yield self
            self.reading.set()
            self.leaving.set()


def endpoint_before(server: EchoServer, **changed: Any) -> LocalEndpoint:
    """Return a local SageMaker endpoint with `server` as its container."""
    given: dict[str, Any] = {
        "port": 0,
        "container_url": server.url,
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
    }
    return LocalEndpoint(Settings(**(given | changed)))


def known_keys(secret: str = SECRET) -> CredentialSource:
    return CredentialSource(timeout_s=LIMIT_S, chain=lambda: Credentials(KEY_ID, secret))


def sagemaker_to(url: str, ca_file: Path | None, **changed: Any) -> SageMakerTransport:
    limits: dict[str, Any] = {
        "connect_timeout_s": LIMIT_S,
        "probe_tls_after_s": LIMIT_S,  # the probe is a connection, too, and some tests count them
        "response_timeout_s": LIMIT_S,
    }
    of_limits = {each.name for each in fields(TransportLimits)}
    limits |= {name: value for name, value in changed.items() if name in of_limits}
    rest = {name: value for name, value in changed.items() if name not in of_limits}
    return SageMakerTransport(
        "callscribe",
        "eu-central-1",
        limits=TransportLimits(**limits),
        **({"url": url, "ca_file": ca_file, "credentials": known_keys()} | rest),
    )


def texts(count: int) -> list[bytes]:
    return [b"message %d" % number for number in range(count)]
