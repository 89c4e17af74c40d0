"""What an endpoint and its engine do on their bad days, short of breaking connections."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from cli.audit import Account
from cli.callers.call import Call
from deploy.local.sagemaker import ends, faults
from tests.faults.caller import Caller
from tests.faults.calls import WHOLE, account_of, end_of, new_call, over
from tests.faults.stack import Link, Stack, know_credentials, standing

# Each befalls the first two sessions of a call.
TROUBLES = {
    "the model refuses": faults.refused(424),
    "throttled": faults.refused(429),
    "an internal error": faults.refused(500),
    "unavailable": faults.refused(503),
    "expired credentials": faults.Fault(ends.Refused(403, "ExpiredTokenException", "injected")),
    "no response": faults.no_headers(),
    "a slow response": faults.slow_start(0.5),
    "a reset at once": faults.reset(),
    "a drop at once": faults.drop(),
    "GOAWAY at once": faults.go_away(),
    "the container closes": faults.model_stream_error(after_events=10),
    "the stream fails inside": faults.internal_stream_failure(after_events=10),
    "an early end": faults.early_end(after_events=10),
    "a reset in speech": faults.reset(after_events=10),
    "a drop in speech": faults.drop(after_events=10),
    "GOAWAY in speech": faults.go_away(after_events=10),
    "a stall in speech": faults.stall(after_events=10),
}


@pytest.fixture
async def stack(tmp_path: Path, redis_port: int) -> AsyncIterator[Stack]:
    async with standing(tmp_path, redis_port) as made:
        yield made


async def play(stack: Stack, *calls: Call, **settings: object) -> None:
    """Play calls at once, to their last words."""
    async with stack.gateway(**settings) as gateway, aiohttp.ClientSession() as http:
        port = stack.links[Link.CARRIER].port
        await asyncio.gather(*(Caller(call).play(http, port) for call in calls))
        await over(gateway)


async def test_sessions_fail_and_no_word_is_lost(tmp_path: Path, redis_port: int) -> None:
    """All at once, each on a stack of its own: they mostly wait."""

    async def account_after(name: str, fault: faults.Fault) -> Account:
        async with standing(tmp_path / name, redis_port) as stack:
            stack.endpoint.faults.inject(fault, streams=2)
            call = new_call()
            await play(stack, call)
        return await account_of(call, redis_port)

    accounts = await asyncio.gather(*(account_after(*trouble) for trouble in TROUBLES.items()))
    assert dict(zip(TROUBLES, accounts, strict=True)) == dict.fromkeys(TROUBLES, WHOLE)


async def test_connections_are_drained_in_mid_call(stack: Stack, redis_port: int) -> None:
    calls = [new_call(), new_call()]
    playing = asyncio.ensure_future(play(stack, *calls, rollover_soft_s=0.4))
    for _ in range(6):
        await asyncio.sleep(0.5)
        stack.endpoint.retire_connections()
    await playing
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE


async def test_one_stream_per_connection(stack: Stack, redis_port: int) -> None:
    stack.endpoint.faults.max_concurrent_streams = 1
    calls = [new_call() for _ in range(3)]
    await play(stack, *calls, rollover_soft_s=0.4)
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE


async def test_a_refusal_for_good_ends_the_call_at_once(stack: Stack, redis_port: int) -> None:
    stack.endpoint.faults.inject(faults.refused(403), streams=1)
    call = new_call()
    await play(stack, call)
    account = await account_of(call, redis_port)
    assert account.whole
    assert account.gap_ms == account.audio_ms < WHOLE.audio_ms
    assert await end_of(call, redis_port) == "failed access-denied"


async def test_there_are_no_credentials_for_a_while(
    stack: Stack, redis_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    call = new_call()
    playing = asyncio.ensure_future(play(stack, call))
    await asyncio.sleep(1.0)
    know_credentials(monkeypatch.setenv)
    await playing
    assert await account_of(call, redis_port) == WHOLE


async def test_an_engine_over_its_slots_is_mute_until_one_is_free(
    tmp_path: Path, redis_port: int
) -> None:
    """VLLM over max_num_seqs accepts a session, and answers nothing."""
    async with standing(tmp_path, redis_port, engine={"max_num_seqs": 1}) as stack:
        calls = [new_call(), new_call()]
        await play(stack, *calls)
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE
