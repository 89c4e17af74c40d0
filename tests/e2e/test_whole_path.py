"""Calls through all processes of the path: each sample arrives once, in order, at its position.

The model is the checksum engine: delta k is the CRC-32 of the kth 80 ms that it received.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from streamdouble import api as streamdouble
from streamdouble.session import Impairments, SessionConfig

from cli import audit, events
from cli.callers.call import Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.twilio import Twilio
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from deploy.local.processes import ProcessFailed
from tests.contract.validation import assert_valid_entry, assert_valid_json
from workers.client import CallTranscript, read_event

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[local.Stack]:
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    async with local.running(settings) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_stack() -> AsyncIterator[local.Stack]:
    """Run a stack that accepts unsigned calls, because some callers do not sign."""
    settings = local.StackSettings(
        ports=local.Ports.free(),
        engine_model="checksum",
        gateway={"GATEWAY_TWILIO_AUTH_TOKEN": "", "GATEWAY_TWILIO_IGNORE_SIGNATURES": "true"},
    )
    async with local.running(settings) as stack:
        yield stack


def noise_call(milliseconds: int, seed: int = 1) -> Call:
    return Call(
        {
            "inbound": audit.noise(2 * seed, milliseconds),
            "outbound": audit.noise(2 * seed + 1, milliseconds),
        }
    )


async def play(stack: local.Stack, call: Call) -> None:
    gateway = Gateway(stack.media_url, stack.public_url)
    async with aiohttp.ClientSession() as http:
        await place(http, gateway, Twilio(CREDENTIALS), call)


async def read_all(stack: local.Stack, call_id: str) -> tuple[CallTranscript, list[Any]]:
    """Read a call's events until it ends; each must be as docs/schemas/ says."""
    transcript, seen = CallTranscript(call_id), []
    async with events.connect(stack.redis_url) as redis, asyncio.timeout(LIMIT_S):
        async for event in events.follow(redis, [events.call_key(call_id)]):
            assert transcript.apply(read_event("0-0", event)), "repeated"
            assert_valid_entry(event)
            assert_valid_json("0-0", event)
            seen.append(event)
            if transcript.over:
                break
    return transcript, seen


def assert_whole(call: Call, transcript: CallTranscript, seen: list[Any]) -> None:
    """Assert that every 80 ms of every track was transcribed once, in order, without gaps."""
    assert transcript.status == "completed"
    assert transcript.missing == 0
    assert transcript.gap_ms == 0
    sent_ms = sum(len(audio) // 8 for audio in call.tracks.values())
    assert audit.account(seen, call.tracks) == audit.Account(sent_ms, sent_ms)


async def test_every_sample_arrives_once_in_order_at_its_position(stack: local.Stack) -> None:
    call = noise_call(2000)
    await play(stack, call)
    transcript, seen = await read_all(stack, call.call_id)
    assert_whole(call, transcript, seen)
    assert [int(event["n"]) for event in seen] == list(range(1, len(seen) + 1))
    assert (seen[0]["type"], seen[-1]["type"]) == ("stream.started", "stream.ended")
    assert "tok" not in seen[0]["params"]
    for track in call.tracks:
        deltas = [e for e in seen if e["type"] == "transcript.delta" and e["track"] == track]
        ranges_ms = [(int(delta["start_ms"]), int(delta["end_ms"])) for delta in deltas]
        assert ranges_ms[:25] == [(80 * k, 80 * k + 80) for k in range(25)]


async def test_a_hangup_within_a_chunk_loses_nothing(stack: local.Stack) -> None:
    call = noise_call(300, seed=2)  # ends within a chunk, before the first delta
    await play(stack, call)
    assert_whole(call, *await read_all(stack, call.call_id))


async def test_lost_redis_connections_lose_no_event(stack: local.Stack) -> None:
    """After a reconnect, events must not be lost, repeated or out of order."""
    call = noise_call(3000, seed=3)
    async with Redis.from_url(stack.redis_url) as redis:

        async def cut() -> None:
            for _ in range(10):
                await asyncio.sleep(0.25)
                await redis.client_kill_filter(_type="normal", skipme=True)

        await asyncio.gather(play(stack, call), cut())
    assert_whole(call, *await read_all(stack, call.call_id))


async def test_a_suspended_redis_loses_no_event(stack: local.Stack) -> None:
    call = noise_call(3000, seed=4)
    pid = stack.parts["redis"].pid

    async def freeze() -> None:
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(1.5)
        os.kill(pid, signal.SIGCONT)

    await asyncio.gather(play(stack, call), freeze())
    assert_whole(call, *await read_all(stack, call.call_id))


async def test_a_gateway_finishes_its_calls_at_shutdown() -> None:
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    async with local.running(settings) as stack:
        call = noise_call(30_000, seed=5)
        gateway = stack.parts["gateway"]

        async def end() -> None:
            await asyncio.sleep(1.0)
            os.kill(gateway.pid, signal.SIGTERM)
            with pytest.raises(ProcessFailed, match="ended with code 0"):
                await gateway.until_exit()

        await asyncio.gather(play(stack, call), end())
        assert call.refused_with == 1012
        transcript, seen = await read_all(stack, call.call_id)
    assert (transcript.status, transcript.reason, transcript.gap_ms) == ("drained", "draining", 0)
    # All received audio is transcribed; one track may have received one frame more than the other.
    found = audit.account(seen, call.tracks)
    assert found.whole
    assert 0 <= 2 * transcript.duration_ms - found.transcribed_ms <= 20


class TestThirdPartyCaller:
    """Calls by PyPI's streamdouble, which plays Twilio without signatures."""

    async def place(
        self, stack: local.Stack, audio: bytes, **impairments: float
    ) -> tuple[CallTranscript, list[Any], int]:
        """Play a call; return its transcript, its events, and the number of dropped frames."""
        frames = [audio[at : at + 160] for at in range(0, len(audio), 160)]
        config = SessionConfig(
            fork=True,
            tracks=["inbound"],
            impairments=Impairments(**impairments),
            chaos_seed=7,
            response_timeout_s=0.1,
            quiet_period_s=0.1,
        )
        url = f"{stack.media_url}/media/twilio"
        report = await streamdouble.call(url, frames=frames, config=config)
        assert report.violations == []
        result = report.result
        return *await read_all(stack, result.identity.call_sid), result.frames_dropped

    async def test_a_clean_call_is_whole(self, open_stack: local.Stack) -> None:
        audio = audit.noise(50, 2000)
        transcript, seen, _ = await self.place(open_stack, audio)
        assert_whole(Call({"inbound": audio}), transcript, seen)

    async def test_jitter_causes_no_gap(self, open_stack: local.Stack) -> None:
        audio = audit.noise(51, 2000)
        transcript, seen, _ = await self.place(open_stack, audio, jitter_ms=60)
        assert_whole(Call({"inbound": audio}), transcript, seen)

    async def test_every_lost_frame_is_a_gap(self, open_stack: local.Stack) -> None:
        """The other audio is transcribed, with silence exactly in the declared gaps."""
        audio = audit.noise(52, 2000)
        transcript, seen, lost = await self.place(open_stack, audio, loss=0.1)
        causes = {event["cause"] for event in seen if event["type"] == "transcript.gap"}
        assert lost >= 5
        assert (transcript.gap_ms, causes) == (lost * 20, {"carrier_loss"})
        found = audit.account(seen, {"inbound": audio})
        assert found == audit.Account(2000, 2000 - lost * 20, lost * 20)
