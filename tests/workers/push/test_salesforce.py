"""The adapter `salesforce` against a fake that refuses what Salesforce does not document.

Create a Transcript: voice_rest_voicecalls_transcript.htm, tokens: voice_rest_authorization.htm, in
https://developer.salesforce.com/docs/atlas.en-us.voice_developer_guide.meta/voice_developer_guide/
"""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from prometheus_client import CollectorRegistry

from common.settings import SettingsError
from gateway.redis_client.client import create_client
from tests.workers.push.pushing import dead, final, running, settled, started, write, write_file
from workers.push.delivery import Result
from workers.push.endpoints import EndpointStates
from workers.push.salesforce import entry_of
from workers.push.subscriptions import read_endpoints

_ORG, _CENTER = "00DHs00000Kmpyr", "scv4cc1"
_PROPERTIES = {
    "participantId": str,
    "messageId": str,
    "startTime": int,
    "endTime": int,
    "content": str,
    "senderType": str,
}
_SENDER_TYPES = {"END_USER", "EXTERNAL_USER", "HUMAN_AGENT", "SUPERVISOR", "VIRTUAL_AGENT"}


@dataclass
class Salesforce:
    """Salesforce as documented: 401 without a valid token, 400 for a malformed request."""

    key: rsa.RSAPublicKey
    entries: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # and their call
    refusals: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)  # ids of tokens
    failing: int = 0  # requests to respond to with 429 first
    url: str = ""

    async def create(self, request: web.Request) -> web.Response:
        if fault := self.fault_of_token(request):
            self.refusals.append(fault)
            return web.json_response({"message": fault}, status=401)
        if self.failing:
            self.failing -= 1
            return web.json_response({}, status=429)
        call, entry = request.match_info["call"], await request.json()
        if fault := self.fault_of_entry(call, entry, request):
            self.refusals.append(fault)
            return web.json_response({"message": fault}, status=400)
        self.entries.append((call, entry))
        return web.json_response({"result": "Accepted"}, status=202)

    def fault_of_token(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return "no bearer token"
        try:
            claims = jwt.decode(
                token,
                self.key,
                algorithms=["RS256"],
                audience="https://scrt.salesforce.com",
                issuer=_ORG,
                options={"require": ["iat", "iss", "sub", "exp"]},
            )
        except jwt.PyJWTError as error:
            return type(error).__name__
        if claims["sub"] != _CENTER or claims["exp"] > time.time() + 86_400:
            return "subject or expiry"
        if claims.get("jti") in self.used:
            return "the token was sent before"
        self.used.add(claims.get("jti", ""))
        return ""

    def fault_of_entry(self, call: str, entry: Any, request: web.Request) -> str:
        if request.content_type != "application/json" or not request.headers.get(
            "Telephony-Provider-Name"
        ):
            return "headers"
        if set(entry) != set(_PROPERTIES):
            return "properties"
        if any(type(entry[name]) is not kind for name, kind in _PROPERTIES.items()):
            return "types"
        if entry["senderType"] not in _SENDER_TYPES:
            return "senderType"
        if entry["participantId"] != f"{call}{entry['senderType']}":
            return "participantId"
        if not entry["content"] or not 0 < entry["startTime"] <= entry["endTime"]:
            return "content or times"
        if entry["messageId"] in {each["messageId"] for of, each in self.entries if of == call}:
            return "messageId is not unique"
        return ""


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


@contextlib.asynccontextmanager
async def salesforce(key: rsa.RSAPrivateKey) -> AsyncIterator[Salesforce]:
    fake = Salesforce(key.public_key())
    app = web.Application()
    app.router.add_post("/telephony/v1/voiceCalls/{call}/messages", fake.create)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/telephony/v1"
    yield fake
    await runner.cleanup()


def subscription(url: str, **own: Any) -> dict[str, Any]:
    return {
        "adapter": "salesforce",
        "url": url,
        "secrets": ["file:key.pem"],
        "types": ["transcript.final"],
        "org_id": _ORG,
        "call_center": _CENTER,
        **own,
    }


async def test_finals_become_entries_of_the_call(
    redis_url: str, tmp_path: Path, private_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.push.delivery.PAUSES_S", (0.01,))
    monkeypatch.setattr("workers.push.dispatcher._SCAN_S", 0.05)
    (tmp_path / "key.pem").write_bytes(pem(private_key))
    call = "CA 1/2"  # an id that is percent-encoded in Redis and in the URL
    async with salesforce(private_key) as fake:
        fake.failing = 2
        path = write_file(tmp_path, {"sf": subscription(fake.url)})
        async with running(redis_url, path) as client:
            await write(client, started(call, at="2026-11-30T20:00:00.000Z"))
            where: Any = {"start_ms": 1000, "end_ms": 2500}
            await write(client, final(call, 2, "I want a refund", role="customer", **where))
            await write(client, final(call, 3, "Sure", role="agent", start_ms=3000, end_ms=3400))
            await write(client, final(call, 4, "", role="agent"))
            await write(client, final(call, 5, "hm", role="mix"))
            await write(client, final(call, 6, "Thanks", role="customer", **where))
            tried = await settled(client, "sf", 7)
            letters = await dead(client, "sf")
    assert fake.refusals == []
    assert [called for called, _ in fake.entries] == [call] * 3
    (_, first), (_, second), (_, last) = fake.entries
    assert first == {
        "participantId": f"{call}END_USER",
        "messageId": first["messageId"],
        "startTime": 1796068801000,
        "endTime": 1796068802500,
        "content": "I want a refund",
        "senderType": "END_USER",
    }
    assert (second["content"], second["senderType"]) == ("Sure", "VIRTUAL_AGENT")
    assert last["content"] == "Thanks"
    assert [(each.step, each.status, each.reason) for each in tried] == [
        ("retry", "429", "status"),
        ("retry", "429", "status"),
        ("delivered", "202", ""),
        ("delivered", "202", ""),
        ("skipped", "", "no-words"),
        ("dead", "", "unknown-role"),
        ("delivered", "202", ""),
    ]
    assert [each.reason for each in letters] == ["refused"]


async def test_messages_that_are_not_sent_say_nothing_about_the_endpoint(
    redis_url: str, tmp_path: Path, private_key: rsa.RSAPrivateKey
) -> None:
    """They ended the time for which an endpoint fails, or began it."""
    (tmp_path / "key.pem").write_bytes(pem(private_key))
    async with salesforce(private_key) as fake:
        path = write_file(tmp_path, {"sf": subscription(fake.url)})
        registry = CollectorRegistry()
        async with contextlib.aclosing(create_client(redis_url)) as client:
            # An endpoint that fails after this time is disabled.
            await client.hset("cs:push:endpoint:sf", "failing_since", "1")
            async with running(redis_url, path, registry=registry):
                await write(client, final("CA1", 2, "", role="agent"))
                await write(client, final("CA1", 3, "hm", role="mix"))
                await settled(client, "sf", 2)
            (state,) = (await EndpointStates(client, ["sf"]).read()).values()
    assert (state.failing_since, state.delivered, state.disabled) == (1, None, None)
    assert fake.entries == []
    labels = {"subscription": "sf", "step": "skipped"}
    assert registry.get_sample_value("callscribe_push_attempts_total", labels) == 1
    labels = {"subscription": "sf", "reason": "no-words"}
    assert registry.get_sample_value("callscribe_push_failures_total", labels) is None


async def test_key_that_is_not_registered_is_refused_and_retried(
    redis_url: str, tmp_path: Path, private_key: rsa.RSAPrivateKey
) -> None:
    (tmp_path / "key.pem").write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    async with salesforce(private_key) as fake:
        path = write_file(tmp_path, {"sf": subscription(fake.url)})
        async with running(redis_url, path) as client:
            await write(client, final("CA1", 2, role="customer"))
            (tried, *_) = await settled(client, "sf", 1)
    assert (tried.step, tried.status) == ("retry", "401")
    assert set(fake.refusals) == {"InvalidSignatureError"}
    assert fake.entries == []


async def test_request_that_salesforce_calls_malformed_is_not_repeated(
    redis_url: str, tmp_path: Path, private_key: rsa.RSAPrivateKey
) -> None:
    (tmp_path / "key.pem").write_bytes(pem(private_key))
    async with salesforce(private_key) as fake:
        path = write_file(tmp_path, {"sf": subscription(fake.url)})
        async with running(redis_url, path) as client:
            times: Any = {"start_ms": 2500, "end_ms": 1000}
            await write(client, final("CA1", 2, role="customer", **times))
            (tried,) = await settled(client, "sf", 1)
    assert (tried.step, tried.status, fake.refusals) == ("dead", "400", ["content or times"])


def test_times_without_a_known_start_follow_from_the_end() -> None:
    body = {
        "timestamp": "2026-11-30T20:00:10+00:00",
        "data": {"call_id": "CA1", "role": "agent", "text": "a", "start_ms": 4000, "end_ms": 5000},
    }
    entry = entry_of("msg_1", body)
    assert not isinstance(entry, Result)
    assert (entry["startTime"], entry["endTime"]) == (1796068809000, 1796068810000)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"org_id": None}, "sf.org_id: must be set for the adapter salesforce"),
        ({"org_id": "00D"}, "sf.org_id: must be 15 to 18 characters"),
        ({"call_center": None}, "sf.call_center: must be set for the adapter salesforce"),
        ({"types": ["call.ended"]}, 'sf.types: must be ["transcript.final"] for the adapter'),
        ({"secrets": ["file:key.pem"] * 2}, "sf.secrets: must have one entry"),
        ({"secrets": ["file:secret"]}, "file:secret must contain an RSA private key of 2048"),
        ({"secrets": ["file:short.pem"]}, "file:short.pem must contain an RSA private key"),
        ({"secrets": ["file:curve.pem"]}, "file:curve.pem must contain an RSA private key"),
    ],
)
def test_mistake_is_reported_with_its_key(
    tmp_path: Path, private_key: rsa.RSAPrivateKey, own: dict[str, Any], message: str
) -> None:
    (tmp_path / "key.pem").write_bytes(pem(private_key))
    (tmp_path / "short.pem").write_bytes(pem(rsa.generate_private_key(65537, 1024)))  # noqa: S505 - it must be refused
    (tmp_path / "curve.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    given = subscription("https://acme.my.salesforce-scrt.com/telephony/v1", **own)
    path = write_file(tmp_path, {"sf": {k: v for k, v in given.items() if v is not None}})
    with pytest.raises(SettingsError) as error:
        read_endpoints(path, allow_http=False)
    assert message in str(error.value)
    assert "PRIVATE" not in str(error.value)
