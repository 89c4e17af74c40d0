"""Calls whose model server answers turns: Qwen3-ASR's output, on the CPU engine.

With the checksum engine, each 80 ms of the audio is a word, so a call's transcript proves that no
word was lost or published twice at a seam.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli import audit, audit_coverage
from cli.callers.call import MULAW_SILENCE, Call
from deploy.local import stack as local
from tests.e2e.test_whole_path import noise_call, play, read_all
from workers.client import CallTranscript

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK_BYTES = 2560
MODEL = "Qwen/Qwen3-ASR-1.7B"
ENGINE = {"ENGINE_REALTIME": "qwen3-asr", "ENGINE_SERVED_MODEL_NAME": MODEL}
GATEWAY = {"GATEWAY_DIALECT": "qwen3-asr", "GATEWAY_MODEL": MODEL}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[local.Stack]:
    settings = local.StackSettings(
        ports=local.Ports.free(), engine_model="checksum", engine=ENGINE, gateway=GATEWAY
    )
    async with local.running(settings) as stack:
        yield stack


def with_pauses(milliseconds: int, seed: int) -> Call:
    """Return a call of noise, with pauses of different lengths."""
    noise, second = audit.noise(seed, milliseconds), 8000
    audio = bytearray()
    for number, at in enumerate(range(0, len(noise), 2 * second)):
        audio += noise[at : at + 2 * second]
        audio += MULAW_SILENCE * (second * (number % 4) // 2)
    whole = len(audio) // 640 * 640
    return Call({"inbound": bytes(audio[:whole])})


def assert_said_once(call: Call, transcript: CallTranscript) -> None:
    """Assert that the words of each track are the checksums of its audio, in order."""
    assert (transcript.status, transcript.missing, transcript.gap_ms) == ("completed", 0, 0)
    for track, mulaw in call.tracks.items():
        pcm = audit_coverage.expected_pcm(mulaw, flush=True)
        chunks = [pcm[at : at + CHUNK_BYTES] for at in range(0, len(pcm), CHUNK_BYTES)]
        expected = [f"{zlib.crc32(chunk):08x}" for chunk in chunks if any(chunk)]
        segments = [each for each in transcript.segments if each.track == track]
        assert " ".join(each.text for each in segments).split() == expected


async def test_turns_in_speech_without_a_pause(stack: local.Stack) -> None:
    """Nothing is published again at a seam: provisional text only grows."""
    call = noise_call(16_000, seed=21)
    await play(stack, call)
    transcript, seen = await read_all(stack, call.call_id)
    assert_said_once(call, transcript)
    assert {event.get("rev", "0") for event in seen} == {"0"}


async def test_turns_that_end_at_pauses(stack: local.Stack) -> None:
    call = with_pauses(16_000, seed=22)
    await play(stack, call)
    transcript, seen = await read_all(stack, call.call_id)
    assert_said_once(call, transcript)
    assert {event.get("rev", "0") for event in seen} == {"0"}
    assert len(transcript.segments) > 1


async def test_a_hangup_within_a_turn(stack: local.Stack) -> None:
    call = noise_call(6_300, seed=23)
    await play(stack, call)
    transcript, _ = await read_all(stack, call.call_id)
    assert_said_once(call, transcript)


async def test_a_lost_engine_loses_no_words(stack: local.Stack) -> None:
    call = noise_call(12_000, seed=24)
    playing = asyncio.ensure_future(play(stack, call))
    await asyncio.sleep(7)
    await stack.crash("engine")
    await playing
    transcript, seen = await read_all(stack, call.call_id)
    assert any(event.get("rev", "0") != "0" for event in seen), "no segment was replayed"
    assert_said_once(call, transcript)
