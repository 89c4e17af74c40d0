"""The Realtime API over a real socket behaves as measured on vLLM 0.32.0.

If REALTIME_URL (ws://host/v1/realtime) and REALTIME_MODEL are set, the tests that need no local
engine run against that server, so that a real vLLM can be compared.
"""

import asyncio
import os
import re
import zlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from container.cpu import connection
from tests.container.cpu.dialogue import MODEL, Dialogue, checksum_engine, dialogue

PEER_URL = os.environ.get("REALTIME_URL")
PEER_MODEL = os.environ.get("REALTIME_MODEL", MODEL)
SECOND = bytes(32_000)
FRAME_LIMIT = 16_777_216


@pytest.fixture
async def url() -> AsyncIterator[str]:
    if PEER_URL:
        yield PEER_URL
    else:
        async with checksum_engine() as local:
            yield local


@pytest.fixture
async def client(url: str) -> AsyncIterator[Dialogue]:
    async with dialogue(url) as opened:
        yield opened


@pytest.fixture
async def validated(client: Dialogue) -> Dialogue:
    await client.update(PEER_MODEL)
    return client


async def test_session_created_is_sent_at_once(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}?x=1") as socket:
        created = await Dialogue(socket).receive()
    assert re.fullmatch("sess-[0-9a-f]{16}", created.pop("id"))
    assert isinstance(created.pop("created"), int)
    assert created == {"type": "session.created"}


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("", "invalid_json", "Invalid JSON"),
        ("{", "invalid_json", "Invalid JSON"),
        ("0:", "invalid_json", "Invalid JSON"),
        ("[]", "processing_error", "'list' object has no attribute 'get'"),
        ('"x"', "processing_error", "'str' object has no attribute 'get'"),
        ("null", "processing_error", "'NoneType' object has no attribute 'get'"),
        ("{}", "unknown_event", "Unknown event type: None"),
        ('{"type":"x.y"}', "unknown_event", "Unknown event type: x.y"),
        ('{"type":"session.update"}', "invalid_event", "Missing required field: model"),
        (
            '{"type":"session.update","model":"no/such"}',
            "model_not_found",
            "The model `no/such` does not exist.",
        ),
        ('{"type":"input_audio_buffer.commit"}', "model_not_validated", "Model not validated."),
        ('{"type":"input_audio_buffer.append"}', "processing_error", ""),
        ('{"type":"input_audio_buffer.append","audio":5}', "processing_error", ""),
        ('{"type":"input_audio_buffer.commit","final":"x"}', "processing_error", ""),
        (
            '{"type":"input_audio_buffer.append","audio":"A"}',
            "invalid_audio",
            "Invalid audio data",
        ),
        ('{"type":"input_audio_buffer.append","audio":""}', "invalid_audio", "Invalid audio data"),
        (
            '{"type":"input_audio_buffer.append","audio":"AAAA"}',
            "invalid_audio",
            "Invalid audio data",
        ),
    ],
)
async def test_errors_leave_the_connection_open(
    client: Dialogue, text: str, code: str, error: str
) -> None:
    await client.socket.send_str(text)
    reply = await client.receive()
    assert (reply["type"], reply["code"]) == ("error", code)
    assert reply["error"].startswith(error)
    await client.nothing_is_pending()


