"""Rules about connections, messages and frames. Source: measured on vLLM 0.32.0."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError

from cli.conform.dialogue import Dialogue, Difference, connected, expect
from cli.conform.rule import LONG_S, Rule, Server

_FRAME_LIMIT: Final = 16_777_216  # bytes
_SHORT_BYTES: Final = 125  # above that, two more bytes hold the length
_CLOSE: Final = 0x88  # the first byte of a Close frame
_APPEND: Final = "input_audio_buffer.append"
_COMMIT: Final = "input_audio_buffer.commit"
_UPDATE: Final = "session.update"
# What is sent, and the code and the beginning of the text of the error; "" matches any text.
_ERRORS: Final[tuple[tuple[str, str, str], ...]] = (
    ("", "invalid_json", "Invalid JSON"),
    ("{", "invalid_json", "Invalid JSON"),
    ("0:", "invalid_json", "Invalid JSON"),
    ("[]", "processing_error", "'list' object has no attribute 'get'"),
    ('"x"', "processing_error", "'str' object has no attribute 'get'"),
    ("null", "processing_error", "'NoneType' object has no attribute 'get'"),
    ("{}", "unknown_event", "Unknown event type: None"),
    ('{"type":"x.y"}', "unknown_event", "Unknown event type: x.y"),
    (f'{{"type":"{_UPDATE}"}}', "invalid_event", "Missing required field: model"),
    (
        f'{{"type":"{_UPDATE}","model":"no/such"}}',
        "model_not_found",
        "The model `no/such` does not exist.",
    ),
    (f'{{"type":"{_COMMIT}"}}', "model_not_validated", "Model not validated."),
    (f'{{"type":"{_COMMIT}","final":true}}', "model_not_validated", "Model not validated."),
    (f'{{"type":"{_COMMIT}","final":"x"}}', "model_not_validated", "Model not validated."),
    (f'{{"type":"{_APPEND}"}}', "processing_error", ""),
    (f'{{"type":"{_APPEND}","audio":5}}', "processing_error", ""),
    (f'{{"type":"{_APPEND}","audio":"A"}}', "invalid_audio", "Invalid audio data"),
    (f'{{"type":"{_APPEND}","audio":""}}', "invalid_audio", "Invalid audio data"),
    (f'{{"type":"{_APPEND}","audio":"AAAA"}}', "invalid_audio", "Invalid audio data"),
)


async def _created(server: Server) -> None:
    timeout_s = server.timeout_s
    async with connected(server.http, f"{server.url}?language=en") as socket:
        created = await Dialogue(socket, timeout_s).receive()
    id_, created_s = str(created.pop("id", "")), created.pop("created", None)
    expect(created, {"type": "session.created"}, "first message without id and time")
    expect(bool(re.fullmatch("sess-[0-9a-f]{16}", id_)), True, "id is sess- and 16 hex digits")
    expect(type(created_s).__name__, "int", "type of the time")


async def _requires_key(server: Server) -> None:
    async with ClientSession() as anonymous:
        try:
            async with connected(anonymous, server.url):
                raise Difference("accepted without a key")
        except WSServerHandshakeError as refused:
            expect(refused.status, 401, "status")


async def _health(server: Server) -> None:
    for path in ("/health", "/ping"):
        async with server.http.get(server.http_url(path), allow_redirects=False) as response:
            begins = (await response.content.read(1)).decode(errors="replace")
            expect((response.status, begins), (200, ""), path)


async def _unknown_keys(server: Server) -> None:
    async with server.open() as dialogue:
        await dialogue.send(_UPDATE, model=server.model, language="en", session={})
        await dialogue.nothing_is_pending()


async def _no_acknowledgment(server: Server) -> None:
    async with server.validated() as dialogue:
        await dialogue.append(bytes(640))
        await dialogue.commit()
        await dialogue.nothing_is_pending()


def _error(sent: str, code: str, text: str) -> Callable[[Server], Awaitable[None]]:
    async def check(server: Server) -> None:
        async with server.open() as dialogue:
            await dialogue.send_text(sent)
            await dialogue.error(code, text)
            await dialogue.nothing_is_pending()

    return check


async def _final_not_boolean(server: Server) -> None:
    async with server.validated() as dialogue:
        await dialogue.send(_COMMIT, final="x")
        await dialogue.error("processing_error")
        await dialogue.nothing_is_pending()


async def _binary(server: Server) -> None:
    async with server.open() as dialogue:
        await dialogue.socket.send_bytes(b"{}")
        code = await dialogue.closed()
        expect(code in (None, 1006), True, f"no Close frame (code {code})")


async def _largest_frame(server: Server) -> None:
    async with server.open() as dialogue:
        await dialogue.send_text("x" * _FRAME_LIMIT)
        await dialogue.error("invalid_json")


async def _too_large_frame(server: Server) -> None:
    """Send only the frame's header: a server may close before it has read the whole frame."""
    url = urlsplit(server.url)
    is_secure = url.scheme == "wss"
    port = url.port or (443 if is_secure else 80)
    headers = "".join(f"{name}: {value}\r\n" for name, value in server.http.headers.items())
    async with asyncio.timeout(server.timeout_s):
        reader, writer = await asyncio.open_connection(
            url.hostname, port, ssl=True if is_secure else None
        )
        try:
            writer.write(
                f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                f"Sec-WebSocket-Version: 13\r\n{headers}\r\n".encode()
            )
            expect(b" 101 " in await reader.readuntil(b"\r\n\r\n"), True, "upgrade accepted")
            writer.write(b"\x81\xff" + (_FRAME_LIMIT + 1).to_bytes(8, "big") + bytes(4))
            expect(await _close_code(reader), 1009, "close code")
        finally:
            writer.close()


