"""The client against a server that replies, fails, hangs, lies and never stops."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from aiohttp import web

from tests.redis_servers import free_port
from tests.workers.wrapup.a_server import (
    AServer,
    delta,
    good,
    hanging,
    message,
    serving,
    status,
    streamed,
)
from workers.wrapup.client import Client
from workers.wrapup.drafting import estimated_tokens
from workers.wrapup.failures import ModelError, Reason
from workers.wrapup.model import Reply
from workers.wrapup.prompts import Request
from workers.wrapup.settings import Settings

REQUEST: Final = Request("Instructions.", '{"segments":[{"id":1}]}', "wrap_up", {"type": "object"})
PROMPT_TOKENS: Final = estimated_tokens(REQUEST.system + REQUEST.user)
_LIMITS: Final[dict[str, Any]] = {"idle_s": 20, "request_s": 60, "answer_tokens": 256}


@contextlib.asynccontextmanager
async def client_of(url: str, **more: Any) -> AsyncIterator[Client]:
    settings = Settings(_env_file=None, url=url, model="m", **{**_LIMITS, **more})
    async with contextlib.aclosing(Client(settings)) as client:
        yield client


@contextlib.asynccontextmanager
async def both(script: Any = good, **more: Any) -> AsyncIterator[tuple[AServer, Client]]:
    async with serving(script) as server, client_of(server.url, **more) as client:
        yield server, client


async def test_reply_is_collected() -> None:
    async with both(lambda _: '{"summary": []}', key="k3y", temperature=0.1) as (server, client):
        assert await client.complete(REQUEST) == Reply('{"summary": []}', 100, 20)
    (body,) = server.requests
    assert server.keys == ["Bearer k3y"]
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": REQUEST.system},
            {"role": "user", "content": REQUEST.user},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "wrap_up", "strict": True, "schema": {"type": "object"}},
        },
        "max_tokens": 256,
        "temperature": 0.1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_other_servers_get_other_parameters() -> None:
    async with both(lambda _: "{}", format="json_object", limit_name="max_completion_tokens") as (
        server,
        client,
    ):
        await client.complete(REQUEST)
    (body,) = server.requests
    assert body["response_format"] == {"type": "json_object"}
    assert body["max_completion_tokens"] == 256
    assert not {"max_tokens", "temperature"} & body.keys()


async def test_tokens_are_estimated_if_the_server_reports_none() -> None:
    async def write(response: web.StreamResponse) -> None:
        await response.write(delta(content="{}" * 30) + delta("stop"))

    async with both(lambda _: write) as (_, client):
        assert await client.complete(REQUEST) == Reply("{}" * 30, PROMPT_TOKENS, 20)


async def endless(response: web.StreamResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(delta(content="x" * 1000))


async def endless_line(response: web.StreamResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b"x" * 65_536)


async def endless_nothing(response: web.StreamResponse) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(delta(content="") * 100)


async def endless_comments(response: web.StreamResponse) -> None:
    """Write comments for longer than a request may take."""
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b": wait\n\n")
            await asyncio.sleep(0.05)


async def broken(response: web.StreamResponse) -> None:
    await response.write(delta(content='{"summary"'))
    raise ConnectionResetError


async def refusing(response: web.StreamResponse) -> None:
    await response.write(delta(refusal="I can't help with a secret phrase.") + delta("stop"))


def raw(*blocks: bytes) -> Any:
    async def write(response: web.StreamResponse) -> None:
        for block in blocks:
            await response.write(block)

    return write


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (hanging, Reason.TIMEOUT),
        (broken, Reason.CUT),
        (streamed('{"summary": []}', finish=None), Reason.CUT),
        (streamed("{", finish="length"), Reason.TOO_LONG),
        (endless, Reason.TOO_LONG),
        (endless_line, Reason.TOO_LONG),
        (endless_nothing, Reason.TOO_LONG),
        (refusing, Reason.REFUSED),
        (streamed("", finish="content_filter"), Reason.REFUSED),
        (raw(b"data: {\n\n"), Reason.MALFORMED),
        (raw(b"data: [1]\n\n"), Reason.MALFORMED),
        (raw(b"data: \xff\xfe\n\n"), Reason.MALFORMED),
        (raw(message({"choices": 7})), Reason.MALFORMED),
        (raw(message({"choices": [{"delta": {"content": 7}}]})), Reason.MALFORMED),
        (raw(message({"choices": [{"delta": "x"}]})), Reason.MALFORMED),
        (raw(message({"usage": {"prompt_tokens": "many"}, "choices": []})), Reason.MALFORMED),
        (raw(message({"error": {"message": "secret phrase"}})), Reason.SERVER_ERROR),
        (raw(b"<html>secret phrase</html>"), Reason.CUT),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
async def test_reply_that_is_no_reply_has_a_reason(
    reply: Any, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    idle_s = 0.2 if reply is hanging else 20
    async with both(lambda _: reply, idle_s=idle_s) as (_, client):
        with pytest.raises(ModelError) as caught:
            await client.complete(REQUEST)
    assert caught.value.reason == reason
    assert caught.value.tokens >= PROMPT_TOKENS
    assert "secret" not in caplog.text + repr(caught.value)
    assert "Instructions" not in caplog.text


async def test_slow_reply_is_awaited_within_the_limit_of_a_request() -> None:
    async def write(response: web.StreamResponse) -> None:
        for letter in '{"a":1}':
            await response.write(delta(content=letter))
            await asyncio.sleep(0.05)
        await response.write(delta("stop"))

    async with both(lambda _: write, idle_s=5) as (_, client):
        assert (await client.complete(REQUEST)).text == '{"a":1}'
    async with both(lambda _: endless_comments, request_s=0.3) as (_, client):
        with pytest.raises(ModelError, match="timeout"):
            await client.complete(REQUEST)


_TOO_LONG = "This model's maximum context length is 4096 tokens."


@pytest.mark.parametrize(
    ("response", "reason", "retry_after_s"),
    [
        (status(429, Retry_After="7"), Reason.THROTTLED, 7),
        (status(429, Retry_After="1e9"), Reason.THROTTLED, 3600),
        (status(429, Retry_After="-5"), Reason.THROTTLED, 0),
        (status(429, Retry_After="nan"), Reason.THROTTLED, 0),
        (status(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), Reason.THROTTLED, 0),
        (status(500), Reason.SERVER_ERROR, 0),
        (status(503, Retry_After="2"), Reason.SERVER_ERROR, 2),
        (status(401), Reason.UNAUTHORIZED, 0),
        (status(403), Reason.UNAUTHORIZED, 0),
        (status(404), Reason.NOT_FOUND, 0),
        (status(400), Reason.BAD_REQUEST, 0),
        (status(400, {"message": _TOO_LONG}), Reason.CONTEXT_EXCEEDED, 0),
        (
            status(400, {"message": "x", "code": "context_length_exceeded"}),
            Reason.CONTEXT_EXCEEDED,
            0,
        ),
        (
            web.Response(status=302, headers={"Location": "http://127.0.0.1:1"}),
            Reason.BAD_REQUEST,
            0,
        ),
        (web.Response(status=500, text="<html>secret phrase"), Reason.SERVER_ERROR, 0),
        (web.Response(status=500, body=b"x" * 2_000_000), Reason.TOO_LONG, 0),
        (web.Response(body=b"x", headers={"Content-Encoding": "gzip"}), Reason.SERVER_ERROR, 0),
    ],
    ids=lambda each: str(getattr(each, "status", each)),
)
async def test_status_of_the_server_has_a_reason(
    response: web.Response, reason: Reason, retry_after_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with both(lambda _: response) as (server, client):
        with pytest.raises(ModelError) as caught:
            await client.complete(REQUEST)
        assert len(server.requests) == 1, "repetitions are the worker's"
    assert (caught.value.reason, caught.value.retry_after_s) == (reason, retry_after_s)
    assert caught.value.tokens == 0
    assert "secret" not in caplog.text + repr(caught.value)


async def test_server_that_is_not_there_is_unreachable() -> None:
    async with client_of(f"http://127.0.0.1:{free_port()}/v1") as client:
        with pytest.raises(ModelError) as caught:
            await client.complete(REQUEST)
    assert (caught.value.reason, caught.value.tokens) == (Reason.UNREACHABLE, 0)
