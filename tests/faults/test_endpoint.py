"""Calls survive faults of the endpoint and the engine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from cli.audit import Account
from cli.callers.call import Call
from deploy.local.sagemaker import ends, faults
from tests.faults.caller import Caller
from tests.faults.calls import WHOLE, account_of, end_of, new_call, until_idle
from tests.faults.stack import Link, Stack, running_stack, set_credentials

# Each fault is injected into the first two sessions of a call.
FAULTS = {
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
    async with running_stack(tmp_path, redis_port) as made:
        yield made


async def play(stack: Stack, *calls: Call, **settings: object) -> None:
    """Play calls at once, and wait until all words are published."""
    async with stack.gateway(**settings) as gateway, aiohttp.ClientSession() as http:
        port = stack.links[Link.CARRIER].port
        await asyncio.gather(*(Caller(call).play(http, port) for call in calls))
        await until_idle(gateway)


async def test_failing_sessions_lose_no_word(tmp_path: Path, redis_port: int) -> None:
    """All faults are tested at once, each on a separate stack, because the calls mostly wait."""

    async def account_with(name: str, fault: faults.Fault) -> Account:
        async with running_stack(tmp_path / name, redis_port) as stack:
            stack.endpoint.faults.inject(fault, streams=2)
            call = new_call()
            await play(stack, call)
        return await account_of(call, redis_port)

    accounts = await asyncio.gather(*(account_with(*item) for item in FAULTS.items()))
    assert dict(zip(FAULTS, accounts, strict=True)) == dict.fromkeys(FAULTS, WHOLE)


async def test_drained_connections_lose_no_word(stack: Stack, redis_port: int) -> None:
    calls = [new_call(), new_call()]
    playing = asyncio.ensure_future(play(stack, *calls, rollover_soft_s=0.4))
    for _ in range(6):
        await asyncio.sleep(0.5)
        stack.endpoint.retire_connections()
    await playing
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE


async def test_one_stream_per_connection_is_sufficient(stack: Stack, redis_port: int) -> None:
    stack.endpoint.faults.max_concurrent_streams = 1
    calls = [new_call() for _ in range(3)]
    await play(stack, *calls, rollover_soft_s=0.4)
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE


async def test_a_permanent_refusal_ends_the_call_at_once(stack: Stack, redis_port: int) -> None:
    stack.endpoint.faults.inject(faults.refused(403), streams=1)
    call = new_call()
    await play(stack, call)
    account = await account_of(call, redis_port)
    assert account.whole
    assert account.gap_ms == account.audio_ms < WHOLE.audio_ms
    assert await end_of(call, redis_port) == "failed access-denied"


async def test_credentials_that_appear_late_lose_no_word(
    stack: Stack, redis_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    call = new_call()
    playing = asyncio.ensure_future(play(stack, call))
    await asyncio.sleep(1.0)
    set_credentials(monkeypatch.setenv)
    await playing
    assert await account_of(call, redis_port) == WHOLE


async def test_waiting_for_a_free_engine_slot_loses_no_word(
    tmp_path: Path, redis_port: int
) -> None:
    """VLLM accepts sessions above max_num_seqs but sends no deltas until a slot is free."""
    async with running_stack(tmp_path, redis_port, engine={"max_num_seqs": 1}) as stack:
        calls = [new_call(), new_call()]
        await play(stack, *calls)
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE


@pytest.mark.parametrize("coalesce_ms", [1, 400, 1000])
async def test_combined_deltas_lose_no_word_and_keep_their_times(
    tmp_path: Path, redis_port: int, coalesce_ms: int
) -> None:
    async with running_stack(tmp_path, redis_port) as stack:
        call = new_call()
        await play(stack, call, coalesce_ms=coalesce_ms)
    assert await account_of(call, redis_port) == WHOLE


async def test_waiting_for_a_free_container_loses_no_word(tmp_path: Path, redis_port: int) -> None:
    """The bridge refuses a session above its limit, and the gateway tries again."""
    async with running_stack(tmp_path, redis_port, bridge={"max_sessions": 1}) as stack:
        calls = [new_call(), new_call()]
        with capture_logs() as logs:
            await play(stack, *calls)
    for call in calls:
        assert await account_of(call, redis_port) == WHOLE
    assert {line.get("reason") for line in logs if line["event"] == "upstream-failing"} == {
        "model-at-capacity"
    }
    assert not [line for line in logs if line["event"] == "breaker-opened"]
