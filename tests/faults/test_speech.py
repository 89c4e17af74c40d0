"""Recorded speech over links with faults is transcribed without lost or repeated words."""

import asyncio
from pathlib import Path

import aiohttp
import jiwer
import pytest

from cli import recordings
from cli.callers.call import Call
from cli.recordings import read_mulaw
from container.cpu.model import MoonshineModel
from container.cpu.moonshine import MoonshineTranscriber
from deploy.local.proxy import BlackHole, Freeze, Reset
from tests.faults.caller import TRACK, Caller
from tests.faults.calls import events_of, until_idle
from tests.faults.stack import Link, Stack, running_stack
from tests.speech import TWO_CITIES, plain_words, word_error_rate
from workers.client import CallTranscript, read_event

pytestmark = pytest.mark.speech

PACE = 1.5  # times real time
# The engine outputs words up to some seconds late, and needs a while for a replay. Words that are
# missing when a segment closes are not replayed, so segments close late here.
PATIENT = {
    "segment_pause_ms": 4000,
    "replay_ms": 60_000,
    "open_timeout_s": 5.0,
    "mute_timeout_s": 5.0,
    "done_timeout_s": 20.0,
    "finish_timeout_s": 40.0,
    "retry_budget_s": 40.0,
    "max_lag_ms": 30_000,
}


async def break_links(stack: Stack) -> None:
    """Inject three faults, some seconds apart."""
    schedule = (
        (5.0, Link.ENGINE, Reset()),
        (6.0, Link.ENDPOINT, Freeze()),
        (6.0, Link.BRIDGE, BlackHole()),
    )
    for after_s, link, fault in schedule:
        await asyncio.sleep(after_s)
        stack.links[link].apply(fault)
        await asyncio.sleep(1.0)
        stack.links[link].heal()


async def test_faults_lose_and_repeat_no_words(tmp_path: Path, redis_port: int) -> None:
    model = MoonshineModel()
    call = Call({TRACK: read_mulaw(recordings.two_cities())})
    async with (
        running_stack(
            tmp_path, redis_port, transcriber=lambda failed: MoonshineTranscriber(model, failed)
        ) as stack,
        stack.gateway(**PATIENT) as gateway,
        aiohttp.ClientSession() as http,
    ):
        breaking = asyncio.ensure_future(break_links(stack))
        await Caller(call, pace=PACE).play(http, stack.links[Link.CARRIER].port)
        await breaking
        await until_idle(gateway)
    transcript = CallTranscript(call.call_id)
    published = await events_of(call, redis_port)
    for event in published:
        transcript.apply(read_event("0-0", event))
    transcribed = " ".join(segment.text for segment in transcript.segments)
    print(f"word error rate: {word_error_rate(TWO_CITIES, transcribed):.1%}")  # noqa: T201 - shown with -s
    assert any(event.get("rev", "0") != "0" for event in published), "no segment was replayed"
    assert (transcript.status, transcript.gap_ms, transcript.missing) == ("completed", 0, 0)
    assert word_error_rate(TWO_CITIES, transcribed) <= 0.15
    known, said = (" ".join(plain_words(text)) for text in (TWO_CITIES, transcribed))
    assert jiwer.process_words(known, said).insertions <= 3, "words were repeated"