@pytest.mark.parametrize("samples", [1, 8999, 9000, 9001, 16_000, 32_000])
async def test_the_token_clock_is_exact_to_the_sample(validated: Dialogue, samples: int) -> None:
    await validated.commit()
    await validated.append(bytes(2 * samples))
    live = max(0, 1 + (samples - 9000) // 1280)
    await validated.deltas(live)
    await validated.nothing_is_pending()
    await validated.commit(final=True)
    deltas, done = await validated.until_done()
    total = 1 + (samples + 12_760) // 1280
    assert live + len(deltas) == total
    assert done["usage"] == {
        "prompt_tokens": 39,
        "total_tokens": 39 + total,
        "completion_tokens": total,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


async def test_a_generation_without_audio_is_empty(validated: Dialogue) -> None:
    await validated.commit()
    await validated.commit(final=True)
    deltas, done = await validated.until_done()
    assert (deltas, done["text"], done["usage"]["total_tokens"]) == ([], "", 0)


async def test_audio_before_update_and_commit_is_kept(client: Dialogue) -> None:
    await client.append(SECOND)
    await client.update(PEER_MODEL)
    await client.commit()
    await client.commit(final=True)
    deltas, _ = await client.until_done()
    assert len(deltas) == 23


async def test_a_second_commit_is_ignored(validated: Dialogue) -> None:
    await validated.commit()
    await validated.commit()
    await validated.append(SECOND)
    await validated.commit(final=True)
    deltas, _ = await validated.until_done()
    assert len(deltas) == 23
    await validated.nothing_is_pending()


async def test_the_next_utterance_needs_a_commit_after_done(validated: Dialogue) -> None:
    for _ in range(2):
        await validated.commit()
        await validated.append(SECOND)
        await validated.commit(final=True)
        deltas, _ = await validated.until_done()
        assert len(deltas) == 23
        await validated.nothing_is_pending()


async def test_a_final_commit_while_idle_ends_the_next_generation(validated: Dialogue) -> None:
    await validated.commit(final=True)
    await validated.nothing_is_pending()
    await validated.commit()
    deltas, done = await validated.until_done()
    assert (deltas, done["text"]) == ([], "")


async def test_an_invalid_chunk_is_dropped(validated: Dialogue) -> None:
    await validated.commit()
    await validated.append(SECOND)
    await validated.deltas(6)
    await validated.append(b"\x00")
    assert (await validated.receive())["code"] == "invalid_audio"
    await validated.commit(final=True)
    deltas, _ = await validated.until_done()
    assert len(deltas) == 17


async def test_unknown_keys_are_ignored(client: Dialogue) -> None:
    await client.send("session.update", model=PEER_MODEL, language="en", session={})
    await client.nothing_is_pending()


async def test_a_binary_frame_drops_the_connection(client: Dialogue) -> None:
    await client.socket.send_bytes(b"{}")
    message = await client.socket.receive(timeout=10)
    assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert client.socket.close_code in {None, 1006}


async def test_a_frame_of_16_mib_is_accepted(client: Dialogue) -> None:
    await client.socket.send_str("x" * FRAME_LIMIT)
    assert (await client.receive())["code"] == "invalid_json"


async def test_a_larger_frame_closes_with_1009(url: str) -> None:
    """Only the header is sent: the server closes the socket before it has read a whole frame."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port or 80)
    writer.write(
        f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    async with asyncio.timeout(20):
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\xff" + (FRAME_LIMIT + 1).to_bytes(8, "big") + bytes(4))
        close = (await reader.read()).rpartition(b"\x88")[2]  # length, code, reason
        writer.close()
        await writer.wait_closed()
    assert int.from_bytes(close[1:3], "big") == 1009


async def test_a_client_without_pongs_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_EVERY_S", 0.05)
    async with checksum_engine() as url, dialogue(url, autoping=False) as client:
        assert (await client.socket.receive(timeout=20)).type is aiohttp.WSMsgType.PING
        assert await client.closed() == 1011


async def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_EVERY_S", 0.2)
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.2)
    async with (
        checksum_engine(max_model_len=10**8) as url,
        dialogue(url, autoping=False) as client,
    ):
        await client.update()
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


async def test_a_client_with_pongs_stays_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_EVERY_S", 0.5)
    async with checksum_engine() as url, dialogue(url, autoping=False) as client:
        for _ in range(2):
            ping = await client.socket.receive(timeout=20)
            assert ping.type is aiohttp.WSMsgType.PING
            await client.socket.pong(ping.data)
        await client.nothing_is_pending()


async def test_health_is_empty_and_200(url: str) -> None:
    base = re.sub("^ws", "http", url).removesuffix("/v1/realtime")
    async with aiohttp.ClientSession() as session:
        for path in ("/health", "/ping"):
            async with session.get(base + path) as response:
                assert (response.status, await response.read()) == (200, b"")


async def test_checksums_are_those_of_the_chunks() -> None:
    pcm = np.random.default_rng(5).integers(-9000, 9000, 16_000, "<i2").tobytes()
    async with checksum_engine() as url, dialogue(url) as client:
        await client.update()
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
        await client.update()
        await client.commit()
        await client.append(SECOND * 3)
        deltas, done = await client.until_done()
        assert (len(deltas), done["usage"]["total_tokens"]) == (20, 59)
        await client.append(SECOND)
        await client.nothing_is_pending()
        await client.commit()
        await client.deltas(6)


async def test_a_session_above_max_num_seqs_waits_without_an_error() -> None:
    async with (
        checksum_engine(max_num_seqs=1) as url,
        dialogue(url) as first,
        dialogue(url) as second,
    ):
        for client in (first, second):
            await client.update()
            await client.commit()
            await client.append(SECOND)
        await first.deltas(6)
        await second.append(SECOND)
        await second.commit(final=True)
        await second.nothing_is_pending()
        await first.commit(final=True)
        await first.until_done()
        deltas, _ = await second.until_done()
        assert len(deltas) == 35


async def test_a_disconnected_client_releases_its_slot() -> None:
    async with checksum_engine(max_num_seqs=1) as url, dialogue(url) as waiting:
        async with dialogue(url) as holding:
            await holding.update()
            await holding.commit()
            await holding.nothing_is_pending()
            await waiting.update()
            await waiting.commit()
            await waiting.append(SECOND)
            await waiting.nothing_is_pending()
        await waiting.deltas(6)


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
