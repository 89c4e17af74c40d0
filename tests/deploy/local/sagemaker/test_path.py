"""Sessions through the real SDK, the endpoint, the bridge and a scripted engine."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aws_sdk_sagemaker_runtime_http2.models import ModelStreamError

from deploy.local.sagemaker import LocalEndpoint
from tests.container.bridge.conftest import bridge
from tests.container.bridge.engine import CREATED, DONE, FINAL, ScriptedEngine, delta
from tests.deploy.local.sagemaker.peers import SdkStream, sdk, settings

APPEND = '{"type":"input_audio_buffer.append","audio":"AAAA"}'


@dataclass
class Path:
    stream: SdkStream
    engine: ScriptedEngine


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    async with (
        ScriptedEngine().serving() as engine,
        bridge(engine.url) as (url, _),
        LocalEndpoint(settings(url)) as endpoint,
        sdk(endpoint) as client,
    ):
        stream = await client.invoke()
        await stream.output()
        assert await stream.receive_data() == CREATED.encode()
        yield Path(stream, engine)


async def test_a_session_ends_cleanly_after_done(path: Path) -> None:
    """The gateway half-closes after it has received `done`."""
    await path.stream.send(APPEND.encode())
    await path.stream.send(FINAL.encode())
    for reply in (delta(" one"), delta(" two"), DONE):
        part = await path.stream.receive()
        assert part
        assert (part.bytes_, part.data_type) == (reply.encode(), "UTF8")
    await path.stream.half_close()
    assert await path.stream.receive_data() is None
    assert path.engine.messages == [APPEND, FINAL]


async def test_a_half_close_before_done_loses_no_reply(path: Path) -> None:
    path.engine.done_after = asyncio.Event()
    await path.stream.send(FINAL.encode())
    await path.stream.half_close()
    await path.engine.final_seen.wait()
    path.engine.done_after.set()
    assert await path.stream.receive_data() == delta(" two").encode()
    assert await path.stream.receive_data() == DONE.encode()
    assert await path.stream.receive_data() is None


async def test_an_engines_restart_is_a_model_stream_error(path: Path) -> None:
    path.engine.close_after_append = (1012, b"restart")
    await path.stream.send(APPEND.encode())
    assert await path.stream.receive_data() == delta(" one").encode()
    with pytest.raises(ModelStreamError) as raised:
        await path.stream.receive()
    assert raised.value.error_code == "1012"
    assert "restart" in (raised.value.message or "")


async def test_a_binary_part_that_is_not_utf8_is_rejected(path: Path) -> None:
    await path.stream.send(b"\xff", kind="BINARY")
    with pytest.raises(ModelStreamError) as raised:
        await path.stream.receive()
    assert raised.value.error_code == "1007"
    assert path.engine.messages == []
