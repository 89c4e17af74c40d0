"""The engine over real sockets: what the rules of `./run conform` leave out."""

import asyncio
import zlib

import aiohttp
import numpy as np
import pytest

from cli.conform.dialogue import Dialogue
from container.cpu import connection
from tests.container.cpu.dialogue import MODEL, checksum_engine, dialogue

SECOND = bytes(32_000)


async def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_EVERY_S", 0.2)
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.2)
    async with (
        checksum_engine(max_model_len=10**8) as url,
        dialogue(url, autoping=False) as client,
    ):
        await client.update(MODEL)
        await client.commit()
        stop_reading(client)
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await fill_every_buffer(client)


def stop_reading(client: Dialogue) -> None:
    held = client.socket._conn  # noqa: SLF001 -- there is no public way
    assert held is not None
    assert held.transport is not None
    held.transport.pause_reading()


async def fill_every_buffer(client: Dialogue) -> None:
    """Request more replies than the buffers of both sockets hold."""
    async with asyncio.timeout(30):
        while True:
            await client.append(SECOND * 200)


async def test_checksums_are_those_of_the_chunks() -> None:
    pcm = np.random.default_rng(5).integers(-9000, 9000, 16_000, "<i2").tobytes()
    async with checksum_engine() as url, dialogue(url) as client:
        await client.update(MODEL)
        await client.commit()
        for begin in range(0, len(pcm), 640):
            await client.append(pcm[begin : begin + 640])
        await client.commit(final=True)
        deltas, done = await client.until_done()
    sums = [f" {zlib.crc32(pcm[begin : begin + 2560]):08x}" for begin in range(0, 32_000, 2560)]
    assert deltas == sums + [""] * 10
    assert done["text"] == "".join(sums)


async def test_a_full_context_ends_the_generation_without_a_commit() -> None:
    async with checksum_engine(max_model_len=39 + 20) as url, dialogue(url) as client:
        await client.update(MODEL)
        await client.commit()
        await client.append(SECOND * 3)
        deltas, done = await client.until_done()
        assert (len(deltas), done["usage"]["total_tokens"]) == (20, 59)
        await client.append(SECOND)
        await client.nothing_is_pending()
        await client.commit()
        await client.deltas(6)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "right"}, 401),
        ({"Authorization": "Bearer right"}, 101),
    ],
)
async def test_the_upgrade_requires_the_api_key(headers: dict[str, str], status: int) -> None:
    async with checksum_engine(api_key="right") as url, aiohttp.ClientSession() as session:
        async with session.get(url.replace("/v1/realtime", "/health")) as response:
            assert response.status == 200
        try:
            async with session.ws_connect(url, headers=headers):
                seen = 101
        except aiohttp.WSServerHandshakeError as error:
            seen = error.status
    assert seen == status


async def test_metrics_count_sessions() -> None:
    async with (
        checksum_engine() as url,
        dialogue(url),
        aiohttp.ClientSession() as session,
        session.get(url.replace("/v1/realtime", "/metrics")) as response,
    ):
        text = await response.text()
    assert "callscribe_engine_sessions 1.0" in text
    assert "callscribe_engine_lag_seconds 0.0" in text


async def test_too_much_pending_audio_closes_the_session() -> None:
    async with checksum_engine() as url, dialogue(url) as client:
        chunk = SECOND * 300
        for _ in range(7):  # 35 minutes without a commit
            await client.append(chunk)
        assert (await client.receive())["code"] == "processing_error"
        assert await client.closed() == 1008


async def test_shutdown_closes_sessions_with_1012() -> None:
    ready = asyncio.Event()

    async def close_code(url: str) -> int | None:
        async with dialogue(url) as client:
            ready.set()
            return await client.closed()

    async with checksum_engine() as url:
        listening = asyncio.ensure_future(close_code(url))
        await ready.wait()
    assert await listening == 1012
