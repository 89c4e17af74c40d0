"""Servers of vendors on real sockets."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.gateway.vendors.nova import Close
from tests.gateway.vendors.peers import Peer, Serve


class VendorServer:
    """Serves a vendor's protocol at one path.

    Attributes:
        requests: query and headers of each upgrade.
        refusal: status and body with which upgrades are refused; None: they are not.
        peers: the connections.
        url: of the server, without a path.
    """

    def __init__(self, path: str, serve: Serve) -> None:
        self.requests: list[tuple[dict[str, str], Mapping[str, str]]] = []
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.peers: list[Peer] = []
        self.url = ""
        self._serve = serve
        self.app = web.Application()
        self.app.router.add_get(path, self._accept)
        self.app.router.add_get("/ping", _ping)

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((dict(request.query), request.headers))
        if self.refusal:
            status, body = self.refusal
            text = str(body.get("err_msg") or body.get("message"))
            headers = {"dg-request-id": "r", "dg-error": text}
            return web.json_response(body, status=status, headers=headers)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        writer = _Writer(socket, request)
        peer = self._serve(writer.send)
        self.peers.append(peer)
        try:
            async for message in socket:
                match message.type:
                    case WSMsgType.BINARY:
                        peer.audio(message.data)
                    case WSMsgType.TEXT:
                        peer.control(message.data)
                    case _:
                        break
        finally:
            peer.stop()
        return socket


class _Writer:
    """Sends in order, from callbacks."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._unsent: list[str | Close] = []

    def send(self, message: str | Close) -> None:
        self._unsent.append(message)
        if len(self._unsent) == 1:
            self._task = self._request.task.get_loop().create_task(self._send())

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._unsent:
                message = self._unsent[0]
                if isinstance(message, str):
                    await self._socket.send_str(message)
                elif message.code is None:
                    assert self._request.transport
                    self._request.transport.abort()
                else:
                    await self._socket.close(code=message.code, message=message.reason.encode())
                self._unsent.pop(0)


async def _ping(request: web.Request) -> web.Response:
    return web.Response()


@contextlib.asynccontextmanager
async def serving(path: str, serve: Serve) -> AsyncIterator[VendorServer]:
    """Run a server on a free port."""
    vendor = VendorServer(path, serve)
    server = TestServer(vendor.app)
    await server.start_server()
    vendor.url = f"ws://127.0.0.1:{server.port}"
    try:
        yield vendor
    finally:
        await server.close()
