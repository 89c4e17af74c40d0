"""The driver against an AudioHook server, whose answers the dialogue waits for."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from cli.callers.call import Call
from cli.callers.driver import describe_close, place
from cli.callers.gateway import Gateway
from cli.callers.genesys import Genesys
from cli.callers.talkdesk import Talkdesk
from cli.errors import CommandError
from deploy.local.credentials import CREDENTIALS

PACE = 40.0


class AudioHookPeer:
    """Answers the message types in `answers`, and closes the socket after any other."""

    def __init__(self) -> None:
        self.answers = {"open", "ping", "close"}
        self.nonsense: str | None = None
        self.received: list[str] = []
        self.audio = b""
        self.seq = 0
        self.app = web.Application()
        self.app.router.add_get("/media/genesys", self.serve)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                assert self.received[0] == "open"
                self.audio += message.data
                continue
            command = json.loads(message.data)
            self.received.append(command["type"])
            if command["type"] not in self.answers:
                await socket.close(code=1011)
                break
            await socket.send_str(self.write(command) if self.nonsense is None else self.nonsense)
        return socket

    def write(self, message: dict[str, Any]) -> str:
        self.seq += 1
        assert message["serverseq"] == self.seq - 1
        types = {"open": "opened", "ping": "pong", "close": "closed"}
        media = message["parameters"].get("media", [])[:1]
        answer = {"type": types[message["type"]], "seq": self.seq, "parameters": {"media": media}}
        return json.dumps(answer)


@pytest.fixture
def peer() -> AudioHookPeer:
    return AudioHookPeer()


@pytest.fixture
async def url(peer: AudioHookPeer) -> AsyncIterator[str]:
    async with TestServer(peer.app) as server:
        yield f"ws://{server.host}:{server.port}"


async def call(url: str) -> Call:
    placed = Call({"inbound": bytes(160 * 350), "outbound": bytes([1]) * 160 * 350})
    async with aiohttp.ClientSession() as http:
        gateway = Gateway(url, "https://gw.example.com")
        await place(http, gateway, Genesys(CREDENTIALS), placed, pace=PACE)
    return placed


async def test_session_is_opened_pinged_and_closed(peer: AudioHookPeer, url: str) -> None:
    """The first ping is sent after 1 s, the next one 5 s later."""
    placed = await call(url)
    assert placed.refused_with is None
    assert peer.received == ["open", "ping", "ping", "close"]
    assert peer.audio == bytes([0, 1]) * 160 * 350


@pytest.mark.parametrize(("unanswered", "received"), [("open", ["open"]), ("close", None)])
async def test_close_instead_of_an_answer_ends_the_call(
    peer: AudioHookPeer, url: str, unanswered: str, received: list[str] | None
) -> None:
    peer.answers.remove(unanswered)
    placed = await call(url)
    assert placed.refused_with == 1011
    assert received is None or (peer.received, peer.audio) == (received, b"")


@pytest.mark.parametrize(
    "nonsense", ["", "{}", '{"type":"opened","seq":1,"parameters":{"media":1}}']
)
async def test_malformed_answer_is_reported(peer: AudioHookPeer, url: str, nonsense: str) -> None:
    peer.nonsense = nonsense
    with pytest.raises(CommandError, match="not AudioHook's"):
        await call(url)


async def test_error_omits_secret_in_url(url: str) -> None:
    """Symptom to prevent: the error of a refused upgrade contains Talkdesk's secret."""
    secret = CREDENTIALS["GATEWAY_TALKDESK_SECRET"]
    gateway, caller = Gateway(url, "https://gw.example.com"), Talkdesk(CREDENTIALS)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(CommandError, match="media/talkdesk answered 404") as caught:
            await place(http, gateway, caller, Call({"inbound": bytes(160)}))
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1008, "rejected"),
        (1012, "restarting"),
        (1013, "no capacity"),
        (1006, "broke off"),
        (4000, "unknown meaning"),
    ],
)
def test_close_code_is_explained(code: int, words: str) -> None:
    """Symptom: `was ended by the gateway: 1013`, with no explanation."""
    assert words in describe_close(code)
    assert str(code) in describe_close(code)
