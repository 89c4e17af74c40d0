"""Repeated requests: webhooks retried by vendors, captured webhooks, and reconnects."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import jwt
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.carriers.auth.signatures import jambonz as jambonz_signature
from gateway.carriers.auth.signatures import plivo as plivo_signature
from gateway.carriers.auth.signatures import signalwire as signalwire_signature
from gateway.carriers.auth.signatures import twilio as twilio_signature
from gateway.carriers.auth.stream_authenticator import Tokens
from gateway.carriers.vendors.bandwidth import Bandwidth
from gateway.carriers.vendors.freeswitch import FreeSwitch
from gateway.carriers.vendors.jambonz import Jambonz
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.signalwire import SignalWire
from gateway.carriers.vendors.telnyx import Telnyx
from gateway.carriers.vendors.twilio import Twilio
from gateway.carriers.vendors.vonage import Vonage
from gateway.transcript.events import StreamEnded, StreamStarted
from tests.gateway.ingress.served import NOW_S, PUBLIC_URL, Served, serving
from tests.gateway.scripted import ScriptedStream
from tests.waiting import eventually

KEY = "a-key-that-signs-webhooks-of-vendors"
SECRET = "a-secret-of-the-operator"
TELNYX = Ed25519PrivateKey.from_private_bytes(bytes(32))
DIAL = {"dial": "+15551234567"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
JSON_TYPE = {"Content-Type": "application/json"}


class Webhook(NamedTuple):
    """One request, as it goes over the wire."""

    body: bytes
    headers: Mapping[str, str]


class Vendor(NamedTuple):
    """A carrier with a webhook."""

    kind: Any
    settings: Mapping[str, Any]
    mints: bool = True  # its document has a token

    def made(self) -> Any:
        return self.kind(self.kind.Settings(_env_file=None, **self.settings))

    def webhook(self, call_id: str = "CA1") -> Webhook:
        """Announce a call."""
        url = f"{PUBLIC_URL}/voice/{self.kind.name}"
        form = [("CallSid", call_id), ("CallUUID", call_id), ("To", "+15550001111")]
        said = {"uuid": call_id, "call_sid": call_id, "callId": call_id, "eventType": "initiate"}
        body, more = urlencode(form).encode(), FORM_TYPE
        if self.kind in (Vonage, Jambonz, Bandwidth):
            body, more = json.dumps(said).encode(), JSON_TYPE
        return Webhook(body, {**more, **_signed(self.kind, url, form, body)})


def _signed(kind: Any, url: str, form: Sequence[tuple[str, str]], body: bytes) -> dict[str, str]:
    stamp = str(int(NOW_S))
    if kind is Twilio:
        return {"X-Twilio-Signature": twilio_signature.sign(KEY, url, form)}
    if kind is SignalWire:
        return {"X-SignalWire-Signature": signalwire_signature.sign(KEY, url, form)}
    if kind is Plivo:
        nonce = hashlib.sha256(body).hexdigest()[:20]
        signature = plivo_signature.sign(KEY, url, nonce, form)
        return {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce}
    if kind is Telnyx:
        signature = base64.b64encode(TELNYX.sign(stamp.encode() + b"|" + body)).decode()
        return {"telnyx-signature-ed25519": signature, "telnyx-timestamp": stamp}
    if kind is Jambonz:
        signature = jambonz_signature.sign(KEY, stamp, body)
        return {"Jambonz-Signature": f"t={stamp},v1={signature}"}
    if kind is Vonage:
        digest = hashlib.sha256(body).hexdigest()
        claims = {"iss": "Vonage", "iat": int(NOW_S), "jti": digest, "payload_hash": digest}
        return {"Authorization": f"Bearer {jwt.encode(claims, KEY, 'HS256')}"}
    return {"Authorization": f"Basic {base64.b64encode(f'bw:{KEY}'.encode()).decode()}"}


PUBLIC_KEY = base64.b64encode(TELNYX.public_key().public_bytes_raw()).decode()
VENDORS = [
    Vendor(Twilio, {"auth_token": KEY, **DIAL}),
    Vendor(SignalWire, {"signing_key": KEY, "secret": SECRET, **DIAL}),
    Vendor(Plivo, {"auth_token": KEY, **DIAL}, mints=False),
    Vendor(Telnyx, {"public_key": PUBLIC_KEY, "secret": SECRET, **DIAL}),
    Vendor(Jambonz, {"webhook_secret": KEY, "secret": SECRET, **DIAL}),
    Vendor(
        Vonage,
        {"signature_secret": KEY, "secret": SECRET, "notify_url": "https://app.example.com"},
    ),
    Vendor(
        Bandwidth, {"webhook_username": "bw", "webhook_password": KEY, "secret": SECRET, **DIAL}
    ),
]
every = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.kind.name)


async def post(served: Served, vendor: Vendor, webhook: Webhook) -> tuple[int, bytes]:
    path = f"/voice/{vendor.kind.name}"
    async with served.client.post(path, data=webhook.body, headers=webhook.headers) as reply:
        return reply.status, await reply.read()


def tokens_in(document: bytes) -> list[str]:
    return re.findall(r"[0-9]{4,}\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_.-]+", document.decode())


@every
async def test_repeated_webhook_gets_the_same_document(vendor: Vendor) -> None:
    """Symptom: a vendor's retry after a timeout got 403, or another token."""
    webhook = vendor.webhook()
    async with serving(Served(vendor.made())) as one, serving(Served(vendor.made())) as other:
        other.remembered.moments = one.remembered.moments  # as in Redis
        status, document = await post(one, vendor, webhook)
        one.now_s = other.now_s = NOW_S + 299
        assert await post(one, vendor, webhook) == (status, document)
        assert await post(other, vendor, webhook) == (status, document)
    assert status == 200
    assert bool(tokens_in(document)) == vendor.mints


