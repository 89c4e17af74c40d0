"""Ownership of calls: streams of several carriers and tenants with equal ids, on a real Redis."""

import base64
import json
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse
from structlog.testing import capture_logs

from gateway.carriers.auth.signatures.twilio import sign
from gateway.carriers.vendors.signalwire import SignalWire
from gateway.carriers.vendors.talkdesk import Talkdesk
from gateway.carriers.vendors.twilio import Twilio
from gateway.publishing.publisher import Publisher
from gateway.publishing.redis_store import RedisStore
from gateway.transcript.keys import keys_in, partition_of
from tests.gateway.ingress.served import PUBLIC_URL, Served, serving
from tests.gateway.publishing.publisher_harness import (
    EPOCH,
    PARTITIONS,
    client_of,
    ended,
    entries,
    final,
    keys_of,
    make_publisher,
    open_stream,
    publisher_at,
    started,
    texts,
)
from tests.redis_servers import free_port, valkey
from tests.waiting import eventually
from workers.janitor import Janitor, Lost
from workers.janitor import Metrics as JanitorMetrics
from workers.redis_streams import RedisStreams

AUTH_TOKEN = "12345"
SECRET = "a-secret-of-the-operator"
STREAM: dict[str, Any] = {"callSid": "CA1", "streamSid": "MZ1", "tracks": ["inbound"]}
MEDIA = {"event": "media", "media": {"payload": base64.b64encode(bytes(160)).decode()}}
OTHER = "default.talkdesk.CA1"  # the id of Talkdesk's call if the plain id is in use
ROUTES = """
[endpoints.main]
url = "ws://127.0.0.1:1/v1/realtime"

[[routes]]
name = "acme"
tenant = "acme"
publish_params = ["session"]
endpoints = ["main"]

[[routes]]
name = "rest"
endpoints = ["main"]
"""


class Gateway(Served):
    """With Twilio, which signs, carriers that show a secret, and a transcript in Redis."""

    def __init__(self, publisher: Publisher, **settings: Any) -> None:
        self.publisher = publisher
        common: dict[str, Any] = {"_env_file": None, "secret": SECRET}
        signalwire = SignalWire.Settings(**common, signing_key=AUTH_TOKEN, dial="+15550001111")
        super().__init__(
            Twilio(Twilio.Settings(_env_file=None, auth_token=AUTH_TOKEN, dial="+15550001111")),
            Talkdesk(Talkdesk.Settings(**common)),
            SignalWire(signalwire),
            **settings,
        )

    def open_writer(self, *stream: Any, **owner: Any) -> Any:
        return self.publisher.open_stream(*stream, **owner)

    async def twilio(self, path: str = "/media/twilio") -> ClientWebSocketResponse:
        """Start a call of Twilio with the same ids as the other carriers' calls."""
        url = "ws" + (PUBLIC_URL + path).removeprefix("http")
        socket = await self.connect(path, {"X-Twilio-Signature": sign(AUTH_TOKEN, url)})
        params = {"queue": "7", "session": "s1", "auth_tok": "hidden"}
        await socket.send_json({"event": "start", "start": STREAM | {"customParameters": params}})
        return socket

    async def talkdesk(self) -> ClientWebSocketResponse:
        return await self.other("/media/talkdesk")

    async def other(self, path: str) -> ClientWebSocketResponse:
        socket = await self.connect(path, {"Authorization": f"Bearer {SECRET}"})
        await socket.send_json({"event": "start", "start": STREAM})
        return socket

    async def until_live(self, carrier: str, count: int = 1) -> None:
        await eventually(lambda: self.metric("live_calls", carrier=carrier) == count)

    async def until_written(self, carrier: str, count: int = 1) -> None:
        """Wait until `count` calls of a carrier are live and Redis has all of their events."""
        await self.until_live(carrier, count)
        await eventually(lambda: not self.publisher.buffered_events)


async def events_of(redis_url: str, call_id: str = "CA1") -> list[Mapping[str, str]]:
    """Return a call's events in the partition of CA1; check that they are complete."""
    async with client_of(redis_url) as client:
        events = await entries(client, keys_in(partition_of("CA1", PARTITIONS), call_id).call)
    assert {event["call_id"] for event in events} <= {call_id}
    assert len({event["tenant"] for event in events}) <= 1
    for _, epoch in groupby(events, itemgetter("stream_id", "epoch")):
        numbers = [int(event["n"]) for event in epoch]
        assert numbers == list(range(1, len(numbers) + 1))
    return [*events]


