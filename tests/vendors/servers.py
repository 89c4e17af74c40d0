"""Servers of vendors on real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import WSMsgType, web

from common.serving import listening

_CLOSE_WITHOUT_CODE: Final = b"\x88\x00"


@dataclass(frozen=True)
class Close:
    """The end of the connection; without a code it is lost. 1005 is a close without a code."""

    code: int | None
    reason: str = ""


LOST: Final = Close(None)
type Send = Callable[[str | Close], None]


class Peer(Protocol):
    """One connection of a server."""

    def audio(self, pcm: bytes) -> None:
        """Receive a binary frame."""

    def control(self, text: str) -> None:
        """Receive a text frame."""

    def stop(self) -> None:
        """The connection is over."""


class VendorServer[P: Peer]:
    """Serves a vendor's protocol at one path.

    Args:
        path: the path.
        serve: makes a connection from its number, which begins at 1, and what sends messages.

    Attributes:
        requests: query and headers of each upgrade.
        refuse: returns the status and body with which an upgrade of this query is refused.
        open_s: how long it takes to open a connection.
        peers: the connections.
        violations: of the protocol, by the client.
        base_url: of the server, without a path.
        url: with it.
    """

    def __init__(self, path: str, serve: Callable[[int, Send], P]) -> None:
        self.requests: list[tuple[dict[str, str], Mapping[str, str]]] = []
        self.refuse: Callable[[dict[str, str]], tuple[int, dict[str, Any]] | None] = lambda _: None
        self.open_s = 0.0
        self.peers: list[P] = []
        self.violations: list[Exception] = []
        self.base_url = ""
        self.path = path
        self._senders: list[_Sender] = []
        self._serve = serve
        self.app = web.Application()
        self.app.router.add_get(path, self._accept)
        self.app.router.add_get("/ping", _ping)

    @property
    def url(self) -> str:
        return self.base_url + self.path

    def end(self, how: Close = LOST) -> None:
        """End the newest connection."""
        self._senders[-1].send(how)

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.requests.append((query, request.headers))
        if refusal := self.refuse(query):
            status, body = refusal
            text = str(body.get("err_msg") or body.get("message"))
            headers = {"dg-request-id": "r", "dg-error": text}
            return web.json_response(body, status=status, headers=headers)
        await asyncio.sleep(self.open_s)
        socket = web.WebSocketResponse(max_msg_size=20 << 20)
        await socket.prepare(request)
        sender = _Sender(socket, request)
        self._senders.append(sender)
        peer = self._serve(len(self.peers) + 1, sender.send)
        self.peers.append(peer)
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    peer.audio(message.data)
                else:
                    peer.control(message.data)
        except Exception as error:
            self.violations.append(error)
            raise
        finally:
            sender.stop()
            peer.stop()
        return socket


class _Sender:
    """Sends in order, from callbacks; nothing after the end."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._unsent: list[str | Close] = []
        self._is_over = False

    def send(self, message: str | Close) -> None:
        if self._is_over:
            return
        self._is_over = isinstance(message, Close)
        self._unsent.append(message)
        if len(self._unsent) == 1:
            self._task = asyncio.get_running_loop().create_task(self._send())

    def stop(self) -> None:
        self._is_over = True

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._unsent:
                await self._pass_on(self._unsent[0])
                self._unsent.pop(0)

    async def _pass_on(self, message: str | Close) -> None:
        transport = self._request.transport
        if transport is None:
            return
        match message:
            case str() as text:
                await self._socket.send_str(text)
            case Close(None):
                transport.abort()
            case Close(1005):
                transport.write(_CLOSE_WITHOUT_CODE)
            case Close(int() as code, reason):
                await self._socket.close(code=code, message=reason.encode())
            case _:
                raise AssertionError(message)


async def _ping(request: web.Request) -> web.Response:
    return web.Response()


@contextlib.asynccontextmanager
async def serving[P: Peer](
    path: str, serve: Callable[[int, Send], P]
) -> AsyncIterator[VendorServer[P]]:
    """Run a server on a free port; at the end raise the first violation of its protocol."""
    server = VendorServer(path, serve)
    async with listening(server.app, "127.0.0.1", 0) as port:
        server.base_url = f"ws://127.0.0.1:{port}"
        yield server
    for violation in server.violations:
        raise violation
