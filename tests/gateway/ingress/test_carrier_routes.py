"""The carriers' routes over real HTTP: webhooks, upgrades, calls and refusals.

Twilio's routes are in test_twilio_routes.py, with the behavior that all carriers share.
"""

import asyncio
import base64
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.carriers.auth.signatures import plivo as plivo_signature
from gateway.carriers.auth.signatures import twilio as twilio_signature
from gateway.carriers.carrier import Carrier
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.signalwire import SignalWire
from gateway.carriers.vendors.talkdesk import Talkdesk
from gateway.carriers.vendors.telnyx import Telnyx
from gateway.transcript.events import Status, StreamStarted
from tests.gateway.ingress.served import NOW_S, PUBLIC_URL, Served, serving
from tests.waiting import eventually

SECRET = "a-secret-of-the-operator"
KEY = "a-signing-key"
CALLED = "+15550000001"
DIAL = {"dial": "+15551234567"}
TELNYX = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TELNYX_PUBLIC = base64.b64encode(TELNYX.public_key().public_bytes_raw()).decode()
AUDIO = base64.b64encode(bytes(160)).decode()
MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


@dataclass
class Announced:
    """The stream that the response to a webhook announced."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)


class Script:
    """One carrier, played by the test.

    Attributes:
        carrier: its class.
        settings: those that open it.
        call: the messages of a call of one frame on each track, whose id is CA1.
        roles: of its inbound and outbound tracks.
    """

    carrier: Any
    settings: ClassVar[Mapping[str, Any]]
    call: ClassVar[list[dict[str, Any]]]
    roles = ("customer", "agent")

    def made(self, **changed: Any) -> Carrier:
        settings = self.carrier.Settings(_env_file=None, **{**self.settings, **changed})
        made: Carrier = self.carrier(settings)
        return made

    def upgrade(self, path: str) -> dict[str, str]:
        """The headers of an upgrade whose URL was configured by hand."""
        return {"Authorization": f"Bearer {SECRET}"}


class ForkingScript(Script, ABC):
    """One whose webhook announces its calls."""

    @abstractmethod
    def signed(self, url: str, body: bytes, form: list[tuple[str, str]]) -> dict[str, str]:
        """The headers of a webhook."""

    @abstractmethod
    def read(self, answer: bytes) -> Announced:
        """Read where the stream is to go."""

    def over(self) -> list[tuple[str, str]]:
        """The form of a callback that says that the stream is over."""
        return [("CallSid", "CA1"), ("StreamSid", "S1"), ("StreamEvent", "stream-stopped")]


def _stream(answer: bytes) -> ElementTree.Element:
    found = ElementTree.fromstring(answer).find(".//Stream")
    assert found is not None
    return found


def _path(url: str) -> str:
    assert url.startswith("wss://gw.example.com/prefix/")
    return urlsplit(url).path.removeprefix("/prefix")


class OfTelnyx(ForkingScript):
    carrier = Telnyx
    settings: ClassVar[Mapping[str, Any]] = {
        "secret": SECRET,
        "public_key": TELNYX_PUBLIC,
        "dial": "+15551234567",
    }
    call: ClassVar[list[dict[str, Any]]] = [
        {"event": "connected", "version": "1.0.0"},
        {
            "event": "start",
            "stream_id": "S1",
            "start": {"call_control_id": "CA1", "media_format": {"encoding": "PCMU"}},
        },
        {"event": "media", "media": {"track": "outbound", "chunk": "1", "payload": AUDIO}},
        {"event": "media", "media": {"track": "inbound", "chunk": "1", "payload": AUDIO}},
        {"event": "stop"},
    ]

    def signed(self, url: str, body: bytes, form: list[tuple[str, str]]) -> dict[str, str]:
        stamp = str(int(NOW_S))
        signature = TELNYX.sign(stamp.encode() + b"|" + body)
        return {
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
            "telnyx-timestamp": stamp,
        }

    def read(self, answer: bytes) -> Announced:
        stream = _stream(answer)
        assert (stream.get("track"), stream.get("codec")) == ("both_tracks", "PCMU")
        return Announced(_path(stream.get("url", "")))


class OfSignalWire(ForkingScript):
    carrier = SignalWire
    settings: ClassVar[Mapping[str, Any]] = {
        "secret": SECRET,
        "signing_key": KEY,
        "dial": "+15551234567",
    }
    call: ClassVar[list[dict[str, Any]]] = [
        {"event": "connected", "protocol": "Call", "version": "0.2.0"},
        {
            "event": "start",
            "start": {
                "streamSid": "S1",
                "callSid": "CA1",
                "tracks": ["inbound", "outbound"],
                "mediaFormat": MULAW,
            },
        },
        {"event": "media", "media": {"track": "inbound", "chunk": "1", "payload": AUDIO}},
        {"event": "media", "media": {"track": "outbound", "chunk": "1", "payload": AUDIO}},
        {"event": "stop", "sequenceNumber": "9"},
    ]

    def signed(self, url: str, body: bytes, form: list[tuple[str, str]]) -> dict[str, str]:
        return {"X-SignalWire-Signature": twilio_signature.sign(KEY, url, form)}

    def read(self, answer: bytes) -> Announced:
        stream = _stream(answer)
        assert stream.get("track") == "both_tracks"
        token = stream.get("authBearerToken", "")
        return Announced(_path(stream.get("url", "")), {"Authorization": f"Bearer {token}"})


class OfPlivo(ForkingScript):
    carrier = Plivo
    settings: ClassVar[Mapping[str, Any]] = {"auth_token": KEY, **DIAL}
    call: ClassVar[list[dict[str, Any]]] = [
        {
            "event": "start",
            "start": {
                "callId": "CA1",
                "streamId": "S1",
                "tracks": ["inbound", "outbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
            },
        },
        {"event": "media", "media": {"track": "inbound", "chunk": 1, "payload": AUDIO}},
        {"event": "media", "media": {"track": "outbound", "chunk": 1, "payload": AUDIO}},
    ]
    nonces = itertools.count()

    def _headers(self, url: str, form: list[tuple[str, str]]) -> dict[str, str]:
        nonce = str(next(self.nonces))
        signature = plivo_signature.sign(KEY, url, nonce, form)
        return {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce}

    def signed(self, url: str, body: bytes, form: list[tuple[str, str]]) -> dict[str, str]:
        return self._headers(url, form)

    def read(self, answer: bytes) -> Announced:
        stream = _stream(answer)
        assert stream.get("audioTrack") == "both"
        path = _path(stream.text or "")
        return Announced(path, self.upgrade(path))

    def upgrade(self, path: str) -> dict[str, str]:
        return self._headers("ws" + PUBLIC_URL.removeprefix("http") + path, [])

    def over(self) -> list[tuple[str, str]]:
        return [("CallUUID", "CA1"), ("StreamID", "S1"), ("Event", "stopped")]


class OfTalkdesk(Script):
    carrier = Talkdesk
    settings: ClassVar[Mapping[str, Any]] = {"secret": SECRET, "account": "acc-1"}
    call: ClassVar[list[dict[str, Any]]] = [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "start": {
                "streamSid": "S1",
                "callSid": "CA1",
                "tracks": ["inbound", "outbound"],
                "mediaFormat": MULAW,
                "customParameters": {"account_id": "acc-1"},
            },
        },
        {"event": "media", "media": {"track": "inbound", "chunk": "1", "payload": AUDIO}},
        {"event": "media", "media": {"track": "outbound", "chunk": "1", "payload": AUDIO}},
        {"event": "stop"},
    ]
    roles = ("agent", "customer")


FORKING: list[ForkingScript] = [OfTelnyx(), OfSignalWire(), OfPlivo()]
ALL: list[Script] = [*FORKING, OfTalkdesk()]
every = pytest.mark.parametrize("script", ALL, ids=lambda script: script.carrier.name)
every_forking = pytest.mark.parametrize("script", FORKING, ids=lambda script: script.carrier.name)


FORGERIES = [
    pytest.param(script, changed, id=f"{script.carrier.name}-{name}")
    for script in FORKING
    for name, changed in {
        "no-signature": {"headers": {}},
        "altered-body": {"body": b"CallSid=CA2&CallUUID=CA2&To=%2B1"},
        "another-url": {"url": "https://other.example.com/voice"},
    }.items()
    if (script.carrier, name) != (Telnyx, "another-url")  # it signs no URL
]


@pytest.fixture
async def served(script: Script) -> AsyncIterator[Served]:
    async with serving(Served(script.made())) as served:
        yield served


async def ring(served: Served, script: ForkingScript, **changed: Any) -> tuple[int, bytes]:
    """Send the webhook of a call; `changed` are its url, body or headers instead of the right."""
    path = f"/voice/{script.carrier.name}"
    form = [("CallSid", "CA1"), ("CallUUID", "CA1"), ("To", CALLED)]
    body = urlencode(form).encode()
    headers = script.signed(changed.get("url", PUBLIC_URL + path), body, form)
    headers = changed.get("headers", headers)
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with served.client.post(path, data=changed.get("body", body), headers=headers) as reply:
        return reply.status, await reply.read()


def by_hand(script: Script) -> tuple[str, dict[str, str]]:
    """The path and headers of a stream that no webhook started."""
    path = f"/media/{script.carrier.name}"
    if script.carrier is Talkdesk:
        return f"{path}/default/{SECRET}", {}
    return path, script.upgrade(path)


async def play(served: Served, script: Script, path: str, headers: dict[str, str]) -> None:
    socket = await served.connect(path, headers)
    for message in script.call:
        await socket.send_str(json.dumps(message))
    if script.call[-1]["event"] != "stop":
        await socket.close()
    ended = await served.end()
    assert (ended.status, ended.duration_ms) == (Status.COMPLETED, 20)
    [started] = [event for event in served.events if isinstance(event, StreamStarted)]
    roles = {info.track: info.role for info in started.tracks}
    assert (roles["inbound"], roles["outbound"]) == script.roles
    assert started.carrier == script.carrier.name
    assert SECRET not in str(started.params)


class TestCalls:
    @every_forking
    async def test_call_runs_from_webhook_to_stream_end(
        self, served: Served, script: ForkingScript
    ) -> None:
        status, answer = await ring(served, script)
        assert status == 200
        announced = script.read(answer)
        await play(served, script, announced.path, announced.headers)

    @every
    async def test_stream_without_webhook_is_accepted(self, served: Served, script: Script) -> None:
        await play(served, script, *by_hand(script))


class TestStatus:
    async def say(self, served: Served, script: ForkingScript, form: list[tuple[str, str]]) -> int:
        path = f"/voice/{script.carrier.name}/status"
        body = urlencode(form).encode()
        headers = script.signed(PUBLIC_URL + path, body, form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with served.client.post(path, data=body, headers=headers) as reply:
            return reply.status

    @every_forking
    async def test_status_callback_ends_stream_with_open_socket(
        self, served: Served, script: ForkingScript, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.ingress.carriers._STATUS_GRACE_S", 0.05)
        _, answer = await ring(served, script)
        announced = script.read(answer)
        socket = await served.connect(announced.path, announced.headers)
        for message in script.call:
            if message["event"] != "stop":
                await socket.send_str(json.dumps(message))
        await eventually(lambda: bool(served.events))
        for form in ([*script.over()[:1], ("StreamSid", "S2"), ("StreamID", "S2")], script.over()):
            names = {name for name, _ in form}
            form += [pair for pair in script.over() if pair[0] not in names]
            assert await self.say(served, script, form) == 204
        ended = await served.end()
        assert (ended.status, ended.reason) == (Status.COMPLETED, "carrier-stopped")

    @every_forking
    async def test_status_callback_does_not_end_stream_with_later_media(
        self, served: Served, script: ForkingScript, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Symptom: a `stream-error` warning at 1 s ended a live stream at 5.5 s."""
        monkeypatch.setattr("gateway.ingress.carriers._STATUS_GRACE_S", 0.2)
        monkeypatch.setattr("gateway.ingress.carriers._IN_FLIGHT_S", 0.0)
        _, answer = await ring(served, script)
        announced = script.read(answer)
        socket = await served.connect(announced.path, announced.headers)
        messages = [json.dumps(each) for each in script.call if each["event"] != "stop"]
        for message in messages:
            await socket.send_str(message)
        await eventually(lambda: bool(served.events))
        assert await self.say(served, script, script.over()) == 204
        for _ in range(50):
            await socket.send_str(messages[-1])
            await asyncio.sleep(0.01)
        assert not served.ended.is_set()

    @every_forking
    async def test_other_status_events_end_no_stream(
        self, served: Served, script: ForkingScript
    ) -> None:
        form = [(name, value.replace("stopped", "started")) for name, value in script.over()]
        assert await self.say(served, script, form) == 204
        assert await self.say(served, script, form[:1]) == 400

    @every_forking
    async def test_forged_status_callback_is_refused(
        self, served: Served, script: ForkingScript
    ) -> None:
        path = f"/voice/{script.carrier.name}/status"
        async with served.client.post(path, data=dict(script.over())) as reply:
            assert reply.status in (401, 403)

    @every_forking
    async def test_document_requests_status_callbacks(
        self, served: Served, script: ForkingScript
    ) -> None:
        _, answer = await ring(served, script)
        assert f"{PUBLIC_URL}/voice/{script.carrier.name}/status".encode() in answer


