"""Each session gets its track's audio as it came, if its server accepts that."""

import asyncio

import pytest

from gateway.audio.encodings import Encoding
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import telnyx
from gateway.errors import UpstreamError
from gateway.upstream.dialects.registry import DialectName, make_dialect
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.scripted import settle


def start(harness: StreamHarness, encoding: str, rate_hz: int) -> None:
    form = {"encoding": encoding, "sample_rate": rate_hz, "channels": 1}
    harness.feed("start", stream_id="s", start={"call_control_id": "c", "media_format": form})


def asked(harness: StreamHarness) -> list[Encoding]:
    return [slot.asked.encoding for slot in harness.reservation.slots if slot.asked]


@pytest.mark.parametrize(
    ("dialect", "name", "rate_hz", "encoding"),
    [
        (DialectName.OPENAI, "PCMU", 8000, Encoding.PCMU),
        (DialectName.MISTRAL, "PCMA", 8000, Encoding.PCMA),
        (DialectName.DEEPGRAM, "PCMU", 8000, Encoding.PCMU),
        (DialectName.DEEPGRAM, "L16", 16_000, Encoding.L16LE),
        (DialectName.OPENAI, "L16", 8000, Encoding.L16LE),
        (DialectName.SGLANG, "PCMU", 8000, Encoding.L16LE),
        (DialectName.QWEN3_ASR, "PCMU", 8000, Encoding.L16LE),
        (DialectName.VOXTRAL, "PCMA", 8000, Encoding.L16LE),
    ],
)
@in_virtual_time
async def test_the_encoding_of_a_session(
    dialect: DialectName, name: str, rate_hz: int, encoding: Encoding
) -> None:
    async with running_stream(adapter=JsonMediaAdapter(telnyx.DIALECT)) as (harness, _):
        harness.reservation.dialect = make_dialect(dialect)
        start(harness, name, rate_hz)
        await settle()
    assert asked(harness) == [encoding, encoding]  # two tracks


@in_virtual_time
async def test_another_server_gets_what_it_accepts() -> None:
    async with running_stream() as (harness, _):
        harness.reservation.dialect = make_dialect(DialectName.MISTRAL)
        harness.start("inbound")
        await settle()
        harness.reservation.dialect = make_dialect(DialectName.VOXTRAL)
        harness.peer.close(UpstreamError("connection-lost"))
        await asyncio.sleep(1)
        harness.audio()
    assert asked(harness) == [Encoding.PCMU, Encoding.L16LE]
    assert len(harness.transport.streams[1].audio(0)) == 2560