async def _close_code(reader: asyncio.StreamReader) -> int:
    """Read a server's short frames (RFC 6455 section 5.2) until a Close; return its code."""
    while True:
        first, length = await reader.readexactly(2)
        if length > _SHORT_BYTES:
            length = int.from_bytes(await reader.readexactly(2), "big")
        payload = await reader.readexactly(length)
        if first == _CLOSE:
            return int.from_bytes(payload[:2], "big")


async def _pings(server: Server) -> None:
    async with server.open(autoping=False) as dialogue:
        for _ in range(2):
            ping = await dialogue.receive_frame()
            expect(ping.type.name, "PING", "frame")
            await dialogue.socket.pong(ping.data)
        await dialogue.nothing_is_pending()


async def _no_pong(server: Server) -> None:
    async with server.open(autoping=False) as dialogue:
        while (await dialogue.receive_frame()).type is WSMsgType.PING:
            pass
        expect(dialogue.socket.close_code, 1011, "close code")


def _lacks_key(server: Server) -> str:
    return "" if server.has_api_key else "needs --api-key"


def _lacks_patience(server: Server) -> str:
    return "" if server.is_patient else "needs --slow"


MESSAGES: Final = (
    Rule("session.created is sent at once; the query is ignored", _created),
    Rule("without the API key, the upgrade is refused with 401", _requires_key, _lacks_key),
    Rule("/health and /ping respond with an empty 200", _health),
    Rule("unknown keys are ignored", _unknown_keys),
    Rule("update, append and commit are not acknowledged", _no_acknowledgment),
    *(
        Rule(f"{sent or 'an empty text'} before the update: {code}", _error(sent, code, text))
        for sent, code, text in _ERRORS
    ),
    Rule("a commit whose final is not a boolean: processing_error", _final_not_boolean),
    Rule("a binary frame drops the connection without a Close frame", _binary),
    Rule("a frame of 16 MiB is accepted", _largest_frame),
    Rule("a larger frame closes with 1009", _too_large_frame),
    Rule("pings arrive every 20 s", _pings, _lacks_patience, LONG_S),
    Rule(
        "without pongs, the connection closes with 1011 after 40 s",
        _no_pong,
        _lacks_patience,
        LONG_S,
    ),
)