class TestAuthentication:
    @every
    async def test_upgrade_without_credentials_is_refused(
        self, served: Served, script: Script
    ) -> None:
        name = script.carrier.name
        for path in (f"/media/{name}", f"/media/{name}/default"):
            assert await served.refusal(path) in (401, 403)
        assert await served.refusal(f"/media/{name}/default/{'x' * 40}") in (401, 403)
        assert (served.events, served.streams.admitted, served.slots_held) == ([], 0, 0)

    @every
    async def test_upgrade_with_wrong_secret_is_refused(
        self, served: Served, script: Script
    ) -> None:
        path, headers = by_hand(script)
        wrong = {name: value[:-4] + "AAAA" for name, value in headers.items()}
        assert await served.refusal(path.replace(SECRET, SECRET + "x"), wrong) in (401, 403)
        assert served.events == []

    @every_forking
    async def test_repeated_upgrade_is_accepted_only_with_call_bound_token(
        self, served: Served, script: ForkingScript
    ) -> None:
        _, answer = await ring(served, script)
        announced = script.read(answer)
        await served.connect(announced.path, announced.headers)
        # The others use a nonce, or a token that is not bound to a call.
        if script.carrier is SignalWire:
            await served.connect(announced.path, announced.headers)
        else:
            assert await served.refusal(announced.path, announced.headers) in (401, 403)

    @every_forking
    async def test_token_is_bound_to_carrier_and_route(
        self, served: Served, script: ForkingScript
    ) -> None:
        _, answer = await ring(served, script)
        announced = script.read(answer)
        other = (
            announced.path.replace("/default", "/other") if "/default" in announced.path else None
        )
        other = other or announced.path + "/default"
        assert await served.refusal(other, announced.headers) in (401, 403)

    @pytest.mark.parametrize(("script", "changed"), FORGERIES)
    async def test_forged_webhook_is_refused(
        self, served: Served, script: ForkingScript, changed: dict[str, Any]
    ) -> None:
        status, answer = await ring(served, script, **changed)
        assert status in (401, 403)
        assert b"Stream" not in answer

    @every
    async def test_carrier_without_settings_is_disabled(self, script: Script) -> None:
        secrets = dict.fromkeys(
            name for name in ("secret", "auth_token") if name in script.settings
        )
        async with serving(Served(script.made(**secrets))) as served:
            assert await served.refusal(f"/media/{script.carrier.name}") == 404
            async with served.client.post(f"/voice/{script.carrier.name}") as reply:
                assert reply.status == 404

    @every_forking
    async def test_webhook_is_disabled_without_dial_setting(self, script: ForkingScript) -> None:
        async with serving(Served(script.made(dial=None))) as served:
            assert (await ring(served, script))[0] == 404

    async def test_token_of_another_call_is_rejected(self) -> None:
        script = OfSignalWire()
        async with serving(Served(script.made())) as served:
            _, answer = await ring(served, script)
            announced = script.read(answer)
            socket = await served.connect(announced.path, announced.headers)
            start = json.loads(json.dumps(script.call[1]))
            start["start"]["callSid"] = "CA2"
            await socket.send_str(json.dumps(start))
            await socket.receive(timeout=10)
            assert socket.close_code == 1008
            assert served.events == []

    async def test_unlisted_account_is_rejected(self) -> None:
        script = OfTalkdesk()
        async with serving(Served(script.made(account="acc-2"))) as served:
            socket = await served.connect(*by_hand(script))
            await socket.send_str(json.dumps(script.call[1]))
            await socket.receive(timeout=10)
            assert socket.close_code == 1008
            await eventually(lambda: served.streams.admitted == 0)
            assert served.events == []
