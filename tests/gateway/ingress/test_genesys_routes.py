"""AudioHook over real HTTP and WebSockets: authentication and whole sessions."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from gateway.carriers.auth.http_signature import sign
from gateway.carriers.vendors.genesys.adapter import AudioHookAdapter
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.transcript.events import (
    GapCause,
    Status,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TrackInfo,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.ingress.served import NOW_S, Served, serving
from tests.gateway.scripted import ScriptedStream
from tests.waiting import eventually

NOW = int(NOW_S)
PATH = "/media/genesys"
TARGET = "/prefix" + PATH  # as configured at Genesys; a proxy removes the prefix
HOST = "gw.example.com"
SECRET = b"a secret of 16 bytes or more"
SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
NOBODY = "00000000-0000-0000-0000-000000000000"
HEADERS = {
    "audiohook-organization-id": ORGANIZATION,
    "audiohook-session-id": SESSION,
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": "key",
}
STEREO = {
    "type": "audio",
    "format": "PCMU",
    "channels": ["external", "internal"],
    "rate": 8000,
}
OPEN = {
    "organizationId": ORGANIZATION,
    "conversationId": "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    "participant": {"id": "p", "ani": "+15555551234", "aniName": "Doe", "dnis": "+18005556789"},
    "media": [STEREO],
    "language": "en-US",
}


def signed(
    headers: Mapping[str, str] = HEADERS,
    target: str = TARGET,
    host: str = HOST,
    secret: bytes = SECRET,
    **parameters: Any,
) -> dict[str, str]:
    made: dict[str, Any] = {"nonce": "n" * 22, "created_s": NOW, "expires_s": NOW + 20}
    return {**headers, **sign(headers, target, host, secret, **made | parameters)}


class Client:
    """AudioHook's client: numbers its messages, and checks that ours are numbered."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.sent = 0
        self.received = 0

    async def say(self, kind: str, parameters: Mapping[str, object] | None = None) -> None:
        self.sent += 1
        await self.socket.send_json(
            {
                "version": "2",
                "id": SESSION,
                "type": kind,
                "seq": self.sent,
                "serverseq": self.received,
                "position": "PT0S",
                "parameters": parameters or {},
            }
        )

    async def hear(self, kind: str) -> dict[str, Any]:
        self.received += 1
        message = json.loads(await self.socket.receive_str(timeout=10))
        assert (message["type"], message["seq"]) == (kind, self.received)
        parameters: dict[str, Any] = message["parameters"]
        return parameters

    async def open(self, **changes: Any) -> None:
        await self.say("open", OPEN | changes)
        assert (await self.hear("opened"))["media"] == [STEREO]

    async def close(self) -> tuple[int | None, str]:
        """Close the session; return the close code and reason of the socket."""
        await self.say("close", {"reason": "end"})
        await self.hear("closed")
        return await self.closing()

    async def closing(self) -> tuple[int | None, str]:
        message = await self.socket.receive(timeout=10)
        assert message.type is WSMsgType.CLOSE
        return self.socket.close_code, message.extra or ""


class Gateway(Served):
    """With Genesys; the settings are the carrier's."""

    def __init__(self, **settings: Any) -> None:
        keys = {"key": base64.b64encode(SECRET).decode()}
        settings = {"api_keys": json.dumps(keys)} | settings
        self.has_slow_model = False
        super().__init__(Genesys(Genesys.Settings(_env_file=None, **settings)))

    def greet(self, stream: ScriptedStream) -> None:
        if self.has_slow_model:
            stream.created()
        else:
            super().greet(stream)

    def fewest(self, kind: str) -> int:
        """How many messages of a kind each of both sessions got, at least."""
        counts = [stream.types.count(kind) for stream in self.transport.streams]
        return min(counts) if len(counts) == 2 else 0

    async def dial_in(self) -> Client:
        return Client(await self.connect(PATH, signed()))


@pytest.fixture
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    async with serving(Gateway(**getattr(request, "param", {}))) as gateway:
        yield gateway


