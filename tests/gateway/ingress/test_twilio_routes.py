"""Twilio's routes over real HTTP and WebSockets: authentication, routes, slots, close codes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web
from structlog.testing import capture_logs

from gateway.carriers.auth.signatures.twilio import sign
from gateway.carriers.auth.stream_authenticator import Tokens
from gateway.carriers.vendors.twilio import Twilio
from gateway.transcript.events import Status, StreamEnded, StreamStarted
from tests.gateway.ingress.served import NOW_S, PUBLIC_URL, Served, serving
from tests.waiting import eventually

AUTH_TOKEN = "12345"
MEDIA_PATH = "/media/twilio"
VOICE_PATH = "/voice/twilio"
MEDIA_URL = "wss://gw.example.com/prefix" + MEDIA_PATH
SIGNED = {"X-Twilio-Signature": sign(AUTH_TOKEN, MEDIA_URL)}
STREAM: dict[str, Any] = {"callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound"]}
START = {"event": "start", "start": STREAM}
MEDIA = {"event": "media", "media": {"payload": base64.b64encode(bytes(160)).decode()}}
STOP = {"event": "stop"}


def signed_for(path: str) -> dict[str, str]:
    url = MEDIA_URL.removesuffix(MEDIA_PATH) + path
    return {"X-Twilio-Signature": sign(AUTH_TOKEN, url)}


class Gateway(Served):
    """With Twilio; settings of that name are the carrier's."""

    def __init__(self, **settings: Any) -> None:
        twilio: dict[str, Any] = {"auth_token": AUTH_TOKEN, "dial": "+15551234567"}
        for name in [name for name in settings if name.startswith("twilio_")]:
            twilio[name.removeprefix("twilio_")] = settings.pop(name)
        super().__init__(Twilio(Twilio.Settings(_env_file=None, **twilio)), **settings)

    async def dial_in(self, path: str = MEDIA_PATH) -> ClientWebSocketResponse:
        return await self.connect(path, signed_for(path))


@pytest.fixture
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    async with serving(Gateway(**getattr(request, "param", {}))) as gateway:
        yield gateway


