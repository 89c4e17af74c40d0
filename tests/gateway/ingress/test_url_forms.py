"""URL forms that vendors document: trailing slashes, webhooks by GET, a rate in the query."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import pytest
from yarl import URL

from gateway.carriers.auth.signatures import plivo as plivo_signature
from gateway.carriers.auth.signatures import twilio as twilio_signature
from gateway.carriers.carrier import Carrier
from gateway.carriers.vendors.exotel import Exotel
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.signalwire import SignalWire
from gateway.carriers.vendors.twilio import Twilio
from gateway.carriers.vendors.vonage import Vonage
from gateway.transcript.events import StreamStarted
from tests.gateway.carriers.asking import basic
from tests.gateway.ingress.served import NOW_S, PUBLIC_URL, Served, serving
from tests.gateway.ingress.test_carrier_routes import OfTelnyx
from tests.gateway.ingress.test_genesys_routes import SECRET as GENESYS_SECRET
from tests.gateway.ingress.test_genesys_routes import TARGET, signed
from tests.waiting import eventually

SECRET: Final = "a-secret-of-the-operator"
KEY: Final = "a-signing-key-of-the-account-itself"
MEDIA_URL: Final = PUBLIC_URL.replace("https", "wss") + "/media"
NONCE: Final = "12345678901234567890"
CALL: Final = {"CallSid": "CA1", "From": "+15550000002", "To": "+1 555 0000001", "Name": "Zoë & Co"}

type Sign = Callable[[str, list[tuple[str, str]]], dict[str, str]]


def twilio(url: str, form: list[tuple[str, str]]) -> dict[str, str]:
    return {"X-Twilio-Signature": twilio_signature.sign(KEY, url, form)}


def signalwire(url: str, form: list[tuple[str, str]]) -> dict[str, str]:
    return {"X-SignalWire-Signature": twilio_signature.sign(KEY, url, form)}


def plivo(url: str, form: list[tuple[str, str]]) -> dict[str, str]:
    signature = plivo_signature.sign(KEY, url, NONCE, form)
    return {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": NONCE}


def made(kind: Any, **settings: Any) -> Carrier:
    carrier: Carrier = kind(kind.Settings(_env_file=None, **settings))
    return carrier


DIAL: Final = {"dial": "+15551234567"}
CARRIERS: Final[dict[str, tuple[Carrier, Sign, dict[str, str]]]] = {
    "twilio": (made(Twilio, auth_token=KEY, **DIAL), twilio, CALL),
    "signalwire": (made(SignalWire, secret=SECRET, signing_key=KEY, **DIAL), signalwire, CALL),
    "plivo": (made(Plivo, auth_token=KEY, **DIAL), plivo, CALL | {"CallUUID": "CA1"}),
}
of_signing_carriers = pytest.mark.parametrize("name", CARRIERS)
OVER: Final = {
    "StreamSid": "S1",
    "StreamEvent": "stream-started",
    "StreamID": "S1",
    "Event": "StartStream",
}


async def ask(served: Served, method: str, path: str, sign: Sign, fields: dict[str, str]) -> int:
    """Announce a call with an HTTP method; return the status of the response."""
    form = list(fields.items())
    if method == "GET":
        target = f"{path}?{urlencode(fields)}"
        headers, body = sign(PUBLIC_URL + target, []), None
    else:
        target, body = path, urlencode(form).encode()
        headers = sign(PUBLIC_URL + path, form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    url = URL(target, encoded=True)
    async with served.client.request(method, url, data=body, headers=headers) as reply:
        if reply.status == 200:
            assert b"tream" in await reply.read()
        return reply.status


@of_signing_carriers
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("slash", ["", "/"])
class TestWebhooks:
    async def test_webhook_is_accepted(self, name: str, method: str, slash: str) -> None:
        """Symptom: a webhook by GET got 405, one with a trailing slash 404."""
        carrier, sign, fields = CARRIERS[name]
        async with serving(Served(carrier)) as served:
            assert await ask(served, method, f"/voice/{name}{slash}", sign, fields) == 200

    async def test_status_callback_is_accepted(self, name: str, method: str, slash: str) -> None:
        carrier, sign, fields = CARRIERS[name]
        async with serving(Served(carrier)) as served:
            path = f"/voice/{name}/status{slash}"
            assert await ask(served, method, path, sign, fields | OVER) == 204

    async def test_signature_covers_the_trailing_slash(
        self, name: str, method: str, slash: str
    ) -> None:
        carrier, sign, fields = CARRIERS[name]

        def sign_another(url: str, form: list[tuple[str, str]]) -> dict[str, str]:
            path, question, query = url.partition("?")
            other = path.removesuffix("/") if slash else path + "/"
            return sign(other + question + query, form)

        async with serving(Served(carrier)) as served:
            path = f"/voice/{name}{slash}"
            assert await ask(served, method, path, sign_another, fields) in (401, 403)


@of_signing_carriers
async def test_changed_query_is_refused(name: str) -> None:
    carrier, sign, fields = CARRIERS[name]

    def sign_another(url: str, form: list[tuple[str, str]]) -> dict[str, str]:
        return sign(url.replace("CA1", "CA2"), form)

    async with serving(Served(carrier)) as served:
        status = await ask(served, "GET", f"/voice/{name}", sign_another, fields)
        assert status in (401, 403)
        assert await ask(served, "GET", f"/voice/{name}", sign, {"To": "x"}) == 400


async def test_get_is_not_allowed_if_the_signature_does_not_cover_it() -> None:
    """Telnyx signs only the body, so the signature of one GET would be valid for any call."""
    script = OfTelnyx()
    async with serving(Served(script.made())) as served:
        headers = script.signed("", b"", [])
        async with served.client.get("/voice/telnyx?CallSid=CA1", headers=headers) as reply:
            assert reply.status == 405


class TestVonage:
    """Vonage requests its answer URL by GET unless configured otherwise."""

    carrier: Final = made(
        Vonage,
        secret=SECRET,
        signature_secret=KEY,
        notify_url="https://app.example.com/calls",
    )
    query: Final = {
        "to": "15550000001",
        "from": "Zoë 👍",
        "conversation_uuid": "CON-1",
        "uuid": "u1",
    }

    @staticmethod
    def bearer(payload: str, **claims: Any) -> dict[str, str]:
        given = {
            "iss": "Vonage",
            "iat": int(NOW_S),
            "jti": "j1",
            "payload_hash": hashlib.sha256(payload.encode()).hexdigest(),
        }
        return {"Authorization": f"Bearer {jwt.encode(given | claims, KEY, 'HS256')}"}

    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_webhook_is_accepted(self, slash: str) -> None:
        payload = json.dumps(self.query, separators=(",", ":"), ensure_ascii=False)
        async with (
            serving(Served(self.carrier)) as served,
            served.client.get(
                f"/voice/vonage{slash}", params=self.query, headers=self.bearer(payload)
            ) as reply,
        ):
            assert reply.status == 200
            [notify, _] = await reply.json()
            assert notify["payload"]["call_id"] == "u1"

    @pytest.mark.parametrize(
        "payload", ["", "{}", '{"to":"15550000001"}', '{"uuid":"u1","to":"15550000001"}']
    )
    async def test_changed_query_is_refused(self, payload: str) -> None:
        async with (
            serving(Served(self.carrier)) as served,
            served.client.get(
                "/voice/vonage", params=self.query, headers=self.bearer(payload)
            ) as reply,
        ):
            assert reply.status == 403


class TestMedia:
    @pytest.mark.parametrize("path", ["", "/", "/default", "/default/"])
    async def test_a_signature_covers_the_slash(self, path: str) -> None:
        carrier = made(Twilio, auth_token=KEY)
        async with serving(Served(carrier)) as served:
            await served.connect(f"/media/twilio{path}", twilio(f"{MEDIA_URL}/twilio{path}", []))
            other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
            headers = twilio(f"{MEDIA_URL}/twilio{other}", [])
            assert await served.refusal(f"/media/twilio{path}", headers) == 403

    async def test_trailing_slash_is_accepted(self) -> None:
        carrier = made(Exotel, secret=SECRET)
        async with serving(Served(carrier)) as served:
            headers = {"Authorization": basic(SECRET)}
            await served.connect("/media/exotel/default/", headers)
            await served.connect("/media/exotel/", headers)

    async def test_genesys_signature_covers_the_trailing_slash(self) -> None:
        keys = json.dumps({"key": base64.b64encode(GENESYS_SECRET).decode()})
        async with serving(Served(made(Genesys, api_keys=keys))) as served:
            await served.connect("/media/genesys/", signed(target=TARGET + "/"))

    @pytest.mark.parametrize(
        ("query", "form", "expected"),
        [
            ("?sample-rate=16000", None, ("l16le", 16000)),
            ("?sample-rate=24000", {"encoding": "audio/x-raw"}, ("l16le", 24000)),
            ("?sample_rate=16000&queue=sales", {}, ("l16le", 16000)),
            ("?sample-rate=16000", {"sample_rate": "8000"}, ("l16le", 8000)),
            ("?sample-rate=16000", {"encoding": "mulaw"}, ("pcmu", 8000)),
            ("?sample-rate=fast", None, ("l16le", 8000)),
            ("?sample-rate=44100", None, ("l16le", 8000)),
            ("", None, ("l16le", 8000)),
        ],
    )
    async def test_exotel_sample_rate_is_read_from_the_query(
        self, query: str, form: Any, expected: tuple[str, int]
    ) -> None:
        """Symptom: 16 kHz audio of a start without a rate was decoded at half the speed."""
        carrier = made(Exotel, secret=SECRET)
        async with serving(Served(carrier)) as served:
            headers = {"Authorization": basic(SECRET)}
            socket = await served.connect(f"/media/exotel{query}", headers)
            start = {"call_sid": "c1", "stream_sid": "s1", "media_format": form}
            await socket.send_json({"event": "start", "start": start})
            await eventually(lambda: bool(served.events))
            [started] = [event for event in served.events if isinstance(event, StreamStarted)]
            assert (started.tracks[0].encoding, started.tracks[0].rate) == expected
