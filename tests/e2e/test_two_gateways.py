"""Two streams of one call, each on a gateway of its own: one record."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from cli import audit, events
from tests.e2e.test_drain import Call, running

LIMIT_S: Final = 30.0

type Event = Mapping[str, str]


async def read(redis_url: str, call_id: str, streams: int) -> dict[str, list[Event]]:
    """Read a call's events by stream, up to the end of the last one; and check their numbers."""
    story: dict[str, list[Event]] = defaultdict(list)
    live = streams
    async with events.connect(redis_url) as redis, asyncio.timeout(LIMIT_S):
        async for event in events.follow(redis, [events.call_key(call_id)]):
            told = story[event["stream_id"]]
            told.append(event)
            assert int(event["n"]) == len(told)
            live -= event["type"] == "stream.ended"
            if not live:
                return story
    raise AssertionError("it has no end")


async def test_the_customer_here_and_the_agent_there(redis_url: str) -> None:
    async with running(redis_url) as here, running(redis_url) as there:
        customer = await here.call("CA1", "MZ-customer", "inbound")
        agent = await there.call("CA1", "MZ-agent", "outbound")
        for _ in range(5):
            await asyncio.gather(customer.speak(200), agent.speak(160))
        await customer.send("stop")
        assert await customer.closed() == 1000
        await agent.speak(400)
        await agent.send("stop")
        assert await agent.closed() == 1000
        story = await read(redis_url, "CA1", 2)
    spoken: dict[str, tuple[str, Call]] = {
        "MZ-customer": ("inbound", customer),
        "MZ-agent": ("outbound", agent),
    }
    assert story.keys() == spoken.keys()
    for stream_id, (track, call) in spoken.items():
        length_ms = len(call.audio) // 8
        found = audit.account(story[stream_id], {track: call.audio})
        assert found == audit.Account(length_ms, length_ms)
    gateways = {
        stream_id: {event["gateway"] for event in told} for stream_id, told in story.items()
    }
    assert not gateways["MZ-customer"] & gateways["MZ-agent"]
