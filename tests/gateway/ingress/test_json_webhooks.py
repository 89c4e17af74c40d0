"""JSON webhooks and subprotocols over real HTTP: Bandwidth from webhook to callback."""

import base64
import json
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.carriers.vendors.asterisk import Asterisk
from gateway.carriers.vendors.bandwidth import Bandwidth
from gateway.carriers.vendors.freeswitch import FreeSwitch
from gateway.carriers.vendors.jambonz import Jambonz
from gateway.transcript.events import Status
from tests.gateway.ingress.served import Served, serving

SECRET = "a-secret-of-the-operator"
PASSWORD = "a-password-of-webhooks"
BASIC = {"Authorization": f"Basic {base64.b64encode(f'bw:{PASSWORD}'.encode()).decode()}"}
INITIATE = {"eventType": "initiate", "callId": "c-1", "to": "+15550000001"}
STREAM = {"callId": "c-1", "streamId": "s-1", "tracks": [{"name": "inbound"}, {"name": "outbound"}]}
AUDIO = base64.b64encode(bytes(160)).decode()
CALL = [
    {"eventType": "start", "metadata": STREAM},
    {"eventType": "media", "track": "inbound", "payload": AUDIO},
    {"eventType": "media", "track": "outbound", "payload": AUDIO},
    {"eventType": "stop", "metadata": STREAM},
]


def bandwidth() -> Bandwidth:
    return Bandwidth(
        Bandwidth.Settings(
            _env_file=None,
            secret=SECRET,
            webhook_username="bw",
            webhook_password=PASSWORD,
            dial="+15551234567",
        )
    )


async def test_bandwidth_call_runs_from_webhook_to_stream_end() -> None:
    async with serving(Served(bandwidth())) as served:
        async with served.client.post("/voice/bandwidth", json=INITIATE, headers=BASIC) as reply:
            assert (reply.status, reply.content_type) == (200, "application/xml")
            stream = ElementTree.fromstring(await reply.read()).find("StartStream")
        assert stream is not None
        path = stream.get("destination", "").removeprefix("wss://gw.example.com/prefix")
        socket = await served.connect(path)
        for message in CALL:
            await socket.send_str(json.dumps(message))
        ended = await served.end()
        assert (ended.status, ended.duration_ms) == (Status.COMPLETED, 20)
        assert await served.refusal(path) == 403  # once


@pytest.mark.parametrize("path", ["/voice/bandwidth", "/voice/bandwidth/status"])
async def test_unauthenticated_or_malformed_webhook_is_refused(path: str) -> None:
    async with serving(Served(bandwidth())) as served:
        for headers in ({}, {"Authorization": f"Bearer {SECRET}"}):
            async with served.client.post(path, json=INITIATE, headers=headers) as reply:
                assert reply.status == 403
        async with served.client.post(path, data=INITIATE, headers=BASIC) as reply:
            assert reply.status == 415
        async with served.client.post(path, json=[], headers=BASIC) as reply:
            assert reply.status == 400


async def test_bandwidth_status_callback_is_accepted() -> None:
    event = {"eventType": "mediaStreamStopped", "callId": "c-1", "mediaStream": {"id": "s-1"}}
    async with (
        serving(Served(bandwidth())) as served,
        served.client.post("/voice/bandwidth/status", json=event, headers=BASIC) as reply,
    ):
        assert reply.status == 204


@pytest.mark.parametrize(
    ("kind", "offered", "selected"),
    [
        (Asterisk, ["media"], "media"),
        (FreeSwitch, ["audio.drachtio.org"], "audio.drachtio.org"),
        (FreeSwitch, [], None),
        (Jambonz, ["audio.jambonz.org"], "audio.jambonz.org"),
    ],
)
async def test_offered_subprotocol_is_selected(
    kind: Any, offered: list[str], selected: str | None
) -> None:
    async with serving(Served(kind(kind.Settings(_env_file=None, secret=SECRET)))) as served:
        path = f"/media/{kind.name}?mix=stereo"
        headers = {"Authorization": f"Bearer {SECRET}"}
        socket = await served.connect(path, headers, protocols=offered)
        assert socket.protocol == selected
