"""Requests for a wrap-up in mid-call, as the relay and `./run wrapup` write them.

A request is an entry of `cs:{pNN}:retry:<group>`, the stream of entries that the workers of a group
have to handle again: they read it beside the events, and delete each entry when it is handled.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.encode import rfc3339_ms
from workers.client import reading
from workers.wrapup.jobs import REQUESTED

_TIMEOUT_S: Final = 5.0
_CLOCK_MARGIN_S: Final = 10.0  # by which this clock may be ahead of that of Redis


async def is_served(client: RedisClient, group: str) -> bool:
    """Return whether a worker of a group runs, or crashed a moment ago.

    Raises:
        PublishError: Redis is unavailable or refuses the command.
    """
    now_ms = round((time.time() - _CLOCK_MARGIN_S) * 1000)
    key = f"cs:consumers:{group}"
    return bool(await execute(client, "ZCOUNT", key, now_ms, "+inf", timeout_s=_TIMEOUT_S))


async def is_waiting(client: RedisClient, group: str, tag: str, call_id: str) -> bool:
    """Return whether a request for a call is not done: no worker has read it, or one works on it.

    Args:
        client: from `create_client`.
        group: the workers that make it.
        tag: as in `write`.
        call_id: the call.

    Raises:
        PublishError: Redis is unavailable or refuses the command.
    """
    async for entries in reading.pages(client, f"{tag}retry:{group}"):
        if any(_is_request(each.fields, call_id) for each in entries):
            return True
    # An entry is deleted after its job was stored, and a job after its wrap-up was written.
    reply = await execute(client, "HGETALL", f"{tag}jobs:{group}", timeout_s=_TIMEOUT_S)
    keys = reply if isinstance(reply, dict) else reply[::2]
    wanted = f"{call_id} requested-".encode()
    return any((key if isinstance(key, bytes) else key.encode()).startswith(wanted) for key in keys)


def _is_request(fields: Mapping[str, str], call_id: str) -> bool:
    return fields.get("type") == REQUESTED and fields.get("call_id") == call_id


async def write(
    client: RedisClient, group: str, tag: str, call_id: str, tenant: str, requester: str
) -> str:
    """Request a wrap-up; return its id.

    Args:
        client: from `create_client`.
        group: the workers that make it.
        tag: the beginning of the keys of the call's partition, `cs:{pNN}:`.
        call_id: the call, as in events.
        tenant: whose call it is.
        requester: the process that requests it.

    Raises:
        PublishError: Redis is unavailable or refuses the command.
    """
    request = secrets.token_hex(8)
    fields = {
        "v": "1",
        "type": REQUESTED,
        "call_id": call_id,
        "stream_id": "-",
        "epoch": "0",
        "n": "0",
        "at": rfc3339_ms(time.time()),
        "gateway": requester,
        "tenant": tenant,
        "request": request,
    }
    flat = [text for pair in fields.items() for text in pair]
    key = f"{tag}retry:{group}"
    await execute(client, "XADD", key, "*", *flat, timeout_s=_TIMEOUT_S)
    return f"requested-{request}"
