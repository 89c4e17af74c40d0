"""The relay on a real server: no message names a call outside of a viewer's scope."""

import contextlib

import pytest

from gateway.redis_client.client import create_client
from tests.workers.relay.a_relay import Calls, link_token, running, viewer
from workers.relay.call_summary import CallState
from workers.relay.channel import Channel
from workers.relay.sign_in.viewer import Scope

_ROUTE_A = Scope(call_id=None, route="a", tenant=None)


async def test_end_of_a_call_outside_of_the_scope_is_not_announced(redis_url: str) -> None:
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)
        async with (
            running(redis_url, ended_s=1) as relay,
            viewer(relay, link_token(_ROUTE_A)) as ann,
            ann.open("/api/calls/live") as feed,
        ):
            await feed.take(1)
            for call, route in (("CA2", "b"), ("CA1", "a")):
                await calls.start(call, route=route)
                await calls.end(call)
            received = await feed.take(1)
            while received[-1].name != "gone":
                received += await feed.take(1)
            assert {each.data["call_id"] for each in received} == {"CA1"}


async def test_call_that_begins_outside_of_the_scope_while_it_is_opened_is_not_shown(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Channel.find
    opened = 0
    async with contextlib.aclosing(create_client(redis_url)) as client:
        calls = Calls(client)

        async def find_then_begin(channel: Channel, call_id: str) -> CallState | None:
            nonlocal opened
            found = await find(channel, call_id)
            opened += 1
            if opened == 1:  # after the request was checked, before its feed begins
                await calls.start("CA9", route="b")
                await calls.say("CA9", "secret")
            return found

        monkeypatch.setattr(Channel, "find", find_then_begin)
        async with (
            running(redis_url) as relay,
            viewer(relay, link_token(_ROUTE_A)) as ann,
            ann.open("/api/calls/CA9/events") as feed,
        ):
            assert await feed.take(1) == []
