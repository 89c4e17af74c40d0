"""A call of each carrier through every process of the path: each sample arrives once, in its place.

The model is the checksum engine: delta k is the CRC-32 of the kth 80 ms that reached it.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from cli import audit, events
from cli.callers.call import Call
from cli.callers.driver import place
from cli.callers.gateway import Gateway
from cli.callers.registry import CALLERS
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL_MS: Final = 2000
LIMIT_S: Final = 30.0
SOCKETS: Final = {"asterisk": 2, "vonage": 2, "browser": 2, "cxone": 2}  # of one call; others: 1
CALLER_ONLY: Final = {"exotel"}  # the agent is not heard

type Story = Mapping[str, list[Any]]  # a call's events by stream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> Mapping[str, tuple[Call, Story]]:
    """What came of a call of each carrier, all placed at once."""
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    async with local.running(settings) as stack:
        played = (play(stack, name, seed) for seed, name in enumerate(CALLERS))
        return dict(zip(CALLERS, await asyncio.gather(*played), strict=True))


async def play(stack: local.Stack, carrier: str, seed: int) -> tuple[Call, Story]:
    """Place one call and read its events up to the end of its last stream."""
    call = Call(
        {
            "inbound": audit.noise(2 * seed, CALL_MS),
            "outbound": audit.noise(2 * seed + 1, CALL_MS),
        }
    )
    async with aiohttp.ClientSession() as http:
        caller = CALLERS[carrier](CREDENTIALS)
        await place(http, Gateway(stack.media_url, stack.public_url), caller, call)
    story, live = defaultdict(list), SOCKETS.get(carrier, 1)
    async with events.connect(stack.redis_url) as redis, asyncio.timeout(LIMIT_S):
        async for event in events.follow(redis, [events.call_key(call.call_id)]):
            story[event["stream_id"]].append(event)
            live -= event["type"] == "stream.ended"
            if not live:
                break
    return call, story


def roles(carrier: str) -> Mapping[str, str]:
    """Who is heard, and on which of the recordings' tracks."""
    caller_alone = {"inbound": "customer"}
    return caller_alone if carrier in CALLER_ONLY else caller_alone | {"outbound": "agent"}


@pytest.mark.parametrize("carrier", CALLERS)
async def test_every_sample_arrives_once_in_order_and_in_its_place(
    played: Mapping[str, tuple[Call, Story]], carrier: str
) -> None:
    call, story = played[carrier]
    caller = CALLERS[carrier](CREDENTIALS)
    sent = {caller.label(track): call.tracks[track] for track in roles(carrier)}
    assert call.refused_with is None
    assert len(story) == SOCKETS.get(carrier, 1)
    for told in story.values():
        names = [described["track"] for described in json.loads(told[0]["tracks"])]
        tracks = {name: sent.pop(name) for name in names}
        assert (told[0]["type"], told[-1]["type"]) == ("stream.started", "stream.ended")
        assert (told[0]["carrier"], told[-1]["status"]) == (carrier, "completed")
        audio_ms = CALL_MS * len(tracks)
        assert audit.account(told, tracks) == audit.Account(audio_ms, audio_ms)
    assert sent == {}, "not all tracks were heard"


@pytest.mark.parametrize("carrier", CALLERS)
async def test_who_speaks_is_known(played: Mapping[str, tuple[Call, Story]], carrier: str) -> None:
    """The customer is `inbound` of the recordings, whatever the carrier calls that track."""
    _, story = played[carrier]
    caller = CALLERS[carrier](CREDENTIALS)
    told_roles = {
        described["track"]: described["role"]
        for told in story.values()
        for described in json.loads(told[0]["tracks"])
    }
    assert told_roles == {caller.label(track): role for track, role in roles(carrier).items()}
