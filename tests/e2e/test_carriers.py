"""A call of each carrier through all processes: each sample arrives once, at its position.

The model is the checksum engine: delta k is the CRC-32 of the kth 80 ms that it received.
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
SOCKETS: Final = {
    "asterisk": 2,
    "vonage": 2,
    "browser": 2,
    "cxone": 2,
}  # sockets per call; other carriers: 1
CALLER_ONLY: Final = {"exotel"}  # the agent's audio is not sent

type EventsByStream = Mapping[str, list[Any]]  # a call's events by stream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> Mapping[str, tuple[Call, EventsByStream]]:
    """Play a call of each carrier, all at once; return the calls and their events."""
    settings = local.StackSettings(ports=local.Ports.free(), engine_model="checksum")
    async with local.running(settings) as stack:
        played = (play(stack, name, seed) for seed, name in enumerate(CALLERS))
        return dict(zip(CALLERS, await asyncio.gather(*played), strict=True))


async def play(stack: local.Stack, carrier: str, seed: int) -> tuple[Call, EventsByStream]:
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
    streams, live = defaultdict(list), SOCKETS.get(carrier, 1)
    async with events.connect(stack.redis_url) as redis, asyncio.timeout(LIMIT_S):
        async for event in events.follow(redis, [events.call_key(call.call_id)]):
            streams[event["stream_id"]].append(event)
            live -= event["type"] == "stream.ended"
            if not live:
                break
    return call, streams


def roles(carrier: str) -> Mapping[str, str]:
    """Return the roles of the recordings' tracks that a carrier sends."""
    caller_alone = {"inbound": "customer"}
    return caller_alone if carrier in CALLER_ONLY else caller_alone | {"outbound": "agent"}


@pytest.mark.parametrize("carrier", CALLERS)
async def test_every_sample_arrives_once_in_order_at_its_position(
    played: Mapping[str, tuple[Call, EventsByStream]], carrier: str
) -> None:
    call, streams = played[carrier]
    caller = CALLERS[carrier](CREDENTIALS)
    sent = {caller.label(track): call.tracks[track] for track in roles(carrier)}
    assert call.refused_with is None
    assert len(streams) == SOCKETS.get(carrier, 1)
    for published in streams.values():
        names = [described["track"] for described in json.loads(published[0]["tracks"])]
        tracks = {name: sent.pop(name) for name in names}
        assert (published[0]["type"], published[-1]["type"]) == ("stream.started", "stream.ended")
        assert (published[0]["carrier"], published[-1]["status"]) == (carrier, "completed")
        audio_ms = CALL_MS * len(tracks)
        assert audit.account(published, tracks) == audit.Account(audio_ms, audio_ms)
    assert sent == {}, "not all tracks were sent"


@pytest.mark.parametrize("carrier", CALLERS)
async def test_tracks_have_roles(
    played: Mapping[str, tuple[Call, EventsByStream]], carrier: str
) -> None:
    """The recordings' `inbound` is the customer, whatever name the carrier uses for the track."""
    _, streams = played[carrier]
    caller = CALLERS[carrier](CREDENTIALS)
    published_roles = {
        described["track"]: described["role"]
        for published in streams.values()
        for described in json.loads(published[0]["tracks"])
    }
    assert published_roles == {caller.label(track): role for track, role in roles(carrier).items()}
