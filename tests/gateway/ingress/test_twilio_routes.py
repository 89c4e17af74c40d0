"""Twilio's routes over real HTTP and WebSockets: who is let in, what closes a socket, and how."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallLimits, CallServices
from gateway.carriers.twilio_webhook import mint_token, sign
from gateway.ingress.twilio import MEDIA_PATH, VOICE_PATH, TwilioRoutes
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.transcript.events import Status, StreamEnded, StreamStarted, TranscriptEvent
from tests.gateway.scripted import ScriptedStream, ScriptedTransport
from tests.waiting import eventually

AUTH_TOKEN = "12345"
PUBLIC_URL = "https://gw.example.com/prefix"
MEDIA_URL = "wss://gw.example.com/prefix" + MEDIA_PATH
SIGNED = {"X-Twilio-Signature": sign(AUTH_TOKEN, MEDIA_URL)}
STREAM: dict[str, Any] = {"callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound"]}
START = {"event": "start", "start": STREAM}
MEDIA = {"event": "media", "media": {"payload": base64.b64encode(bytes(160)).decode()}}
STOP = {"event": "stop"}


class Gateway:
    """The public application with a scripted model and a transcript in memory."""

    client: ClientSession

    def __init__(self, **settings: Any) -> None:
        self.events: list[TranscriptEvent] = []
        self.ended = asyncio.Event()
        self.metrics = Metrics()
        self.transport = ScriptedTransport(greet=self.greet)
        values: dict[str, Any] = {
            "public_url": PUBLIC_URL,
            "upstream": "websocket",
            "realtime_url": "ws://127.0.0.1:1/v1/realtime",
            "twilio_auth_token": AUTH_TOKEN,
            "twilio_dial": "+15551234567",
        }
        self.settings = Settings(_env_file=None, **values | settings)
        self.streams = LiveStreams(self.settings.max_calls)
        services = CallServices(
            transport=self.transport,
            open_writer=self.open_writer,
            metrics=self.metrics,
            limits=CallLimits("m", 80, 5, 5, 30_000, 1000, 30_000),
            monotonic_s=lambda: 1.0,
            wall_s=lambda: 1000.0,
        )
        app = web.Application(client_max_size=65_536)
        TwilioRoutes(self.settings, services, self.streams).add_to(app)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)

    def greet(self, stream: ScriptedStream) -> None:
        """Answer as a model that hears silence: empty deltas and done at the final commit."""
        stream.created()
        send = stream.send

        def answering(message: bytes) -> bool:
            if json.loads(message).get("final"):
                asyncio.get_running_loop().call_soon(stream.answer_all)
            return send(message)

        stream.send = answering  # type: ignore[method-assign]  # the script's own hook

    def open_writer(
        self, call_id: str, stream_id: str, epoch: int, on_fenced: Callable[[], None]
    ) -> "Gateway":
        return self

    def publish(self, event: TranscriptEvent) -> None:
        self.events.append(event)
        if isinstance(event, StreamEnded):
            self.ended.set()

    async def dial_in(self, **headers: str) -> ClientWebSocketResponse:
        return await self.client.ws_connect(MEDIA_PATH, headers=headers or SIGNED)

    async def end(self) -> StreamEnded:
        await asyncio.wait_for(self.ended.wait(), 10)
        event = self.events[-1]
        assert isinstance(event, StreamEnded)
        return event

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"callscribe_{name}", labels)


@pytest.fixture
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    gateway = Gateway(**getattr(request, "param", {}))
    await gateway.runner.setup()
    await web.TCPSite(gateway.runner, "127.0.0.1", 0).start()
    port = gateway.runner.addresses[0][1]
    gateway.client = ClientSession(f"http://127.0.0.1:{port}")
    yield gateway
    await gateway.client.close()
    await gateway.runner.cleanup()


def with_settings(**settings: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("gateway", [settings], indirect=True, ids=[""])


async def closing(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.CLOSE
    return socket.close_code, message.extra or ""


async def refused(gateway: Gateway, **headers: str) -> int:
    with pytest.raises(WSServerHandshakeError) as caught:
        await gateway.client.ws_connect(MEDIA_PATH, headers=headers)
    return caught.value.status


class TestMedia:
    async def test_a_call(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        for message in ({"event": "connected"}, START, MEDIA, STOP):
            await socket.send_json(message)
        ended = await gateway.end()
        assert ended == StreamEnded(Status.COMPLETED, "carrier-stopped", 20, 0, 0)
        assert await closing(socket) == (1000, "carrier-stopped")
        assert gateway.metric("calls_total", carrier="twilio", status="completed") == 1
        assert gateway.metric("live_calls", carrier="twilio") == 0

    async def test_a_close_without_stop_ends_the_call_cleanly(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await socket.send_json(MEDIA)
        await socket.close()
        ended = await gateway.end()
        assert (ended.status, ended.reason) == (Status.COMPLETED, "carrier-closed")

    async def test_a_socket_that_vanishes(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await eventually(lambda: bool(gateway.events))
        await gateway.client.close()  # closes the connection, without a Close frame
        ended = await gateway.end()
        assert (ended.status, ended.reason) == (Status.FAILED, "socket-lost")

    @pytest.mark.parametrize(
        ("messages", "code", "reason"),
        [
            ([b"{"], 1007, "malformed-message"),
            ([START, b"\xff"], 1007, "malformed-message"),
            ([MEDIA], 1002, "media-before-start"),
            (
                [START, START | {"start": STREAM | {"streamSid": "MZ2"}}],
                1002,
                "second-start",
            ),
            (
                [START, MEDIA | {"media": {"track": "outbound", "payload": ""}}],
                1002,
                "unknown-track",
            ),
        ],
    )
    async def test_a_broken_protocol_closes_with_its_code(
        self, gateway: Gateway, messages: list[Any], code: int, reason: str
    ) -> None:
        socket = await gateway.dial_in()
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            await socket.send_frame(text, WSMsgType.TEXT)
        assert await closing(socket) == (code, reason)
        if messages[0] is START:
            assert (await gateway.end()).reason == reason

    async def test_binary(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_bytes(b"x")
        assert await closing(socket) == (1003, "binary-message")

    async def test_a_message_beyond_the_limit(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await socket.send_str("x" * (1 << 20) + "x")
        assert (await closing(socket))[0] == 1009
        assert (await gateway.end()).reason == "message-too-big"

    @with_settings(start_timeout_s=0.05)
    async def test_a_socket_that_says_nothing(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        assert await closing(socket) == (1008, "start-timeout")
        assert gateway.events == []

    async def test_drained(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await eventually(lambda: bool(gateway.events))
        _, closed = await asyncio.gather(gateway.streams.end_all(10), closing(socket))
        assert closed == (1012, "draining")
        assert (await gateway.end()).status is Status.DRAINED
        assert await refused(gateway, **SIGNED) == 503

    @with_settings(start_timeout_s=0.05)
    async def test_a_close_that_never_ends_cannot_hold_a_place(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Symptom: a peer that does not read; aiohttp's close waits for it without a time-out."""

        async def stuck(*_: object, **__: object) -> bool:
            return await asyncio.Event().wait()

        monkeypatch.setattr("gateway.ingress.media._CLOSE_TIMEOUT_S", 0.01)
        monkeypatch.setattr(web.WebSocketResponse, "close", stuck)
        socket = await gateway.dial_in()
        assert (await socket.receive(timeout=10)).type is WSMsgType.CLOSED  # cut off
        await eventually(lambda: gateway.streams.admitted == 0)