@every
async def test_captured_webhook_gets_no_token_later(vendor: Vendor) -> None:
    """Symptom: a captured webhook that is signed without a timestamp got tokens forever."""
    webhook = vendor.webhook()
    async with serving(Served(vendor.made())) as one, serving(Served(vendor.made())) as other:
        other.remembered.moments = one.remembered.moments  # as in Redis
        await post(one, vendor, webhook)
        for later_s in (301, 3600, 80_000):
            one.now_s = other.now_s = NOW_S + later_s
            for served in (one, other):
                status, answer = await post(served, vendor, webhook)
                assert status in (401, 403)
                assert tokens_in(answer) == []


@every
async def test_tokens_of_different_webhooks_differ(vendor: Vendor) -> None:
    async with serving(Served(vendor.made())) as served:
        documents = [(await post(served, vendor, vendor.webhook(c)))[1] for c in ("CA1", "CA2")]
    tokens = [token for document in documents for token in tokens_in(document)]
    assert len({token.split(".")[1] for token in tokens}) == len(tokens)
    assert len(tokens) == 2 * vendor.mints * (2 if vendor.kind is Vonage else 1)


async def test_repeated_status_callback_is_accepted() -> None:
    """Symptom: the retry of a callback that was not answered in time was refused."""
    vendor = VENDORS[2]
    form = [("CallUUID", "CA1"), ("StreamID", "S1"), ("Event", "started")]
    headers = _signed(Plivo, f"{PUBLIC_URL}/voice/plivo/status", form, b"")
    async with serving(Served(vendor.made())) as served:
        for later_s, status in ((0, 204), (200, 204), (301, 403)):
            served.now_s = NOW_S + later_s
            body = urlencode(form)
            async with served.client.post(
                "/voice/plivo/status", data=body, headers={**FORM_TYPE, **headers}
            ) as reply:
                assert reply.status == status


class Unending(Served):
    """A gateway whose model is never done."""

    def greet(self, stream: ScriptedStream) -> None:
        stream.created()


