"""The driver against a server that a dialogue waits for, as AudioHook does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from cli.callers.call import Call
from cli.callers.close_codes import in_words
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.genesys import Genesys
from cli.callers.talkdesk import Talkdesk
from cli.errors import CommandError
from deploy.local.credentials import CREDENTIALS

PACE = 40.0


class AudioHookPeer:
    """Answers what it is told to, and closes instead of what it is not."""

    def __init__(self) -> None:
        self.answers = {"open", "ping", "close"}
        self.nonsense: str | None = None
        self.heard: list[str] = []
        self.audio = b""
        self.seq = 0
        self.app = web.Application()
        self.app.router.add_get("/media/genesys", self.serve)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                assert self.heard[0] == "open"
                self.audio += message.data
                continue
            said = json.loads(message.data)
            self.heard.append(said["type"])
            if said["type"] not in self.answers:
                await socket.close(code=1011)
                break
            await socket.send_str(self.write(said) if self.nonsense is None else self.nonsense)
        return socket

    def write(self, said: dict[str, Any]) -> str:
        self.seq += 1
        assert said["serverseq"] == self.seq - 1
        types = {"open": "opened", "ping": "pong", "close": "closed"}
        media = said["parameters"].get("media", [])[:1]
        answer = {"type": types[said["type"]], "seq": self.seq, "parameters": {"media": media}}
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


async def test_a_session_from_open_to_closed(peer: AudioHookPeer, url: str) -> None:
    """It pings after a second, then every five."""
    placed = await call(url)
    assert placed.refused_with is None
    assert peer.heard == ["open", "ping", "ping", "close"]
    assert peer.audio == bytes([0, 1]) * 160 * 350


@pytest.mark.parametrize(("unanswered", "heard"), [("open", ["open"]), ("close", None)])
async def test_an_end_where_an_answer_is_due(
    peer: AudioHookPeer, url: str, unanswered: str, heard: list[str] | None
) -> None:
    peer.answers.remove(unanswered)
    placed = await call(url)
    assert placed.refused_with == 1011
    assert heard is None or (peer.heard, peer.audio) == (heard, b"")


@pytest.mark.parametrize(
    "nonsense", ["", "{}", '{"type":"opened","seq":1,"parameters":{"media":1}}']
)
async def test_an_answer_in_another_protocol(peer: AudioHookPeer, url: str, nonsense: str) -> None:
    peer.nonsense = nonsense
    with pytest.raises(CommandError, match="not AudioHook's"):
        await call(url)


async def test_a_secret_in_a_url_is_not_said(url: str) -> None:
    """Symptom to prevent: a refused upgrade whose message has Talkdesk's secret."""
    secret = CREDENTIALS["GATEWAY_TALKDESK_SECRET"]
    gateway, caller = Gateway(url, "https://gw.example.com"), Talkdesk(CREDENTIALS)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(CommandError, match="media/talkdesk answered 404") as caught:
            await place(http, gateway, caller, Call({"inbound": bytes(160)}))
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1008, "not let in"),
        (1012, "being restarted"),
        (1013, "no capacity"),
        (1006, "broke off"),
        (4000, "a meaning of its own"),
    ],
)
def test_close_codes_in_words(code: int, words: str) -> None:
    """Symptom: `was ended by the gateway: 1013`."""
    assert words in in_words(code)
    assert str(code) in in_words(code)
