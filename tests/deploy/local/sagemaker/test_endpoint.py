"""The endpoint between a client (the real SDK or a `WireClient`) and a scripted container."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSMsgType
from aws_sdk_sagemaker_runtime_http2.models import (
    InputValidationError,
    InternalStreamFailure,
    ModelError,
    ModelStreamError,
)
from h2.errors import ErrorCodes
from smithy_core.exceptions import CallError

from deploy.local.sagemaker import LocalEndpoint
from deploy.local.sagemaker.parts import encode_reply
from tests.deploy.local.sagemaker.peers import FLOOD_BYTES, ScriptedContainer, Sdk, sdk, settings
from tests.deploy.local.sagemaker.wire import wire

FLOOD_REPLY_BYTES = len(encode_reply(bytes(FLOOD_BYTES), is_text=True))


@pytest.fixture
async def client(endpoint: LocalEndpoint) -> AsyncIterator[Sdk]:
    async with sdk(endpoint) as ready:
        yield ready


async def test_a_part_becomes_a_frame_and_vice_versa(
    client: Sdk, container: ScriptedContainer
) -> None:
    stream = await client.invoke()
    output = await stream.output()
    assert output.invoked_production_variant == "AllTraffic"
    await stream.send(b"one")
    await stream.send(b"\x00\xff", kind="BINARY")
    first, second = await stream.receive(), await stream.receive()
    assert first
    assert second
    assert (first.bytes_, first.data_type) == (b"one", "UTF8")
    assert (second.bytes_, second.data_type) == (b"\x00\xff", "BINARY")
    assert container.frames == [(WSMsgType.TEXT, b"one"), (WSMsgType.BINARY, b"\x00\xff")]


async def test_partial_parts_are_joined_to_one_message(
    client: Sdk, container: ScriptedContainer
) -> None:
    stream = await client.invoke()
    await stream.output()
    await stream.send(b"one ", state="PARTIAL")
    await stream.send(b"and ", state="PARTIAL")
    await stream.send(b"two", state="COMPLETE")
    await stream.send(b"three")
    assert await stream.receive_data() == b"one and two"
    assert await stream.receive_data() == b"three"


async def test_a_half_close_lets_the_container_finish(
    client: Sdk, container: ScriptedContainer
) -> None:
    stream = await client.invoke()
    await stream.output()
    await stream.half_close()
    assert await stream.receive_data() == b"last words"
    assert await stream.receive_data() is None
    assert container.close_code == 1000


async def test_a_drain_times_out(container: ScriptedContainer) -> None:
    container.may_reply_to_close = asyncio.Event()
    async with (
        LocalEndpoint(settings(container.url, drain_timeout_s=0.2)) as endpoint,
        sdk(endpoint) as client,
    ):
        stream = await client.invoke()
        await stream.output()
        await stream.half_close()
        assert await stream.receive_data() == b"last words"
        assert await stream.receive_data() is None
        container.may_reply_to_close.set()


@pytest.mark.parametrize(
    ("how", "code"),
    [("1011 out of memory", "1011"), ("1000 bye", "1000"), ("1012 restart", "1012"), ("", "1006")],
)
async def test_a_containers_close_is_a_model_stream_error(client: Sdk, how: str, code: str) -> None:
    stream = await client.invoke()
    await stream.output()
    await stream.send(f"!close {how}".encode())
    with pytest.raises(ModelStreamError) as raised:
        await stream.receive()
    assert raised.value.error_code == code
    assert how.partition(" ")[2] in (raised.value.message or "")


async def test_variant_path_and_query_reach_the_container(
    client: Sdk, container: ScriptedContainer
) -> None:
    stream = await client.invoke(
        target_variant="blue", model_invocation_path="v1/realtime", model_query_string="a=1&b=2"
    )
    output = await stream.output()
    assert output.invoked_production_variant == "blue"
    assert container.requests == ["/v1/realtime?a=1&b=2"]


async def test_the_default_path_is_sagemakers(client: Sdk, container: ScriptedContainer) -> None:
    await (await client.invoke()).output()
    assert container.requests == ["/invocations-bidirectional-stream"]


async def test_an_unknown_endpoint_is_rejected(client: Sdk) -> None:
    stream = await client.invoke("nowhere")
    with pytest.raises(InputValidationError, match="Endpoint nowhere not found"):
        await stream.output()


@pytest.mark.parametrize(
    "fields",
    [
        {"target_variant": "v" * 64},
        {"model_invocation_path": "p" * 101},
        {"model_invocation_path": "/v1/realtime"},
        {"model_query_string": "q" * 2049},
    ],
)
async def test_headers_above_their_limits_are_rejected(client: Sdk, fields: dict[str, str]) -> None:
    stream = await client.invoke(**fields)
    with pytest.raises(InputValidationError):
        await stream.output()


@pytest.mark.parametrize(
    "identity",
    [
        {"key_id": "AKIDOTHER"},
        {"secret": "other"},
        {"session_token": "unknown"},
    ],
)
async def test_unknown_credentials_are_rejected(
    endpoint: LocalEndpoint, identity: dict[str, str]
) -> None:
    async with sdk(endpoint, **identity) as other:
        stream = await other.invoke("nowhere")
        with pytest.raises(CallError, match="403"):
            await stream.output()


async def test_temporary_credentials_are_accepted(container: ScriptedContainer) -> None:
    given = settings(container.url, session_token="token")
    async with (
        LocalEndpoint(given) as endpoint,
        sdk(endpoint, session_token="token") as client,
    ):
        stream = await client.invoke()
        await stream.output()
        await stream.send(b"one")
        assert await stream.receive_data() == b"one"


async def test_a_container_that_refuses_is_a_model_error(client: Sdk) -> None:
    stream = await client.invoke(model_invocation_path="busy")
    with pytest.raises(ModelError) as raised:
        await stream.output()
    assert raised.value.original_status_code == 503


async def test_an_unreachable_container_is_a_model_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with LocalEndpoint(settings(url)) as endpoint, sdk(endpoint) as client:
            stream = await client.invoke()
            with pytest.raises(ModelError, match="unreachable"):
                await stream.output()


async def test_a_slow_container_is_a_model_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        given = settings(url, accept_timeout_s=0.2)
        async with LocalEndpoint(given) as endpoint, sdk(endpoint) as client:
            stream = await client.invoke()
            with pytest.raises(ModelError, match="in time"):
                await stream.output()


async def test_a_container_without_pongs_ends_the_stream(container: ScriptedContainer) -> None:
    container.pings_answered = False
    given = settings(container.url, ping_interval_s=0.05, ping_limit=3)
    async with LocalEndpoint(given) as endpoint, sdk(endpoint) as client:
        stream = await client.invoke()
        await stream.output()
        with pytest.raises(ModelStreamError, match="pings"):
            await stream.receive()


async def test_a_container_with_pongs_keeps_the_stream(container: ScriptedContainer) -> None:
    given = settings(container.url, ping_interval_s=0.02, ping_limit=40)
    async with LocalEndpoint(given) as endpoint, sdk(endpoint) as client:
        stream = await client.invoke()
        await stream.output()
        await asyncio.sleep(1.0)  # longer than the limit of 40 pings without a pong
        await stream.send(b"one")
        assert await stream.receive_data() == b"one"


async def test_a_stream_ends_at_its_maximum_duration(container: ScriptedContainer) -> None:
    given = settings(container.url, max_connection_s=0.3)
    async with LocalEndpoint(given) as endpoint, sdk(endpoint) as client:
        stream = await client.invoke()
        await stream.output()
        with pytest.raises(InternalStreamFailure, match="maximum duration"):
            await stream.receive()


async def test_a_forged_event_ends_the_stream(
    endpoint: LocalEndpoint, container: ScriptedContainer
) -> None:
    async with wire(endpoint) as client:
        await client.open()
        await client.send(b"good")
        await client.until_events(1)
        client.break_chain()
        await client.send(b"forged")
        assert (await client.until_end())[0] == "end"
        last = client.seen.events[-1]
        assert last.headers[":error-code"] == "InvalidSignatureException"
    assert container.frames == [(WSMsgType.TEXT, b"good")]


async def test_malformed_bytes_end_the_stream(endpoint: LocalEndpoint) -> None:
    async with wire(endpoint) as client:
        await client.open()
        await client.send_raw(bytes(100))
        assert (await client.until_end())[0] == "end"
        assert client.seen.events[-1].headers[":error-code"] == "ValidationException"


async def test_a_forged_request_does_not_reach_the_container(
    endpoint: LocalEndpoint, container: ScriptedContainer
) -> None:
    async with wire(endpoint) as client:
        await client.open(x_amz_date="20200101T000000Z")
        await client.send(b"early")
        head = await client.until_head()
        assert head[":status"] == "403"
        assert head["x-amzn-errortype"] == "InvalidSignatureException"
        await client.until_end()
        assert "Message" in json.loads(client.seen.body)
    assert container.requests == []


async def test_another_operation_is_rejected(endpoint: LocalEndpoint) -> None:
    async with wire(endpoint) as client:
        await client.open(path="/endpoints/callscribe/invocations")
        assert (await client.until_head())[":status"] == "404"


async def test_a_message_larger_than_every_window_passes(client: Sdk) -> None:
    """A part may have 16 MiB and a window has 1 MiB, so it must open while a part arrives."""
    message = b"x" * (3 * 1024 * 1024)
    stream = await client.invoke()
    await stream.output()
    await stream.send(message)
    assert await stream.receive_data() == message


async def test_a_client_that_does_not_read_slows_the_container(
    endpoint: LocalEndpoint, container: ScriptedContainer
) -> None:
    count = 256  # 16 MiB: more than all windows and socket buffers on the way
    async with wire(endpoint) as client:
        await client.open()
        await client.until_head()
        await client.send(f"!flood {count}".encode())
        before = -1
        while before < container.flooded:  # until the container is blocked
            before = container.flooded
            await asyncio.sleep(0.3)
        assert container.flooded < count
        await client.until_bytes(count * FLOOD_REPLY_BYTES)
        assert len(client.seen.events) == count


async def test_a_stream_of_a_client_that_does_not_read_is_reset(
    container: ScriptedContainer,
) -> None:
    """Symptom: the last frame waited forever behind bytes that the client did not read."""
    async with (
        LocalEndpoint(settings(container.url, max_connection_s=0.5)) as endpoint,
        wire(endpoint) as client,
    ):
        client.opens_window = False
        await client.open()
        await client.send(b"!flood 100")
        assert await client.until_end() == [f"reset {int(ErrorCodes.CANCEL)}"]


async def test_a_container_that_does_not_read_slows_the_client(
    endpoint: LocalEndpoint, container: ScriptedContainer
) -> None:
    limit = 512
    async with wire(endpoint) as client:
        await client.open()
        await client.until_head()
        await client.send(b"!pause")
        sent = 0
        while sent < limit and await client.has_room(FLOOD_BYTES):
            await client.send(bytes(FLOOD_BYTES))
            sent += 1
        assert 0 < sent < limit
        container.resumed.set()
        await client.until_bytes(sent * FLOOD_REPLY_BYTES)
        assert len(client.seen.events) == sent


async def test_many_streams_share_a_connection(client: Sdk) -> None:
    streams = [await client.invoke() for _ in range(20)]
    for stream in streams:
        await stream.output()
    for number in range(5):
        for each, stream in enumerate(streams):
            await stream.send(f"{each}:{number}".encode())
    for each, stream in enumerate(streams):
        got = [await stream.receive_data() for _ in range(5)]
        assert got == [f"{each}:{number}".encode() for number in range(5)]
        await stream.half_close()
        assert await stream.receive_data() == b"last words"
        assert await stream.receive_data() is None


async def test_a_lost_client_closes_the_containers_socket(
    endpoint: LocalEndpoint, container: ScriptedContainer
) -> None:
    async with wire(endpoint) as client:
        await client.open()
        await client.until_head()
    async with asyncio.timeout(20):
        await container.closed.wait()
    assert container.close_code == 1001


async def test_the_ca_is_written_to_cert_dir(container: ScriptedContainer, tmp_path: Path) -> None:
    async with LocalEndpoint(settings(container.url, cert_dir=tmp_path / "certs")) as endpoint:
        assert endpoint.ca_file == tmp_path / "certs" / "ca.pem"
        assert b"PRIVATE KEY" not in endpoint.ca_file.read_bytes()


async def test_content_of_parts_is_not_logged(
    client: Sdk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="deploy"):
        stream = await client.invoke()
        await stream.output()
        await stream.send(b"my secret words")
        await stream.receive()
        await stream.send(b"!close 1011 secret reason")
        with pytest.raises(ModelStreamError):
            await stream.receive()
    messages = [
        record.getMessage() for record in caplog.records if record.name.startswith("deploy")
    ]
    assert any("stream-ended" in line for line in messages)
    assert not any("secret" in line for line in messages)
