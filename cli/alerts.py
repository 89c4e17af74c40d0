"""Reads the alerts that the worker `assist` raised in a call."""

import asyncio
import time
from typing import Final

from cli import events
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import encode_id, keys_in
from workers.client import read_event, reading
from workers.client.events import AssistAlert
from workers.client.ids import order
from workers.consumer import Group

_POLL_S: Final = 0.05


async def of_call(redis: RedisClient, call_id: str, *, wait_s: float) -> list[AssistAlert]:
    """Return the changes of a call's alerts, in order.

    Args:
        redis: the client.
        call_id: the carrier's call id.
        wait_s: how long to wait for the worker to handle the call's last event.
    """
    partition = await events.locate(redis, call_id)
    key = keys_in(partition, encode_id(call_id)).call
    await _until_handled(redis, key, Group("assist").lease_key(partition), wait_s)
    found = [
        read_event(entry.id, entry.fields)
        async for page in reading.pages(redis, f"{key}:alerts")
        for entry in page
    ]
    return [each for each in found if isinstance(each, AssistAlert)]


async def _until_handled(redis: RedisClient, key: str, lease: str, wait_s: float) -> None:
    last = await reading.last_id(redis, key)
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        position = await redis.hget(lease, "position")
        if position and order(reading.text(position)) >= order(last):
            return
        await asyncio.sleep(_POLL_S)
