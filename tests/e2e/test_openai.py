"""Calls through the gateway to a server with OpenAI's protocol.

The checksum engine outputs the CRC-32 of each 80 ms of an item. SGLang gets the samples at 16 kHz
that the gateway decoded, Speaches at 24 kHz, OpenAI the mu-law that the carrier sent.
"""

import asyncio
import zlib
from collections.abc import Awaitable

import pytest

from cli import audit, audit_coverage
from cli.callers.call import Call
from deploy.local import stack as local
from tests.e2e.test_whole_path import play, read_all

PAUSE = b"\xff" * 8 * 2400


def settings(
    dialect: str, server: str, model: str = "checksum", **gateway: str
) -> local.StackSettings:
    ports = local.Ports.free()
    url = f"ws://{local.HOST}:{ports.engine}/v1/realtime"
    upstream = {"GATEWAY_UPSTREAM": "websocket", "GATEWAY_REALTIME_URL": url}
    return local.StackSettings(
        ports=ports,
        engine_model=model,
        engine={"ENGINE_OPENAI_SERVER": server},
        gateway={"GATEWAY_DIALECT": dialect, **upstream, **gateway},
    )


def talk(seed: int) -> bytes:
    """Make audio of 12.1 s: three stretches of sound, with pauses between them."""
    sounds = [audit.noise(seed + n, length_ms) for n, length_ms in enumerate((3000, 1700, 2600))]
    return PAUSE.join(sounds)


async def assert_arrives(
    stack: local.Stack, call: Call, *meanwhile: Awaitable[object]
) -> list[str]:
    """Play a call; assert that all of it was transcribed once. Return the words of its finals."""
    await asyncio.gather(play(stack, call), *meanwhile)
    transcript, seen = await read_all(stack, call.call_id)
    assert (transcript.status, transcript.missing, transcript.gap_ms) == ("completed", 0, 0)
    sent_ms = sum(len(audio) // 8 for audio in call.tracks.values())
    assert audit.account(seen, call.tracks, exact=False) == audit.Account(sent_ms, sent_ms)
    return " ".join(each["text"] for each in seen if each["type"] == "transcript.final").split()


def checksums(mulaw: bytes, dialect: str) -> list[str]:
    pcm = audit_coverage.expected_pcm(mulaw, flush=True)
    made = {"openai": audit_coverage.g711_pcm, "speaches": audit_coverage.pcm_of_24_khz}
    pcm = made[dialect](pcm) if dialect in made else pcm
    return [f"{zlib.crc32(pcm[at : at + 2560]):08x}" for at in range(0, len(pcm), 2560)]


SERVERS = pytest.mark.parametrize(
    ("dialect", "server"),
    [("sglang", "sglang"), ("openai", "streaming"), ("speaches", "speaches")],
)


@SERVERS
async def test_every_sample_arrives_once_in_order(dialect: str, server: str) -> None:
    async with local.running(settings(dialect, server)) as stack:

        async def crash() -> None:
            await asyncio.sleep(2.0)
            await stack.crash("engine")

        # Two turns that are joined where they overlap; the hang-up is within a chunk.
        call = Call({"inbound": audit.noise(1, 17_020)})
        words, _ = await asyncio.gather(
            assert_arrives(stack, call),
            assert_arrives(stack, Call({"inbound": talk(10), "outbound": talk(20)})),
        )
        assert words == checksums(call.tracks["inbound"], dialect)
        await assert_arrives(stack, Call({"inbound": talk(30)}), crash())


@SERVERS
async def test_a_rollover_loses_no_sample(dialect: str, server: str) -> None:
    often = {"GATEWAY_ROLLOVER_SOFT_S": "2", "GATEWAY_ROLLOVER_HARD_S": "5"}
    async with local.running(settings(dialect, server, **often)) as stack:
        await assert_arrives(
            stack, Call({"inbound": talk(40), "outbound": audit.noise(50, 12_100)})
        )
