"""Calls through the whole path to a container that speaks Deepgram's API behind SageMaker.

The local SageMaker endpoint passes the model's path and query on to the CPU engine; the bridge is
not in between.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from cli import demo
from cli.callers.twilio import Twilio
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from tests.e2e.test_speech import TRACKS
from tests.e2e.test_whole_path import assert_whole, noise_call, play, read_all
from tests.speech import TWO_CITIES, plain_words, word_error_rate


@contextlib.asynccontextmanager
async def running(engine_model: str, **gateway: str) -> AsyncIterator[local.Stack]:
    ports = local.Ports.free()
    settings = local.StackSettings(
        ports=ports,
        engine_model=engine_model,
        endpoint={"ENDPOINT_CONTAINER_URL": f"http://{local.HOST}:{ports.engine}"},
        gateway={"GATEWAY_DIALECT": "deepgram", "GATEWAY_MODEL": "nova-3", **gateway},
    )
    async with local.running(settings) as stack:
        yield stack


async def test_every_sample_arrives_once_in_order_at_its_position() -> None:
    """One call ends in mid-word; during the other, the container crashes."""
    async with running("checksum") as stack:
        calls = [noise_call(1300), noise_call(8000, seed=2)]

        async def crash() -> None:
            await asyncio.sleep(5)
            await stack.crash("engine")

        await play(stack, calls[0])
        await asyncio.gather(play(stack, calls[1]), crash())
        for call in calls:
            assert_whole(call, *await read_all(stack, call.call_id))


async def test_a_rollover_loses_and_repeats_nothing() -> None:
    hard_s = {"GATEWAY_ROLLOVER_SOFT_S": "2", "GATEWAY_ROLLOVER_HARD_S": "3"}
    async with running("checksum", **hard_s) as stack:
        call = noise_call(7000, seed=3)
        await play(stack, call)
        transcript, seen = await read_all(stack, call.call_id)
    assert_whole(call, transcript, seen)
    assert {event["reason"] for event in seen if event["type"] == "transcript.final"} == {
        "rollover",
        "hangup",
    }


@pytest.mark.speech
async def test_speech_loses_no_words() -> None:
    """Each word once, the last ones included, at the error rate of the engine's own protocol."""
    async with running("moonshine") as stack:
        result = await demo.play(stack, Twilio(CREDENTIALS), TRACKS)
    assert (result.transcript.status, result.transcript.gap_ms) == ("completed", 0)
    text = " ".join(s.text for s in result.transcript.segments if s.track == "inbound")
    error_rate = word_error_rate(TWO_CITIES, text)
    print(f"word error rate: {error_rate:.1%}")  # noqa: T201 - shown with -s
    assert error_rate <= 0.10
    assert plain_words(text)[-4:] == plain_words(TWO_CITIES)[-4:]
