"""Helpers: make the calls of the fault tests, and read and check their events."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

from redis.asyncio import Redis

from cli import events
from cli.audit import Account, account
from cli.callers.call import Call
from gateway.app import Gateway
from gateway.upstream.dialects.registry import DialectName
from tests.faults.caller import CALL_MS, TRACK, speech_pause_speech
from tests.faults.stack import HOST

WHOLE: Final = Account(audio_ms=CALL_MS, transcribed_ms=CALL_MS)

type Published = Sequence[Mapping[str, str]]

_LIMIT_S: Final = 60.0
_seeds = count(1)


def new_call() -> Call:
    """Make a call with unique audio."""
    return Call({TRACK: speech_pause_speech(next(_seeds))})


async def until_idle(gateway: Gateway) -> None:
    """Wait until a gateway has no live stream and no pending words."""
    async with asyncio.timeout(_LIMIT_S):
        while gateway.streams.admitted:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


async def events_of(call: Call, redis_port: int) -> list[Mapping[str, str]]:
    """Read all events of a call."""
    async with Redis(host=HOST, port=redis_port, decode_responses=True) as redis:
        entries: Any = await redis.xrange(events.call_key(call.call_id))
    return [fields for _, fields in entries]


async def account_of(call: Call, redis_port: int) -> Account:
    """Account for a call's audio."""
    return account(await events_of(call, redis_port), call.tracks)


def account_as(dialect: DialectName, published: Published, call: Call) -> Account:
    """Account for a call's audio, as exactly as the times of the dialect's words are."""
    if dialect is DialectName.MISTRAL:  # only the times of finals are exact
        kept = [event for event in published if event["type"] != "transcript.delta"]
        numbered = [{**event, "n": str(n)} for n, event in enumerate(kept, start=1)]
        return replace(account(numbered, call.tracks), shed_deltas=0)
    return account(published, call.tracks, exact=dialect is DialectName.VOXTRAL)


async def end_of(call: Call, redis_port: int) -> str:
    """Return the status and reason of a call's last event."""
    last = (await events_of(call, redis_port))[-1]
    return f"{last.get('status')} {last.get('reason')}"
