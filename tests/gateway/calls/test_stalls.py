"""Stalls of carriers whose frames have no times or arrive out of order: positions and causes."""

import asyncio
import base64
from dataclasses import replace

import pytest

from gateway.calls.termination import CLOSED
from gateway.carriers.protocols.dialect import Times
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import twilio
from gateway.transcript.events import GapCause, TranscriptFinal, TranscriptGap
from tests.gateway.calls.stream_harness import StreamHarness, in_virtual_time, running_stream
from tests.gateway.calls.test_holds import TestOmittedSilence, answering, hang_up

COUNTED = replace(twilio.DIALECT, times=Times.NONE)  # as Bandwidth's
COUNTED_OUT_OF_ORDER = replace(COUNTED, reorder_ms=60)  # as RingCX'
OUT_OF_ORDER = replace(twilio.DIALECT, reorder_ms=200)  # as Telnyx'


def frame(harness: StreamHarness, track: str = "inbound", **media: str) -> None:
    payload = base64.b64encode(bytes(160)).decode()
    harness.feed("media", media={"track": track, "payload": payload, **media})


async def talk(harness: StreamHarness, track: str = "inbound", *, first: int | None = None) -> None:
    """Send two seconds of audio in real time; with `first`, numbered from it."""
    for number in range(100):
        frame(harness, track, **({} if first is None else {"chunk": str(first + number)}))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("silence_s", [10, 40])
def test_track_that_begins_after_omitted_silence_starts_at_its_arrival(
    before: int, silence_s: int
) -> None:
    """Symptom: the outbound track began at 2000 ms instead of 12000, for the whole call."""

    @in_virtual_time
    async def play() -> None:
        async with running_stream(answering(), JsonMediaAdapter(COUNTED)) as (harness, task):
            harness.start("inbound", "outbound")
            await talk(harness)
            await asyncio.sleep(silence_s)
            if before == 2:
                await talk(harness)
            await talk(harness, "outbound")
            await hang_up(harness, task)
        finals = [final for final in harness.of(TranscriptFinal) if final.track == "outbound"]
        assert abs(finals[0].start_ms - 1000 * (2 * before + silence_s)) < 200

    play()


@pytest.mark.parametrize("lost", [1, 10])
def test_frames_lost_at_the_end_of_omitted_silence_do_not_change_its_cause(lost: int) -> None:
    """Symptom: 20 s of silence declared as `carrier_loss`, or the next words placed before it."""

    @in_virtual_time
    async def play() -> None:
        async with running_stream(answering(), JsonMediaAdapter(COUNTED)) as (harness, task):
            harness.start()
            await talk(harness, first=1)
            await asyncio.sleep(20)
            await talk(harness, first=101 + lost)
            await hang_up(harness, task)
        gaps = {gap.cause: gap.to_ms - gap.from_ms for gap in harness.of(TranscriptGap)}
        assert gaps[GapCause.NOT_SENT] >= 20_000 - 20 * lost - 100
        assert harness.of(TranscriptFinal)[1].start_ms > 21_000

    play()


@in_virtual_time
async def test_small_burst_after_silence_is_not_delayed_delivery() -> None:
    """Symptom: the first 400 ms after the silence were placed before it."""
    async with running_stream(answering(), TestOmittedSilence.adapter()) as (harness, task):
        harness.start()
        for burst in (1, 6):
            for _ in range(burst - 1):
                harness.stream.receive_binary(bytes(160))
            for _ in range(100):
                harness.stream.receive_binary(bytes(160))
                await asyncio.sleep(0.02)
            await asyncio.sleep(20)
        harness.stream.end(CLOSED)
        await asyncio.wait_for(task, 100)
    assert harness.of(TranscriptFinal)[1].start_ms > 21_000


@pytest.mark.parametrize("wait_s", [0.7, 2, 10])
def test_frames_held_for_reordering_keep_the_position_of_their_arrival(wait_s: float) -> None:
    """Symptom: the last word was placed up to 4 s late, after a gap of `carrier_loss`."""

    @in_virtual_time
    async def play() -> None:
        async with running_stream(answering(), JsonMediaAdapter(COUNTED_OUT_OF_ORDER)) as (
            harness,
            task,
        ):
            harness.start()
            for number in range(1, 102):
                if number != 100:
                    frame(harness, chunk=str(number))
                await asyncio.sleep(0.02)
            await asyncio.sleep(wait_s)
            await hang_up(harness, task)
        [gap] = harness.of(TranscriptGap)
        assert (gap.from_ms, gap.to_ms) == (1980, 2000)
        assert harness.ended.duration_ms == 2020

    play()


@in_virtual_time
async def test_frame_lost_before_a_hold_is_carrier_loss() -> None:
    """Symptom: a frame that was lost just before a hold was declared `not_sent`."""
    async with running_stream(answering(), JsonMediaAdapter(OUT_OF_ORDER)) as (harness, task):
        harness.start()
        for numbers in (range(100), range(1100, 1200)):
            for number in numbers:
                if number != 96:
                    chunk = number + 1 if number < 100 else number - 999
                    frame(harness, chunk=str(chunk), timestamp=str(20 * number))
                    await asyncio.sleep(0.02)
            if numbers[0] == 0:
                await asyncio.sleep(20)
        await hang_up(harness, task)
    causes = {(gap.from_ms, gap.to_ms): gap.cause for gap in harness.of(TranscriptGap)}
    assert causes == {(1920, 1940): GapCause.CARRIER_LOSS, (2000, 22_000): GapCause.NOT_SENT}