class TestWhoIsLetIn:
    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, "signature-missing"),
            ({"X-Twilio-Signature": sign("54321", MEDIA_URL)}, "signature-invalid"),
            (
                {"X-Twilio-Signature": sign(AUTH_TOKEN, "https" + MEDIA_URL[3:])},
                "signature-invalid",
            ),
            ({"X-Twilio-Signature": sign(AUTH_TOKEN, MEDIA_URL + "/")}, "signature-invalid"),
        ],
    )
    async def test_forged_upgrades(
        self, gateway: Gateway, headers: dict[str, str], reason: str
    ) -> None:
        assert await refused(gateway, **headers) == 403
        assert gateway.metric("refused_requests_total", carrier="twilio", reason=reason) == 1
        assert gateway.events == []

    async def test_a_query_is_part_of_what_is_signed(self, gateway: Gateway) -> None:
        signature = sign(AUTH_TOKEN, MEDIA_URL + "?a=%20b")
        await gateway.client.ws_connect(
            MEDIA_PATH + "?a=%20b", headers={"X-Twilio-Signature": signature}
        )
        with pytest.raises(WSServerHandshakeError):
            await gateway.client.ws_connect(MEDIA_PATH + "?a=c", headers=SIGNED)

    @with_settings(max_calls=1)
    async def test_at_capacity(self, gateway: Gateway) -> None:
        first = await gateway.dial_in()
        assert await refused(gateway, **SIGNED) == 503
        await first.close()
        await eventually(lambda: gateway.streams.admitted == 0)
        await gateway.dial_in()

    async def test_a_forged_token_ends_the_stream_before_it_began(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        start = STREAM | {"customParameters": {"tok": mint_token(AUTH_TOKEN, "CA2", 2000)}}
        await socket.send_json(START | {"start": start})
        assert await closing(socket) == (1008, "token-invalid")
        assert gateway.events == []

    @with_settings(twilio_require_token=True)
    async def test_a_token_can_be_required(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        assert await closing(socket) == (1008, "token-missing")
        assert gateway.events == []

    @with_settings(twilio_auth_token=None)
    async def test_closed_unless_opened(self, gateway: Gateway) -> None:
        assert await refused(gateway) == 404
        assert (await gateway.client.post(VOICE_PATH)).status == 404

    @with_settings(twilio_auth_token=None, twilio_ignore_signatures=True)
    async def test_open_to_anybody_by_an_explicit_setting(self, gateway: Gateway) -> None:
        socket = await gateway.client.ws_connect(MEDIA_PATH)
        await socket.send_json(START)
        await socket.send_json(STOP)
        assert (await gateway.end()).status is Status.COMPLETED


class TestWebhook:
    FORM = {"CallSid": "CA1", "From": "+15550000001"}  # noqa: RUF012  # never changed

    def signed(self, url: str = PUBLIC_URL + VOICE_PATH) -> dict[str, str]:
        return {"X-Twilio-Signature": sign(AUTH_TOKEN, url, self.FORM.items())}

    async def test_its_token_lets_the_stream_in(self, gateway: Gateway) -> None:
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 200
        assert reply.content_type == "text/xml"
        document = ElementTree.fromstring(await reply.read())
        stream, parameter = document.find("Start/Stream"), document.find("Start/Stream/Parameter")
        assert stream is not None
        assert parameter is not None
        assert stream.get("url") == MEDIA_URL
        assert document.findtext("Dial/Number") == "+15551234567"
        socket = await gateway.dial_in()
        params = {parameter.get("name"): parameter.get("value"), "queue": "sales"}
        await socket.send_json(START | {"start": STREAM | {"customParameters": params}})
        await socket.send_json(STOP)
        await gateway.end()
        assert isinstance(gateway.events[0], StreamStarted)
        assert gateway.events[0].params == {"queue": "sales"}

    async def test_forged(self, gateway: Gateway) -> None:
        for form, headers in (
            (self.FORM, {}),
            (self.FORM | {"From": "+1999"}, self.signed()),
            (self.FORM, self.signed(PUBLIC_URL + VOICE_PATH + "/")),
        ):
            reply = await gateway.client.post(VOICE_PATH, data=form, headers=headers)
            assert reply.status == 403
            assert await reply.text() == "forbidden\n"

    async def test_draining(self, gateway: Gateway) -> None:
        """Symptom to prevent: a call answered here, whose media is refused a second later."""
        gateway.streams.start_draining()
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "5"
        assert gateway.metric("refused_requests_total", carrier="twilio", reason="draining") == 1
        forged = await gateway.client.post(VOICE_PATH, data=self.FORM)
        assert forged.status == 403

    async def test_without_a_call(self, gateway: Gateway) -> None:
        form = {"CallSid": "", "From": "+15550000001"}
        signature = sign(AUTH_TOKEN, PUBLIC_URL + VOICE_PATH, form.items())
        headers = {"X-Twilio-Signature": signature}
        reply = await gateway.client.post(VOICE_PATH, data=form, headers=headers)
        assert reply.status == 400

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            # Symptom: a codec the client chose kept the whole process busy for a second.
            ("application/x-www-form-urlencoded; charset=punycode", b"a-" + b"9" * 60_000, 403),
            ("application/x-www-form-urlencoded; charset=bogus", b"CallSid=CA1", 403),
            ("application/x-www-form-urlencoded", b"CallSid=\xff", 400),
            ("application/x-www-form-urlencoded", b"a=1&" * 201, 400),
            ("application/x-www-form-urlencoded", b"a=" + b"1" * 70_000, 413),
            ("multipart/form-data", b"", 415),
            ("application/json", b"{}", 415),
        ],
    )
    async def test_bodies_that_are_no_form(
        self, gateway: Gateway, content_type: str, body: bytes, status: int
    ) -> None:
        headers = {"Content-Type": content_type}
        async with asyncio.timeout(0.5):
            reply = await gateway.client.post(VOICE_PATH, data=body, headers=headers)
        assert reply.status == status

    @with_settings(twilio_dial=None)
    async def test_closed_while_no_next_step_is_configured(self, gateway: Gateway) -> None:
        """Without one the answered call would end: <Start> does not block."""
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 404
