"""The real SDK against the endpoint, with a container that obeys behind it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import WSMsgType

from deploy.local.sagemaker import LocalEndpoint
from tests.deploy.local.sagemaker.peers import ObedientContainer, Sdk, sdk, settings


@dataclass
class Laptop:
    sdk: Sdk
    endpoint: LocalEndpoint
    container: ObedientContainer


@pytest.fixture
async def laptop() -> AsyncIterator[Laptop]:
    async with (
        ObedientContainer().serving() as container,
        LocalEndpoint(settings(container.url)) as endpoint,
        sdk(endpoint) as client,
    ):
        yield Laptop(client, endpoint, container)


async def test_a_part_is_a_frame_both_ways(laptop: Laptop) -> None:
    stream = await laptop.sdk.invoke()
    output = await stream.output()
    assert output.invoked_production_variant == "AllTraffic"
    await stream.send(b"one")
    await stream.send(b"\x00\xff", kind="BINARY")
    first, second = await stream.receive(), await stream.receive()
    assert first
    assert second
    assert (first.bytes_, first.data_type) == (b"one", "UTF8")
    assert (second.bytes_, second.data_type) == (b"\x00\xff", "BINARY")
    assert laptop.container.frames == [(WSMsgType.TEXT, b"one"), (WSMsgType.BINARY, b"\x00\xff")]
    await stream.half_close()
    assert await stream.receive_data() == b"last words"
    assert await stream.receive_data() is None
