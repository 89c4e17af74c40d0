"""The Twilio caller against a server that checks signatures and messages byte by byte."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from cli.callers.call import Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.twilio import Twilio
from cli.errors import CommandError

TOKEN: Final = "a made-up token"
PUBLIC: Final = "https://calls.example.com/base"
STREAM_URL: Final = "wss://calls.example.com/base/media/twilio"
PACE: Final = 40.0


def twilio(token: str) -> Twilio:
    return Twilio({"GATEWAY_TWILIO_AUTH_TOKEN": token})


TWILIO: Final = twilio(TOKEN)


class TwilioPeer:
    """A gateway that accepts only correctly signed requests and stores the messages."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.close_after: int | None = None
        self.closed_by_caller = False
        self.app = web.Application()
        self.app.router.add_post("/base/voice/twilio", self.voice)
        self.app.router.add_get("/base/media/twilio", self.media)

    async def voice(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signed = f"{PUBLIC}/voice/twilio" + "".join(n + form[n] for n in sorted(form))
        if request.headers.get("X-Twilio-Signature") != hmac_sha1(signed):
            return web.Response(status=403)
        twiml = (
            f'<?xml version="1.0"?><Response><Start><Stream url="{STREAM_URL}">'
            f'<Parameter name="tok" value="for {form["CallSid"]}"/></Stream></Start></Response>'
        )
        return web.Response(text=twiml, content_type="text/xml")

    async def media(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Twilio-Signature") != hmac_sha1(STREAM_URL):
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            self.received.append(json.loads(message.data))
            if len(self.received) == self.close_after:
                await socket.close(code=1008)
        self.closed_by_caller = socket.close_code == 1000
        return socket


def hmac_sha1(text: str) -> str:
    return base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()


@pytest.fixture
def peer() -> TwilioPeer:
    return TwilioPeer()


@pytest.fixture
async def url(peer: TwilioPeer) -> AsyncIterator[str]:
    async with TestServer(peer.app) as server:
        yield f"ws://{server.host}:{server.port}/base"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def two_tracks() -> Call:
    return Call({"inbound": bytes(range(160)) + b"\x01" * 100, "outbound": b"\x02" * 480})


async def test_call_is_announced_and_played(
    peer: TwilioPeer, url: str, http: aiohttp.ClientSession
) -> None:
    call = two_tracks()
    await place(http, Gateway(url, PUBLIC), TWILIO, call, pace=PACE)

    connected, start, *media_messages, stop_message = peer.received
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["customParameters"] == {"tok": f"for {call.call_id}"}
    assert start["start"]["mediaFormat"] == {
        "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1
    }  # fmt: skip
    assert stop_message["sequenceNumber"] == "8"
    assert stop_message["stop"]["callSid"] == call.call_id
    assert [
        (m["sequenceNumber"], m["media"]["track"], m["media"]["chunk"], m["media"]["timestamp"])
        for m in media_messages
    ] == [
        ("2", "inbound", "1", "0"), ("3", "outbound", "1", "0"),
        ("4", "inbound", "2", "20"), ("5", "outbound", "2", "20"),
        ("6", "inbound", "3", "40"), ("7", "outbound", "3", "40"),
    ]  # fmt: skip
    inbound = b"".join(base64.b64decode(m["media"]["payload"]) for m in media_messages[::2])
    assert inbound == call.tracks["inbound"] + b"\xff" * 220  # silence until the longer one ends
    assert call.frames == 6
    assert peer.closed_by_caller


async def test_media_url_skips_the_webhook(
    peer: TwilioPeer, url: str, http: aiohttp.ClientSession
) -> None:
    await place(http, Gateway(f"{url}/media/twilio", PUBLIC), TWILIO, two_tracks(), pace=PACE)
    assert peer.received[1]["start"]["customParameters"] == {}
    assert peer.received[-1]["event"] == "stop"


async def test_call_is_played_in_real_time(url: str, http: aiohttp.ClientSession) -> None:
    call = Call({"inbound": bytes(160 * 26)})
    began_s = time.monotonic()
    await place(http, Gateway(url, PUBLIC), TWILIO, call)
    assert time.monotonic() - began_s >= 0.5


@pytest.mark.parametrize(
    ("path", "token", "what"),
    [
        ("", "wrong", "voice/twilio answered 403"),
        ("", "", "voice/twilio answered 403"),
        ("/elsewhere", TOKEN, "voice/twilio answered 404"),
        ("/media/twilio", "wrong", "media/twilio answered 403; check the credentials"),
    ],
)
async def test_refusal_is_reported(
    url: str, http: aiohttp.ClientSession, path: str, token: str, what: str
) -> None:
    with pytest.raises(CommandError, match=what):
        await place(http, Gateway(url + path, PUBLIC), twilio(token), two_tracks())


async def test_unreachable_gateway_is_reported(
    http: aiohttp.ClientSession, unused_tcp_port: int
) -> None:
    gateway = Gateway(f"ws://127.0.0.1:{unused_tcp_port}", PUBLIC)
    with pytest.raises(CommandError, match=r"cannot reach ws://127\.0\.0\.1:\d+: Connect"):
        await place(http, gateway, TWILIO, two_tracks())


async def test_close_by_the_gateway_is_recorded(
    peer: TwilioPeer, url: str, http: aiohttp.ClientSession
) -> None:
    peer.close_after = 4
    call = Call({"inbound": bytes(160 * 500)})
    await place(http, Gateway(url, PUBLIC), TWILIO, call)
    assert call.refused_with == 1008


@pytest.mark.parametrize(
    "document", ["", "no xml", "<Response/>", "<Response><Start><Stream/></Start></Response>"]
)
def test_twiml_without_stream_is_rejected(document: str) -> None:
    with pytest.raises(ValueError, match="no <Stream"):
        TWILIO.answered(two_tracks(), document.encode(), 0)


@pytest.mark.parametrize(
    ("given", "scheme", "address"),
    [
        ("ws://h:8000", "ws", "ws://h:8000/media/twilio"),
        ("ws://h:8000/media/twilio", "ws", "ws://h:8000/media/twilio"),
        ("wss://h/base/", "ws", "wss://h/base/media/twilio"),
        ("wss://h/base/media/twilio/", "http", "https://h/base/media/twilio"),
        ("http://h", "ws", "ws://h/media/twilio"),
    ],
)
def test_address_keeps_host_prefix_and_tls(given: str, scheme: str, address: str) -> None:
    assert Gateway(given, PUBLIC).address(scheme, "/media/twilio") == address