def with_settings(**settings: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("gateway", [settings], indirect=True, ids=[""])


class TestSessions:
    async def test_stereo_call_is_transcribed_per_channel(self, gateway: Gateway) -> None:
        client = await gateway.dial_in()
        await client.open()
        await client.socket.send_bytes(b"\x00\xff" * 1600)
        await client.say("ping", {"rtt": "PT0.05S"})
        assert await client.hear("pong") == {}
        assert await client.close() == (1000, "carrier-stopped")
        assert await gateway.end() == StreamEnded(Status.COMPLETED, "carrier-stopped", 200, 0, 0)
        assert gateway.events[0] == StreamStarted(
            "genesys",
            (
                TrackInfo("external", "customer", "pcmu", 8000),
                TrackInfo("internal", "agent", "pcmu", 8000),
            ),
            {"participant_id": "p", "language": "en-US"},
            "default",
        )
        loud, silent = (stream.audio(0) for stream in gateway.transport.streams)
        assert any(loud)
        assert not any(silent)

    async def test_probe_starts_no_stream(self, gateway: Gateway) -> None:
        client = await gateway.dial_in()
        await client.open(conversationId=NOBODY)
        await client.socket.send_bytes(bytes(3200))
        assert await client.close() == (1000, "carrier-stopped")
        assert gateway.events == []
        assert gateway.transport.streams == []

    async def test_pause_publishes_pause_and_gap(self, gateway: Gateway) -> None:
        gateway.has_slow_model = True
        client = await gateway.dial_in()
        await client.open()
        await client.socket.send_bytes(b"\x00" * 3200)
        await client.say("paused")
        await client.socket.send_bytes(b"\x00" * 3200)  # ignored
        await eventually(lambda: gateway.fewest("append") > 40)  # the padding
        for stream in gateway.transport.streams:
            stream.delta("final words")
            for _ in range(40):
                stream.delta("")
        finals = [event for event in gateway.events if isinstance(event, TranscriptFinal)]
        assert {final.track for final in finals} == {"external", "internal"}
        await client.say("resumed", {"start": "PT0.2S", "discarded": "PT60S"})
        await client.socket.send_bytes(b"\x00" * 3200)
        await eventually(lambda: isinstance(gateway.events[-1], TranscriptGap))
        assert [each for each in gateway.events if isinstance(each, StreamPaused)] == [
            StreamPaused(200)
        ]
        assert gateway.events[-3] == StreamResumed(60_200)
        assert gateway.events[-2:] == [
            TranscriptGap(track, 200, 60_200, GapCause.PAUSED) for track in ("external", "internal")
        ]

    @with_settings(send_transcripts=True)
    async def test_transcripts_are_sent_to_genesys(self, gateway: Gateway) -> None:
        gateway.has_slow_model = True
        client = await gateway.dial_in()
        await client.open()
        await client.socket.send_bytes(b"\x00" * 3200)
        await client.say("close", {"reason": "end"})
        await eventually(lambda: gateway.fewest("commit") > 1)  # the last one, too
        for number, stream in enumerate(gateway.transport.streams):
            stream.delta(f"words {number}")
            stream.answer_all()
        for number in range(2):
            [entity] = (await client.hear("event"))["entities"]
            [alternative] = entity["data"]["alternatives"]
            [said] = alternative["interpretations"]
            assert (entity["data"]["channelId"], said["transcript"]) == (number, f"words {number}")
        await client.hear("closed")
        assert (await client.closing())[0] == 1000

    async def test_closed_is_sent_at_its_deadline_before_final_transcripts(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Symptom to prevent: Genesys waits 10 s, then counts the session as failed."""
        monkeypatch.setattr(AudioHookAdapter, "farewell_within_s", 0.05)
        gateway.has_slow_model = True
        client = await gateway.dial_in()
        await client.open()
        await client.socket.send_bytes(b"\x00" * 3200)
        await client.say("close", {"reason": "end"})
        await client.hear("closed")
        assert not gateway.ended.is_set()
        for stream in gateway.transport.streams:
            stream.delta("final words")
            stream.answer_all()
        assert (await gateway.end()).segments == 2
        assert await client.closing() == (1000, "carrier-stopped")  # no second `closed` before it


FORGERIES = {
    "unsigned": (HEADERS, "signature-missing"),
    "no headers": ({}, "signature-missing"),
    "no signature": (signed() | {"Signature": ""}, "signature-missing"),
    "secret": (signed(secret=b"another secret, as long"), "signature-invalid"),
    "empty secret": (signed(secret=b""), "signature-invalid"),
    "api key": (signed({**HEADERS, "x-api-key": "other"}), "signature-invalid"),
    "path": (signed(target=TARGET + "/"), "signature-invalid"),
    "path without prefix": (signed(target=PATH), "signature-invalid"),
    "query": (signed(target=TARGET + "?a=1"), "signature-invalid"),
    "host": (signed(host="127.0.0.1"), "signature-invalid"),
    "session": (signed() | {"audiohook-session-id": "other"}, "signature-invalid"),
    "organization": (signed() | {"audiohook-organization-id": "other"}, "signature-invalid"),
    "stale": (signed(created_s=NOW - 30, expires_s=NOW + 9), "signature-invalid"),
    "of the future": (signed(created_s=NOW + 11), "signature-invalid"),
    "expired": (signed(expires_s=NOW), "signature-invalid"),
    "short nonce": (signed(nonce="n" * 21), "signature-invalid"),
}


class TestAuthentication:
    async def test_all_forgeries_receive_the_same_response(self, gateway: Gateway) -> None:
        before_s = time.monotonic()

        async def answer(headers: Mapping[str, str]) -> tuple[int, bool]:
            status = await gateway.refusal(PATH, headers)
            return status, time.monotonic() - before_s >= 0.5

        answers = asyncio.gather(*(answer(headers) for headers, _ in FORGERIES.values()))
        assert dict(zip(FORGERIES, await answers, strict=True)) == dict.fromkeys(
            FORGERIES, (401, True)
        )
        for reason in ("signature-missing", "signature-invalid"):
            refused = gateway.metric("refused_requests_total", carrier="genesys", reason=reason)
            assert refused == [reason for _, reason in FORGERIES.values()].count(reason)
        assert gateway.events == []
        assert gateway.slots_held == gateway.streams.admitted == 0

    async def test_reused_nonce_is_refused(self, gateway: Gateway) -> None:
        client = await gateway.dial_in()
        refusal = asyncio.create_task(gateway.refusal(PATH, signed()))
        await client.open()
        assert await refusal == 401
        reason = {"carrier": "genesys", "reason": "replayed"}
        assert gateway.metric("refused_requests_total", **reason) == 1
        await gateway.connect(PATH, signed(nonce="m" * 22))

    @with_settings(organization_ids="another, and-another")
    async def test_unlisted_organization_is_refused(self, gateway: Gateway) -> None:
        assert await gateway.refusal(PATH, signed()) == 401

    @with_settings(organization_ids=f"another,{ORGANIZATION}", signature_max_age_s=60)
    async def test_listed_organization_is_accepted(self, gateway: Gateway) -> None:
        await gateway.connect(PATH, signed(created_s=NOW - 59))

    async def test_signature_covers_the_query(self, gateway: Gateway) -> None:
        await gateway.connect(PATH + "?a=%20b", signed(target=TARGET + "?a=%20b"))

    async def test_open_for_another_organization_is_rejected(self, gateway: Gateway) -> None:
        client = await gateway.dial_in()
        await client.say("open", OPEN | {"organizationId": "another"})
        assert (await client.hear("disconnect"))["reason"] == "unauthorized"
        await client.say("close", {"reason": "disconnect"})
        await client.hear("closed")
        assert await client.closing() == (1008, "identity-mismatch")
        assert gateway.events == []

    async def test_missing_reply_to_disconnect_times_out(
        self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.ingress.media._FAREWELL_REPLY_TIMEOUT_S", 0.05)
        client = await gateway.dial_in()
        await client.say("open", OPEN | {"organizationId": "another"})
        await client.hear("disconnect")
        assert await client.closing() == (1008, "identity-mismatch")

    @with_settings(api_keys=None)
    async def test_carrier_without_keys_is_disabled(self, gateway: Gateway) -> None:
        assert await gateway.refusal(PATH, signed()) == 404