def carriers(events: list[Mapping[str, str]]) -> list[str]:
    return [event["carrier"] for event in events if event["type"] == "stream.started"]


def ends(events: list[Mapping[str, str]]) -> list[str]:
    return [f"{e['status']} {e['reason']}" for e in events if e["type"] == "stream.ended"]


@pytest.mark.parametrize("is_first", [True, False])
async def test_another_carriers_stream_with_the_same_ids_is_another_call(
    redis_url: str, is_first: bool
) -> None:
    """Symptom: with another carrier's secret and a live call's ids, its stream was taken over.

    The call whose first event is written first gets the plain id.
    """
    async with publisher_at(redis_url) as publisher, serving(Gateway(publisher)) as gateway:
        begin = [("twilio", gateway.twilio), ("talkdesk", gateway.talkdesk)]
        (plain, first), (longer, second) = begin if is_first else begin[::-1]
        sockets = []
        for carrier, connect in ((plain, first), (longer, second)):
            sockets.append(await connect())
            await gateway.until_written(carrier)
        for carrier, socket in zip((longer, plain), sockets[::-1], strict=True):
            await socket.send_json(MEDIA)
            await socket.send_json({"event": "stop"})
            await gateway.until_live(carrier, 0)
    for carrier, call_id in ((plain, "CA1"), (longer, f"default.{longer}.CA1")):
        events = await events_of(redis_url, call_id)
        assert carriers(events) == [carrier]
        assert ends(events) == ["completed carrier-stopped"]
        assert {event["stream_id"] for event in events} == {"MZ1"}


async def test_stream_without_start_claims_no_id(redis_url: str) -> None:
    async with publisher_at(redis_url) as publisher, serving(Gateway(publisher)) as gateway:
        headers = {"Authorization": f"Bearer {SECRET}"}
        silent = await gateway.connect("/media/talkdesk", headers)
        await silent.send_json(MEDIA)
        first = await gateway.twilio()
        await gateway.until_written("twilio")
        await silent.send_json({"event": "start", "start": STREAM})
        await gateway.until_written("talkdesk")
        for socket in (silent, first):
            await socket.send_json({"event": "stop"})
        await gateway.until_live("twilio", 0)
        await gateway.until_live("talkdesk", 0)
    assert carriers(await events_of(redis_url)) == ["twilio"]
    assert carriers(await events_of(redis_url, OTHER)) == ["talkdesk"]


async def test_calls_keep_their_ids_at_the_next_gateway(redis_url: str) -> None:
    """At the next gateway the other carrier reconnects first."""
    for order in (("twilio", "talkdesk"), ("talkdesk", "twilio")):
        async with publisher_at(redis_url) as publisher, serving(Gateway(publisher)) as gateway:
            for carrier in order:
                socket = await (gateway.twilio if carrier == "twilio" else gateway.talkdesk)()
                await gateway.until_written(carrier)
                await socket.send_json(MEDIA)
            gateway.streams.start_draining()
            await gateway.streams.end_all(20)
    for call_id, carrier in (("CA1", "twilio"), (OTHER, "talkdesk")):
        events = await events_of(redis_url, call_id)
        assert carriers(events) == [carrier] * 2
        assert ends(events) == ["drained draining"] * 2
        assert len({event["epoch"] for event in events}) == 2


async def test_both_calls_are_written_from_the_spool(tmp_path: Path) -> None:
    """Redis is unavailable from the start; the next process writes the events on disk."""
    owners = [("default", "twilio"), ("default", "talkdesk"), ("acme", "twilio")]
    port, spool = free_port(), tmp_path / "spool"
    url = f"redis://127.0.0.1:{port}"
    with capture_logs():
        async with client_of(url, 0.2) as client:
            publisher = make_publisher(RedisStore(client), spool_dir=spool)
            publisher.start()
            for number, (tenant, carrier) in enumerate(owners):
                writer = open_stream(
                    publisher, "CA1", epoch=EPOCH + number, tenant=tenant, carrier=carrier
                )
                for event in (started(), final(carrier), ended()):
                    writer.publish(event)
            await publisher.close(0)
    with valkey(port):
        async with publisher_at(url, spool_dir=spool):
            pass
        for call_id, tenant, word in (
            ("CA1", "default", "twilio"),
            (OTHER, "default", "talkdesk"),
            ("acme.twilio.CA1", "acme", "twilio"),
        ):
            events = await events_of(url, call_id)
            assert [event["tenant"] for event in events] == [tenant] * 3
            assert texts([*map(dict, events)]) == [word]


