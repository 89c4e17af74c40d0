"""A server with OpenAI's chat completions that replies as a script says.

A script receives the body of a request, and returns the reply: a text, an object that becomes JSON,
a response, or a function that writes to the response.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from tests.redis_servers import free_port
from tests.waiting import eventually

type Write = Callable[[web.StreamResponse], Awaitable[None]]
type Script = Callable[[Any], object]

USAGE: Final = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def good(body: Any) -> object:
    """Reply with one sentence that cites the first segment, whatever is asked for."""
    sentences = [{"text": "The customer called.", "segments": [citable(body)[0]]}]
    if "notes" in body["response_format"]["json_schema"]["schema"]["properties"]:
        return {"notes": sentences}
    return {"summary": sentences, "follow_ups": [], "disposition": None}


def citable(body: Any) -> list[int]:
    """Return the segments that a reply may cite."""
    found = data(body)
    if "segments" in found:
        return [each["id"] for each in found["segments"]]
    return [number for note in found["notes"] for number in note["segments"]]


def data(body: Any) -> Any:
    """Return what the user message of a request contains."""
    return msgspec.json.decode(body["messages"][1]["content"])


def delta(finish: str | None = None, **fields: object) -> bytes:
    """Return a message of a stream, with a delta."""
    return message({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def message(fields: dict[str, object]) -> bytes:
    """Return a message of a stream."""
    shared = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + msgspec.json.encode(shared | fields) + b"\n\n"


def streamed(text: str, finish: str | None = "stop", pieces: int = 3) -> Write:
    """Return what writes a text in pieces."""

    async def write(response: web.StreamResponse) -> None:
        size = -(-len(text) // pieces) or 1
        for at in range(0, len(text), size):
            await response.write(delta(content=text[at : at + size]))
        if finish:
            await response.write(delta(finish))
            await response.write(message({"choices": [], "usage": USAGE}))
            await response.write(b"data: [DONE]\n\n")

    return write


async def hanging(response: web.StreamResponse) -> None:
    """Write the beginning of a reply, then nothing."""
    await response.write(delta(content='{"summary"'))
    await asyncio.sleep(3600)


def status(code: int, error: object = None, **headers: str) -> web.Response:
    """Return an error of the server."""
    body = {"error": error or {"message": "secret phrase", "type": "error", "code": None}}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=code, headers=given)


@dataclass(slots=True)
class AServer:
    """A running server."""

    url: str = ""
    script: Script = good
    requests: list[Any] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def until(self, count: int) -> None:
        """Wait until it has received some requests."""
        await eventually(lambda: len(self.requests) >= count)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Reply to a request."""
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("Authorization"))
        reply: Any = self.script(body)
        if isinstance(reply, web.Response):
            return reply
        if not callable(reply):
            reply = streamed(
                reply if isinstance(reply, str) else msgspec.json.encode(reply).decode()
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await reply(response)
        return response


@contextlib.asynccontextmanager
async def serving(script: Script = good) -> AsyncIterator[AServer]:
    """Run a server."""
    port = free_port()
    server = AServer(f"http://127.0.0.1:{port}/v1", script)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield server
    finally:
        await runner.cleanup()
