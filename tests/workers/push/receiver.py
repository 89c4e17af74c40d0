"""A webhook's receiver that records requests and responds as a script says."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from aiohttp import web


class Request(NamedTuple):
    """One request, as it came."""

    id: str
    attempt: int
    headers: Mapping[str, str]
    body: str

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    @property
    def call(self) -> str:
        return str(self.message["data"]["call_id"])


type Response = Callable[[Request], Awaitable[web.StreamResponse]]


async def accept(_: Request) -> web.StreamResponse:
    return web.Response(status=204)


def status(code: int, **headers: str) -> Response:
    """Return a script that always responds with a status."""

    async def respond(_: Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, headers=named)

    return respond


async def hang(_: Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


def first(count: int, response: Response, then: Response = accept) -> Response:
    """Return a script that responds differently to the first attempts of each message."""

    async def respond(request: Request) -> web.StreamResponse:
        return await (response if request.attempt <= count else then)(request)

    return respond


@dataclass
class Receiver:
    """Records what it receives; `respond` may be changed while it runs."""

    respond: Response = accept
    requests: list[Request] = field(default_factory=list)
    statuses: dict[tuple[str, int], int] = field(default_factory=dict)  # by id and attempt
    url: str = ""

    async def handle(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.text()
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        request = Request(headers["webhook-id"], int(headers["callscribe-attempt"]), headers, body)
        self.requests.append(request)
        response = await self.respond(request)
        self.statuses[request.id, request.attempt] = response.status
        return response

    def of(self, call: str) -> list[Request]:
        return [each for each in self.requests if each.call == call]

    @property
    def types(self) -> list[str]:
        return [each.message["type"] for each in self.requests]


@contextlib.asynccontextmanager
async def receiving(
    respond: Response = accept, context: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver on loopback."""
    receiver = Receiver(respond)
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http{'s' if context else ''}://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def raw_server(response: bytes, *, keep_open: bool = False) -> AsyncIterator[str]:
    """Run a server that responds with bytes, whatever it receives; yield its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
            await writer.drain()
            if keep_open:
                await reader.read()
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