async def test_janitor_closes_a_call_under_its_own_id(redis_url: str) -> None:
    async with client_of(redis_url) as client, publisher_at(redis_url) as publisher:
        writers = [
            open_stream(publisher, "CA1", epoch=EPOCH + number, tenant=tenant, carrier=carrier)
            for number, (tenant, carrier) in enumerate((("default", "twilio"), ("acme", "plivo")))
        ]
        for writer in writers:
            writer.publish(started())
            await eventually(lambda: not publisher.buffered_events)
        live = keys_of("CA1").live
        assert await client.zrange(live, 0, -1) == [b"CA1 MZ1", b"acme.plivo.CA1 MZ1"]
        await client.zadd(live, {"acme.plivo.CA1 MZ1": 1})
        janitor = Janitor(
            RedisStreams(client),
            gateway="janitor",
            partitions=PARTITIONS,
            lease_s=30,
            retention_s=500,
            metrics=JanitorMetrics(),
        )
        partition = partition_of("CA1", PARTITIONS)
        now_ms, (member,) = await RedisStreams(client).lapsed(partition, 10)
        assert await janitor.close(Lost(partition, member, now_ms))
        for writer in writers:
            writer.publish(ended())
    events = await events_of(redis_url, "acme.plivo.CA1")
    assert ends(events) == ["lost gateway-lost", "completed "]
    assert {event["tenant"] for event in events} == {"acme"}
    assert ends(await events_of(redis_url)) == ["completed "]


async def test_status_callback_ends_only_streams_of_its_carrier(redis_url: str) -> None:
    """Symptom: the status callback of another carrier ended a stream with the same ids."""
    form = {"CallSid": "CA1", "StreamSid": "MZ1", "StreamEvent": "stream-stopped"}
    url = f"{PUBLIC_URL}/voice/signalwire/status"
    signature = sign(AUTH_TOKEN, url, form.items())
    async with publisher_at(redis_url) as publisher, serving(Gateway(publisher)) as gateway:
        first = await gateway.twilio()
        await gateway.until_written("twilio")
        await gateway.other("/media/signalwire")
        await gateway.until_written("signalwire")
        async with gateway.client.post(
            "/voice/signalwire/status", data=form, headers={"X-SignalWire-Signature": signature}
        ) as response:
            assert response.status == 204
        await gateway.until_live("signalwire", 0)
        assert gateway.metric("live_calls", carrier="twilio") == 1
        await first.send_json({"event": "stop"})
        await gateway.until_live("twilio", 0)
    for call_id in ("CA1", "default.signalwire.CA1"):
        assert ends(await events_of(redis_url, call_id)) == ["completed carrier-stopped"]


async def test_tenant_of_route_is_in_every_event(redis_url: str, tmp_path: Path) -> None:
    """Streams of two tenants with the same carrier and id are two calls."""
    routes = tmp_path / "routes.toml"
    routes.write_text(ROUTES)
    async with (
        publisher_at(redis_url) as publisher,
        serving(Gateway(publisher, routes_file=routes)) as gateway,
    ):
        sockets = []
        for number, route in enumerate(("acme", "rest"), 1):
            sockets.append(await gateway.twilio(f"/media/twilio/{route}"))
            await gateway.until_written("twilio", number)
        snapshots = gateway.streams.snapshots("CA1")
        assert [each.tenant for each in snapshots] == ["acme", "default"]
        for socket in sockets:
            await socket.send_json(MEDIA)
            await socket.send_json({"event": "stop"})
        await gateway.until_live("twilio", 0)
    for call_id, tenant, params in (
        ("CA1", "acme", {"session": "s1"}),
        ("default.twilio.CA1", "default", {"queue": "7"}),
    ):
        events = await events_of(redis_url, call_id)
        assert ends(events) == ["completed carrier-stopped"]
        assert {event["tenant"] for event in events} == {tenant}
        assert json.loads(events[0]["params"]) == params


async def test_setting_selects_published_params_without_route_override(redis_url: str) -> None:
    settings = {"publish_params": "queue,absent"}
    async with publisher_at(redis_url) as publisher, serving(Gateway(publisher, **settings)) as it:
        socket = await it.twilio()
        await it.until_live("twilio")
        await socket.send_json({"event": "stop"})
        await it.until_live("twilio", 0)
    started, *_ = await events_of(redis_url)
    assert json.loads(started["params"]) == {"queue": "7"}