def with_settings(**settings: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("gateway", [settings], indirect=True, ids=[""])


async def closing(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.CLOSE
    return socket.close_code, message.extra or ""


async def refused(gateway: Gateway, path: str = MEDIA_PATH, **headers: str) -> int:
    with pytest.raises(WSServerHandshakeError) as caught:
        await gateway.client.ws_connect(path, headers=headers)
    return caught.value.status


class TestMedia:
    async def test_call_completes_at_stop(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        for message in ({"event": "connected"}, START, MEDIA, STOP):
            await socket.send_json(message)
        ended = await gateway.end()
        assert ended == StreamEnded(Status.COMPLETED, "carrier-stopped", 20, 0, 0)
        assert await closing(socket) == (1000, "carrier-stopped")
        assert gateway.metric("calls_total", carrier="twilio", status="completed") == 1
        assert gateway.metric("live_calls", carrier="twilio") == 0

    async def test_close_without_stop_completes_the_call(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await socket.send_json(MEDIA)
        await socket.close()
        ended = await gateway.end()
        assert (ended.status, ended.reason) == (Status.COMPLETED, "carrier-closed")

    async def test_lost_socket_fails_the_stream(self, gateway: Gateway) -> None:
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
            ([MEDIA] * 1001, 1002, "media-before-start"),
            (
                [START, START | {"start": STREAM | {"streamSid": "MZ2"}}],
                1002,
                "second-start",
            ),
            (
                [START, MEDIA | {"media": {"track": "sideways", "payload": ""}}],
                1002,
                "unknown-track",
            ),
        ],
    )
    async def test_protocol_violation_closes_with_its_code(
        self, gateway: Gateway, messages: list[Any], code: int, reason: str
    ) -> None:
        socket = await gateway.dial_in()
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            await socket.send_frame(text, WSMsgType.TEXT)
        assert await closing(socket) == (code, reason)
        if messages[0] is START:
            assert (await gateway.end()).reason == reason

    async def test_binary_message_closes_the_socket(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_bytes(b"x")
        assert await closing(socket) == (1003, "binary-message")

    async def test_too_big_message_closes_the_socket(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await socket.send_str("x" * (1 << 20) + "x")
        assert (await closing(socket))[0] == 1009
        assert (await gateway.end()).reason == "message-too-big"

    @with_settings(start_timeout_s=0.05)
    async def test_missing_start_times_out(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        assert await closing(socket) == (1008, "start-timeout")
        assert gateway.events == []

    async def test_drain_ends_streams_with_1012(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        await socket.send_json(START)
        await eventually(lambda: bool(gateway.events))
        _, closed = await asyncio.gather(gateway.streams.end_all(10), closing(socket))
        assert closed == (1012, "draining")
        assert (await gateway.end()).status is Status.DRAINED
        assert await refused(gateway, **SIGNED) == 503

    @with_settings(start_timeout_s=0.05)
    async def test_blocked_close_is_aborted(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Symptom: aiohttp's close waits without a timeout for a peer that does not read."""

        async def stuck(*_: object, **__: object) -> bool:
            return await asyncio.Event().wait()

        monkeypatch.setattr("gateway.ingress.media._CLOSE_TIMEOUT_S", 0.01)
        monkeypatch.setattr(web.WebSocketResponse, "close", stuck)
        socket = await gateway.dial_in()
        assert (await socket.receive(timeout=10)).type is WSMsgType.CLOSED  # cut off
        await eventually(lambda: gateway.streams.admitted == 0)


class TestAuthentication:
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
    async def test_forged_upgrade_is_refused(
        self, gateway: Gateway, headers: dict[str, str], reason: str
    ) -> None:
        assert await refused(gateway, **headers) == 403
        assert gateway.metric("refused_requests_total", carrier="twilio", reason=reason) == 1
        assert gateway.events == []

    async def test_signature_covers_the_query(self, gateway: Gateway) -> None:
        signature = sign(AUTH_TOKEN, MEDIA_URL + "?a=%20b")
        headers = {"X-Twilio-Signature": signature}
        async with gateway.client.ws_connect(MEDIA_PATH + "?a=%20b", headers=headers):
            pass
        with pytest.raises(WSServerHandshakeError):
            await gateway.client.ws_connect(MEDIA_PATH + "?a=c", headers=SIGNED)

    @with_settings(max_calls=1)
    async def test_upgrade_at_max_calls_is_refused(self, gateway: Gateway) -> None:
        first = await gateway.dial_in()
        assert await refused(gateway, **SIGNED) == 503
        await first.close()
        await eventually(lambda: gateway.streams.admitted == 0)
        await gateway.dial_in()

    @with_settings(endpoint_sessions=2, admission_wait_s=10)
    async def test_socket_lost_while_waiting_for_a_slot_is_released(
        self, gateway: Gateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Symptom: the upgrade of a lost socket logged a traceback."""
        first = await gateway.dial_in()
        leaving = asyncio.create_task(gateway.client.ws_connect(MEDIA_PATH, headers=SIGNED))
        await eventually(lambda: gateway.streams.admitted == 2)
        leaving.cancel()
        await asyncio.wait([leaving])
        await first.close()
        await eventually(lambda: gateway.streams.admitted == 0)
        assert gateway.slots_held == 0
        assert gateway.metric("refused_requests_total", carrier="twilio", reason="socket-lost") == 1
        assert [record.getMessage() for record in caplog.records] == []

    @pytest.mark.parametrize(
        ("route", "ttl_s"), [("other", 1000), ("", 1000), ("default", -1)], ids=str
    )
    async def test_token_of_another_route_or_expired_token_is_refused(
        self, gateway: Gateway, route: str, ttl_s: int
    ) -> None:
        token = Tokens("twilio", AUTH_TOKEN, ttl_s).mint(route, "CA1", NOW_S)
        path = f"{MEDIA_PATH}/default/{token}"
        assert await refused(gateway, path, **signed_for(path)) == 403
        assert gateway.events == []

    async def test_token_of_another_call_is_rejected(self, gateway: Gateway) -> None:
        token = Tokens("twilio", AUTH_TOKEN, 1000).mint("default", "CA2", NOW_S)
        socket = await gateway.dial_in(f"{MEDIA_PATH}/default/{token}")
        await socket.send_json(START)
        assert await closing(socket) == (1008, "token-invalid")
        assert gateway.events == []

    @with_settings(twilio_require_token=True)
    async def test_a_token_can_be_required(self, gateway: Gateway) -> None:
        assert await refused(gateway, **SIGNED) == 403
        assert gateway.events == []

    async def test_plain_get_does_not_use_the_token(self, gateway: Gateway) -> None:
        token = Tokens("twilio", AUTH_TOKEN, 1000).mint("default", "CA1", NOW_S)
        path = f"{MEDIA_PATH}/default/{token}"
        async with gateway.client.get(path, headers=signed_for(path)) as reply:
            assert reply.status == 400
        await gateway.dial_in(path)

    @with_settings(twilio_auth_token=None)
    async def test_carrier_without_settings_is_disabled(self, gateway: Gateway) -> None:
        assert await refused(gateway) == 404
        assert (await gateway.client.post(VOICE_PATH)).status == 404

    @with_settings(twilio_auth_token=None, twilio_ignore_signatures=True)
    async def test_ignore_signatures_accepts_unsigned_upgrades(self, gateway: Gateway) -> None:
        async with gateway.client.ws_connect(MEDIA_PATH) as socket:
            await socket.send_json(START)
            await socket.send_json(STOP)
            assert (await gateway.end()).status is Status.COMPLETED


ROUTES = """
[endpoints.main]
url = "ws://127.0.0.1:1/"
sessions = 4

[endpoints.vip]
url = "ws://127.0.0.1:2/"

[[routes]]
name = "vip"
called = ["+15550000001"]
endpoints = ["vip"]

[[routes]]
name = "sales"
params = { queue = "sales" }
endpoints = ["main"]
max_calls = 1

[[routes]]
name = "telnyx-only"
carrier = "telnyx"
endpoints = ["main"]
"""


@pytest.fixture
async def routed(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with routes."""
    path = tmp_path / "routes.toml"
    path.write_text(ROUTES)
    async with serving(Gateway(routes_file=path)) as gateway:
        yield gateway


class TestRoutes:
    async def test_unreachable_route_is_logged_at_startup(self, tmp_path: Path) -> None:
        """Symptom: a route with both conditions was never chosen, without a log line."""
        path = tmp_path / "routes.toml"
        both = '[[routes]]\nname = "both"\ncalled = ["+1*"]\nparams = {q = "1"}\n'
        path.write_text(ROUTES + both + 'endpoints = ["main"]\n')
        with capture_logs() as logs:
            Gateway(routes_file=path)
        assert [(line["event"], line["route"]) for line in logs] == [("route-never-chosen", "both")]

    async def test_route_is_chosen_by_path(self, routed: Gateway) -> None:
        socket = await routed.dial_in(MEDIA_PATH + "/vip")
        assert routed.capacity["endpoint:vip"].held == 2
        for message in (START, MEDIA, STOP):
            await socket.send_json(message)
        assert (await routed.end()).status is Status.COMPLETED
        await eventually(lambda: routed.slots_held == 0)

    async def test_route_is_chosen_by_start_message(self, routed: Gateway) -> None:
        socket = await routed.dial_in()
        assert routed.slots_held == 0
        await socket.send_json(START | {"start": STREAM | {"customParameters": {"queue": "sales"}}})
        await eventually(lambda: routed.capacity["endpoint:main"].held == 1)
        await socket.send_json(STOP)
        assert (await routed.end()).status is Status.COMPLETED
        await eventually(lambda: routed.slots_held == 0)

    async def test_call_without_route_is_refused(self, routed: Gateway) -> None:
        socket = await routed.dial_in()
        await socket.send_json(START)
        ended = await routed.end()
        assert (ended.status, ended.reason) == (Status.REFUSED, "no-route")
        assert await closing(socket) == (1008, "no-route")

    @pytest.mark.parametrize("name", ["nowhere", "telnyx-only"])
    async def test_unknown_route_is_not_found(self, routed: Gateway, name: str) -> None:
        path = f"{MEDIA_PATH}/{name}"
        assert await refused(routed, path, **signed_for(path)) == 404
        assert routed.metric("refused_requests_total", carrier="twilio", reason="no-route") == 1

    async def test_unsigned_request_does_not_reveal_routes(self, routed: Gateway) -> None:
        for name in ("vip", "nowhere"):
            assert await refused(routed, f"{MEDIA_PATH}/{name}", **SIGNED) == 403

    async def test_full_route_is_refused(self, routed: Gateway) -> None:
        path = MEDIA_PATH + "/sales"
        first = await routed.dial_in(path)
        assert await refused(routed, path, **signed_for(path)) == 503
        await first.close()
        await eventually(lambda: routed.slots_held == 0)
        await routed.dial_in(path)

    @pytest.mark.parametrize(
        ("called", "route"), [("+15550000001", "/vip/"), ("+15550000002", None)]
    )
    async def test_webhook_chooses_route_by_called_number(
        self, routed: Gateway, called: str, route: str | None
    ) -> None:
        """A call without a route continues without transcription."""
        form = {"CallSid": "CA1", "To": called}
        signature = sign(AUTH_TOKEN, PUBLIC_URL + VOICE_PATH, form.items())
        headers = {"X-Twilio-Signature": signature}
        reply = await routed.client.post(VOICE_PATH, data=form, headers=headers)
        document = ElementTree.fromstring(await reply.read())
        stream = document.find("Start/Stream")
        assert (stream is None) == (route is None)
        if stream is not None:
            assert stream.get("url", "").startswith(f"{MEDIA_URL}{route}")
        assert document.findtext("Dial/Number") == "+15551234567"


class TestSlots:
    @with_settings(endpoint_sessions=3)
    async def test_full_endpoint_is_refused_with_503(self, gateway: Gateway) -> None:
        first = await gateway.dial_in()
        assert await refused(gateway, **SIGNED) == 503
        labels = {"carrier": "twilio", "reason": "endpoint-at-capacity"}
        assert gateway.metric("refused_requests_total", **labels) == 1
        await first.send_json(START)  # one track needs one slot
        await eventually(lambda: gateway.slots_held == 1)
        await gateway.dial_in()

    @with_settings(endpoint_sessions=2)
    async def test_failed_upgrade_holds_no_slot(self, gateway: Gateway) -> None:
        async with gateway.client.get(MEDIA_PATH, headers=SIGNED) as reply:  # no upgrade at all
            assert reply.status == 400
        assert (gateway.slots_held, gateway.streams.admitted) == (0, 0)

    @with_settings(endpoint_sessions=2)
    async def test_stream_without_start_releases_its_slots(self, gateway: Gateway) -> None:
        socket = await gateway.dial_in()
        assert gateway.slots_held == 2
        await socket.close()
        await eventually(lambda: gateway.slots_held == 0)

    @with_settings(endpoint_sessions=2, admission_wait_s=10)
    async def test_stream_waits_for_a_slot(self, gateway: Gateway) -> None:
        first = await gateway.dial_in()
        second = asyncio.create_task(gateway.dial_in())
        await eventually(lambda: gateway.streams.admitted == 2)
        assert gateway.slots_held == 2
        await first.close()
        await second
        assert gateway.slots_held == 2


class TestWebhook:
    FORM = {"CallSid": "CA1", "From": "+15550000001"}  # noqa: RUF012  # never changed

    def signed(self, url: str = PUBLIC_URL + VOICE_PATH) -> dict[str, str]:
        return {"X-Twilio-Signature": sign(AUTH_TOKEN, url, self.FORM.items())}

    async def test_document_contains_a_single_use_token(self, gateway: Gateway) -> None:
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 200
        assert reply.content_type == "text/xml"
        document = ElementTree.fromstring(await reply.read())
        stream = document.find("Start/Stream")
        assert stream is not None
        path = stream.get("url", "").removeprefix(MEDIA_URL.removesuffix(MEDIA_PATH))
        assert path.startswith(f"{MEDIA_PATH}/default/")
        assert document.findtext("Dial/Number") == "+15551234567"
        socket = await gateway.dial_in(path)
        params = {"queue": "sales"}
        await socket.send_json(START | {"start": STREAM | {"customParameters": params}})
        await socket.send_json(STOP)
        await gateway.end()
        assert isinstance(gateway.events[0], StreamStarted)
        assert gateway.events[0].params == {"queue": "sales"}
        assert await refused(gateway, path, **signed_for(path)) == 403  # single-use

    async def test_forged_webhook_is_refused(self, gateway: Gateway) -> None:
        for form, headers in (
            (self.FORM, {}),
            (self.FORM | {"From": "+1999"}, self.signed()),
            (self.FORM, self.signed(PUBLIC_URL + VOICE_PATH + "/")),
        ):
            reply = await gateway.client.post(VOICE_PATH, data=form, headers=headers)
            assert reply.status == 403
            assert await reply.text() == "forbidden\n"

    async def test_webhook_is_refused_while_draining(self, gateway: Gateway) -> None:
        """Symptom to prevent: the webhook is answered, and its media are refused a second later."""
        gateway.streams.start_draining()
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "5"
        assert gateway.metric("refused_requests_total", carrier="twilio", reason="draining") == 1
        forged = await gateway.client.post(VOICE_PATH, data=self.FORM)
        assert forged.status == 403

    async def test_new_calls_are_refused_while_overloaded(self, gateway: Gateway) -> None:
        """New webhooks and upgrades are refused; the live call continues."""
        live = await gateway.dial_in()
        await live.send_json(START)
        for _ in range(4):
            await gateway.dial_in()
        gateway.load.cpu = 2.0
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "5"
        assert await refused(gateway, **SIGNED) == 503
        assert gateway.metric("refused_requests_total", carrier="twilio", reason="overloaded") == 2
        await live.send_json(MEDIA)
        await live.send_json(STOP)
        assert (await gateway.end()).status is Status.COMPLETED

    async def test_webhook_without_call_id_is_refused(self, gateway: Gateway) -> None:
        form = {"CallSid": "", "From": "+15550000001"}
        signature = sign(AUTH_TOKEN, PUBLIC_URL + VOICE_PATH, form.items())
        headers = {"X-Twilio-Signature": signature}
        reply = await gateway.client.post(VOICE_PATH, data=form, headers=headers)
        assert reply.status == 400

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            # Symptom: a codec the client chose kept the whole process busy for a second.
            ("application/x-www-form-urlencoded; charset=punycode", b"a-=" + b"9" * 60_000, 403),
            ("application/x-www-form-urlencoded; charset=bogus", b"CallSid=CA1", 403),
            ("application/x-www-form-urlencoded", b"CallSid=\xff", 400),
            ("application/x-www-form-urlencoded", b"a=1&" * 201, 400),
            ("application/x-www-form-urlencoded", b"a=" + b"1" * 70_000, 413),
            ("multipart/form-data", b"", 415),
            ("application/json", b"{}", 415),
        ],
    )
    async def test_body_that_is_not_a_form_is_refused(
        self, gateway: Gateway, content_type: str, body: bytes, status: int
    ) -> None:
        headers = {"Content-Type": content_type}
        async with asyncio.timeout(0.5):
            reply = await gateway.client.post(VOICE_PATH, data=body, headers=headers)
        assert reply.status == status

    @with_settings(twilio_dial=None)
    async def test_webhook_is_disabled_without_dial_setting(self, gateway: Gateway) -> None:
        """Without <Dial> the call would end at once, because <Start> does not block."""
        reply = await gateway.client.post(VOICE_PATH, data=self.FORM, headers=self.signed())
        assert reply.status == 404
