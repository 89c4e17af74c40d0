"""Calls of ACS, AudioCodes and CXone over real HTTP: streams and refusals."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.carriers.carrier import StreamLink
from gateway.carriers.vendors.acs import Acs
from gateway.carriers.vendors.audiocodes import AudioCodes
from gateway.carriers.vendors.cxone import Cxone
from gateway.transcript.events import Status, StreamStarted
from tests.gateway.ingress.served import NOW_S, Served, serving

SECRET = "a-secret-of-the-operator"
BEARER = {"Authorization": f"Bearer {SECRET}"}
AUDIO = base64.b64encode(bytes(640)).decode()  # 20 ms at 16 kHz


@dataclass(frozen=True)
class Script:
    """One carrier's call of one frame on each track.

    Attributes:
        carrier: its class.
        said: its messages; objects are sent as JSON.
        replies: the types of the replies.
        roles: by track.
        query: of the stream's URL.
        headers: of the upgrade, without its credentials.
        settings: those it needs besides its secret.
    """

    carrier: Any
    said: tuple[Any, ...]
    replies: tuple[str, ...]
    roles: Mapping[str, str]
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    settings: tuple[str, ...] = ()

    def made(self, secret: str | None = SECRET, is_accepted: bool = True) -> Any:
        settings = dict.fromkeys(self.settings, is_accepted)
        return self.carrier(self.carrier.Settings(_env_file=None, secret=secret, **settings))

    def shown(self) -> tuple[str, dict[str, str]]:
        """Return the path and headers of an upgrade that is accepted."""
        if self.carrier is not Acs:
            return f"/media/{self.carrier.name}{self.query}", BEARER
        link = StreamLink("wss://gw.example.com/prefix/media/acs", "default", is_certain=False)
        url = self.made().authenticator.url_with_token(link, "c1", NOW_S) + self.query
        return url.partition("/prefix")[2], dict(self.headers)


ACS = Script(
    carrier=Acs,
    said=(
        {"kind": "AudioMetadata", "audioMetadata": {"subscriptionId": "s1", "sampleRate": 16000}},
        {"kind": "AudioData", "audioData": {"participantRawID": "8:acs:a", "data": AUDIO}},
        {"kind": "AudioData", "audioData": {"participantRawID": "4:1", "data": AUDIO}},
    ),
    replies=(),
    roles={"inbound": "customer", "outbound": "agent"},
    query="?customer=4:&agent=8:",
    headers=(("x-ms-call-correlation-id", "c1"), ("Authorization", "Bearer eyJ.a.b")),
)
AUDIOCODES = Script(
    carrier=AudioCodes,
    said=(
        {
            "type": "session.initiate",
            "conversationId": "c1",
            "supportedMediaFormats": ["raw/lpcm16"],
        },
        {"type": "userStream.start", "participant": "caller"},
        {"type": "userStream.start", "participant": "callee"},
        {"type": "userStream.chunk", "participant": "caller", "audioChunk": AUDIO},
        {"type": "userStream.chunk", "participant": "callee", "audioChunk": AUDIO},
        {"type": "session.end"},
    ),
    replies=("session.accepted", "userStream.started", "userStream.started"),
    roles={"inbound": "customer", "outbound": "agent"},
    query="?participants=caller,callee",
)
CXONE = Script(
    carrier=Cxone,
    said=(
        {"executionInfo": {"contactId": "c1"}, "streamPerspective": "RX_RELAY"},
        bytes(160),
    ),
    replies=("COMMAND",),
    roles={"rx": "agent"},
    settings=("experimental",),
)
every = pytest.mark.parametrize(
    "script", [ACS, AUDIOCODES, CXONE], ids=lambda script: script.carrier.name
)


@every
async def test_call_is_transcribed(script: Script) -> None:
    async with serving(Served(script.made())) as served:
        socket = await served.connect(*script.shown())
        for message in script.said:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(json.dumps(message))
        replies = [await socket.receive_json(timeout=10) for _ in script.replies]
        await socket.close()
        ended = await served.end()
        assert (ended.status, ended.duration_ms) == (Status.COMPLETED, 20)
    said = [reply.get("type") or reply.get("MessageType") for reply in replies]
    assert said == [*script.replies]
    [started] = [event for event in served.events if isinstance(event, StreamStarted)]
    assert {info.track: info.role for info in started.tracks} == script.roles
    assert SECRET not in str(started.params)


@every
async def test_upgrade_with_invalid_credentials_is_refused(script: Script) -> None:
    name = script.carrier.name
    path, headers = script.shown()
    forged = path.replace("/default/", "/default/1")
    async with serving(Served(script.made())) as served:
        for asked in (
            (f"/media/{name}", {}),
            (f"/media/{name}", {"Authorization": "Bearer another"}),
            (f"/media/{name}/default/{'x' * 40}", dict(script.headers)),
            (forged, {**headers, "Authorization": f"Bearer {SECRET}x"}),
        ):
            assert await served.refusal(*asked) in (401, 403)
        assert (served.events, served.streams.admitted, served.slots_held) == ([], 0, 0)


@every
async def test_carrier_without_settings_is_disabled(script: Script) -> None:
    closed = [script.made(secret=None)]
    closed += [script.made(is_accepted=False)] if script.settings else []
    for carrier in closed:
        async with serving(Served(carrier)) as served:
            assert await served.refusal(*script.shown()) == 404
