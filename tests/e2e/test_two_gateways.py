"""Two streams of one call on different gateways are published to one call stream."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from cli import audit, events
from tests.e2e.test_drain import Call, running

LIMIT_S: Final = 30.0

type Event = Mapping[str, str]


async def read(redis_url: str, call_id: str, streams: int) -> dict[str, list[Event]]:
    """Read a call's events by stream until all streams have ended; check their numbers."""
    by_stream: dict[str, list[Event]] = defaultdict(list)
    live = streams
    async with events.connect(redis_url) as redis, asyncio.timeout(LIMIT_S):
        async for event in events.follow(redis, [events.call_key(call_id)]):
            published = by_stream[event["stream_id"]]
            published.append(event)
            assert int(event["n"]) == len(published)
            live -= event["type"] == "stream.ended"
            if not live:
                return by_stream
    raise AssertionError("a stream has no end")


async def test_the_tracks_of_a_call_on_two_gateways_are_complete(redis_url: str) -> None:
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
        by_stream = await read(redis_url, "CA1", 2)
    calls: dict[str, tuple[str, Call]] = {
        "MZ-customer": ("inbound", customer),
        "MZ-agent": ("outbound", agent),
    }
    assert by_stream.keys() == calls.keys()
    for stream_id, (track, call) in calls.items():
        length_ms = len(call.audio) // 8
        found = audit.account(by_stream[stream_id], {track: call.audio})
        assert found == audit.Account(length_ms, length_ms)
    gateways = {
        stream_id: {event["gateway"] for event in published}
        for stream_id, published in by_stream.items()
    }
    assert not gateways["MZ-customer"] & gateways["MZ-agent"]