class TestReconnect:
    """Reconnects with the same URL: FreeSWITCH, whose token is bound to a call."""

    START = '{"call_id": "CA1"}'

    def gateway(self, kind: type[Served] = Served) -> Served:
        return kind(FreeSwitch(FreeSwitch.Settings(_env_file=None, secret=SECRET)))

    def path(self, call_id: str | None = "CA1") -> str:
        token = Tokens("freeswitch", SECRET, 300).mint("default", call_id, NOW_S)
        return f"/media/freeswitch/default/{token}?mix=mono"

    async def begun(self, served: Served, path: str) -> ClientWebSocketResponse:
        before = len(self.starts(served))
        socket = await served.connect(path)
        await socket.send_str(self.START)
        await eventually(lambda: len(self.starts(served)) == before + 1)
        return socket

    def starts(self, served: Served) -> list[StreamStarted]:
        return [event for event in served.events if isinstance(event, StreamStarted)]

    def ends(self, served: Served) -> list[str]:
        return [event.reason for event in served.events if isinstance(event, StreamEnded)]

    async def test_reconnect_after_socket_loss_is_accepted(self) -> None:
        """Symptom: FreeSWITCH reconnected with the same URL and was refused."""
        async with serving(self.gateway()) as served:
            path = self.path()
            async with ClientSession(f"http://127.0.0.1:{served.runner.addresses[0][1]}") as lost:
                first = await lost.ws_connect(path)
                await first.send_str(self.START)
                await eventually(lambda: len(self.starts(served)) == 1)
            await eventually(lambda: self.ends(served) == ["socket-lost"])  # no Close frame came
            again = await self.begun(served, path)
            await again.close()
            await eventually(lambda: self.ends(served) == ["socket-lost", "carrier-closed"])

    async def test_reconnect_after_stream_end_is_refused(self) -> None:
        async with serving(self.gateway()) as served, serving(self.gateway()) as other:
            other.remembered.moments = served.remembered.moments
            path = self.path()
            socket = await self.begun(served, path)
            await socket.close()
            await eventually(lambda: self.ends(served) == ["carrier-closed"])
            await eventually(lambda: served.streams.admitted == 0)
            assert await served.refusal(path) == 403
            assert await other.refusal(path) == 403

    async def test_reconnect_while_stream_finishes_is_refused(self) -> None:
        async with serving(self.gateway(Unending)) as served:
            path = self.path()
            socket = await self.begun(served, path)
            late = await served.connect(path)
            await socket.send_bytes(bytes(3200))
            closing = asyncio.create_task(socket.close())
            await eventually(lambda: served.streams.snapshots()[0].state == "ending")
            assert await served.refusal(path) == 403
            await late.send_str(self.START)
            await late.receive(timeout=10)
            assert late.close_code == 1008
            closing.cancel()

    async def test_reconnect_supersedes_open_socket(self) -> None:
        """A carrier may reconnect before the gateway detects that its socket is lost."""
        async with serving(self.gateway()) as served:
            path = self.path()
            first = await self.begun(served, path)
            second = await self.begun(served, path)
            await first.receive(timeout=10)
            assert first.close_code == 1008
            await eventually(lambda: self.ends(served) == ["superseded"])
            await second.close()
            await eventually(lambda: self.ends(served) == ["superseded", "carrier-closed"])
            assert await served.refusal(path) == 403

    async def test_reconnect_after_lost_upgrade_response_is_accepted(self) -> None:
        """The first socket is half open and sends nothing."""
        async with serving(self.gateway()) as served:
            path = self.path()
            await served.connect(path)
            await self.begun(served, path)
            assert self.ends(served) == []

    async def test_reconnect_for_another_call_is_rejected(self) -> None:
        async with serving(self.gateway()) as served:
            path = self.path()
            first = await self.begun(served, path)
            thief = await served.connect(path)
            await thief.send_str('{"call_id": "CA2"}')
            await thief.receive(timeout=10)
            assert thief.close_code == 1008
            assert self.ends(served) == []
            await first.close()
            await eventually(lambda: self.ends(served) == ["carrier-closed"])

    async def test_reconnect_with_expired_token_is_refused(self) -> None:
        async with serving(self.gateway()) as served:
            path = self.path()
            await self.begun(served, path)
            served.now_s += 301
            assert await served.refusal(path) == 403

    async def test_token_without_call_is_single_use(self) -> None:
        async with serving(self.gateway()) as served:
            path = self.path(None)
            await self.begun(served, path)
            assert await served.refusal(path) == 403
