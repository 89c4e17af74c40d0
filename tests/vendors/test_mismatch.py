"""Servers that are not what the settings say: each is named within seconds, or works."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from common.serving import listening
from gateway.upstream.dialects.registry import DialectName, make_dialect
from tests.vendors import openai_server, vllm_server
from tests.vendors.calls import play
from tests.vendors.socket_loop import in_virtual_time
from tests.vendors.test_vllm import tokens

_OWN_API = "the server does not speak vLLM's Realtime API"
_VLLM = "the server's Realtime API is vLLM's"
_HEADER = "the text has Qwen3-ASR's header"
_WORDS_ONLY = "only words, far fewer than the audio"
_CONVERSATION = "the session is a conversation: the URL must not select a model"

SERVERS: dict[str, vllm_server.Script | openai_server.Script] = {
    "voxtral": vllm_server.Script(model="voxtral"),
    "voxtral, merged": vllm_server.Script(model="voxtral", merged=12),
    "qwen": vllm_server.Script(split=tokens),
    "qwen, letters": vllm_server.Script(split=list),
    "qwen, no headers": vllm_server.Script(headers=False, split=tokens),
    "qwen, no headers or ends": vllm_server.Script(headers=False, ends=False, split=tokens),
    "openai": openai_server.Script(),
    "sglang": openai_server.Script(rate_hz=16_000, has_g711=False),
    "speaches": openai_server.Script(is_beta=True, deltas="none"),
    "conversation": openai_server.Script(session_type="realtime"),
}
type Expected = tuple[str, str | None, float]  # reason, detail, seconds at most
WORKS: Expected = ("carrier-stopped", None, 0)
OTHER_API: Expected = ("model-mismatch", _OWN_API, 0.2)
VLLM: Expected = ("model-mismatch", _VLLM, 0.2)
OPENAI: Expected = ("model-mismatch", "the server's Realtime API is OpenAI's", 0.2)
CONVERSATION: Expected = ("model-mismatch", _CONVERSATION, 0.2)
REFUSED: Expected = ("validation-error", "invalid_value", 0.2)
HEADER: Expected = ("model-mismatch", _HEADER, 6)
# What no dialect can work with.
FOR_ALL: dict[str, Expected] = {
    "not found": ("endpoint-not-found", "status=404", 0.2),
    "speaches": ("access-denied", "status=403", 0.2),  # the URL has no model
    "page": ("endpoint-not-found", "status=200", 0.2),
    "echo": ("created-timeout", "after 5 s", 6),
    "echo with a greeting": ("realtime-protocol-error", "not a typed JSON object", 0.2),
}
OF_VLLM = dict.fromkeys(("openai", "sglang", "conversation"), OTHER_API) | FOR_ALL
OF_OPENAI = dict.fromkeys((name for name in SERVERS if name[0] in "vq"), VLLM) | FOR_ALL
OF_OPENAI["conversation"] = CONVERSATION
TABLE: dict[str, dict[str, Expected]] = {
    "voxtral": OF_VLLM
    | {
        "voxtral": WORKS,
        "voxtral, merged": ("model-mismatch", _WORDS_ONLY, 22),
        "qwen": HEADER,
        "qwen, letters": HEADER,
        "qwen, no headers": ("model-mismatch", _WORDS_ONLY, 22),
        "qwen, no headers or ends": ("model-mismatch", _WORDS_ONLY, 12),
    },
    "voxtral-turns": OF_VLLM
    | {
        "voxtral": WORKS,
        "voxtral, merged": WORKS,
        "qwen": HEADER,
        "qwen, letters": HEADER,
    },
    "qwen3-asr": OF_VLLM | dict.fromkeys((name for name in SERVERS if name[0] in "vq"), WORKS),
    "openai": OF_OPENAI | {"openai": WORKS, "sglang": REFUSED},
    "sglang": OF_OPENAI | {"openai": REFUSED, "sglang": WORKS},
    "speaches": OF_OPENAI
    | {"openai": OPENAI, "sglang": OPENAI, "conversation": OPENAI, "speaches": WORKS},
}
ROWS = [
    pytest.param(dialect, server, expected, id=f"{dialect} at {server}")
    for dialect, row in TABLE.items()
    for server, expected in row.items()
]


@contextlib.asynccontextmanager
async def no_model(kind: str) -> AsyncIterator[str]:
    """Serve something that is no model server; yield its URL."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if kind == "page":
            return web.Response(text="Hello")
        if kind == "not found":
            raise web.HTTPNotFound
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if kind == "echo with a greeting":
            await socket.send_str("Request served by a3f1")
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    application = web.Application()
    application.router.add_get("/v1/realtime", handle)
    async with listening(application, "127.0.0.1", 0) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"


@contextlib.asynccontextmanager
async def serving(name: str) -> AsyncIterator[str]:
    """Serve one of the servers; yield its URL."""
    match SERVERS.get(name):
        case vllm_server.Script() as script:
            async with vllm_server.serving(script) as server:
                yield server.url
        case openai_server.Script() as script:
            async with openai_server.serving(script) as server:
                yield server.url
        case None:
            async with no_model(name) as url:
                yield url


@pytest.mark.parametrize(("dialect", "server", "expected"), ROWS)
@in_virtual_time
async def test_a_server_that_is_not_what_the_settings_say(
    dialect: str, server: str, expected: Expected
) -> None:
    with capture_logs() as logs:
        async with serving(server) as url:
            played = await play(url, make_dialect(DialectName(dialect)), retry_budget_s=12)
    [ended] = [line for line in logs if line["event"] == "stream-ended"]
    reason, detail, most_s = expected
    assert (played.ended.reason, ended["detail"]) == (reason, detail)
    if expected == WORKS:
        assert played.texts == [word.text for word in played.spoken]
        return
    assert played.ended.status == "failed"
    (found, after_s), *_ = played.failures
    assert found == reason
    assert after_s <= most_s
    if server in ("openai", "sglang", "conversation", *FOR_ALL):
        assert played.texts == []
