"""Which endpoints are disabled: one state per subscription, shared by all workers.

    cs:push:endpoint:<subscription>   hash  failing_since, disabled, delivered (Unix ms), why,
                                            since: from when it gets events (Unix ms)

An endpoint that fails for `disable_after_s` without a success is disabled, and one that responds
with 410 at once. Then its messages wait, until an operator enables it (`./run push enable`).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import Command, drop_connections, exchange, execute
from gateway.redis_client.errors import classify

_TIMEOUT_S: Final = 5.0
_STARTING_MS: Final = 60_000  # as in acquire.lua; the clocks of a cluster's nodes differ by less
# A subscription that has delivered or failed was there before `since` was.
_SINCE: Final = """
local since = redis.call('HGET', KEYS[1], 'since')
if not since then
  local is_known = #redis.call('HGETALL', KEYS[1]) > 0
  local now_ms = redis.call('TIME')[1] * 1000
  since = string.format('%.0f', is_known and 0 or now_ms - ARGV[1])
  redis.call('HSET', KEYS[1], 'since', since)
end
return since
"""
_DELIVERED_EVERY_MS: Final = 5000  # how exactly the time of the last delivery is stored


class EndpointState(NamedTuple):
    """What is known about an endpoint; times in Unix ms."""

    failing_since: int | None = None
    disabled: int | None = None
    why: str = ""
    delivered: int | None = None


class EndpointStates:
    """Reads and writes the states of endpoints.

    Every method raises `PublishError` if Redis is unavailable or refuses the command.

    Args:
        client: from `create_client`.
        subscriptions: their ids.
    """

    def __init__(self, client: RedisClient, subscriptions: Sequence[str]) -> None:
        self._client = client
        self._subscriptions = list(subscriptions)
        self._states = dict.fromkeys(self._subscriptions, EndpointState())
        self._since: dict[str, int] = {}

    def __getitem__(self, subscription: str) -> EndpointState:
        """Return a state as it was when it was read last."""
        return self._states[subscription]

    async def read(self) -> Mapping[str, EndpointState]:
        """Read all states."""
        commands: list[Command] = [("HGETALL", _key(each)) for each in self._subscriptions]
        replies = await exchange(self._client, commands, _TIMEOUT_S, key_at=1)
        for subscription, reply in zip(self._subscriptions, replies, strict=True):
            if isinstance(reply, Exception):
                await drop_connections(self._client)
                raise classify(reply)
            self._states[subscription] = _state(reply)
        return self._states

    async def since(self) -> Mapping[str, int]:
        """Return from when each subscription gets events, in Unix ms: about when it was new."""
        for each in self._subscriptions:
            if each not in self._since:
                reply = await self._execute("EVAL", _SINCE, 1, _key(each), _STARTING_MS)
                self._since[each] = int(reply)
        return self._since

    async def note_delivered(self, subscription: str) -> None:
        """Record a success."""
        state, now_ms = self._states[subscription], _now_ms()
        is_recent = now_ms - (state.delivered or 0) < _DELIVERED_EVERY_MS
        if is_recent and state.failing_since is None:
            return
        await self._execute("HDEL", _key(subscription), "failing_since")
        await self._execute("HSET", _key(subscription), "delivered", now_ms)
        self._states[subscription] = state._replace(failing_since=None, delivered=now_ms)

    async def note_failed(self, subscription: str) -> EndpointState:
        """Record a failure; return the state after it."""
        state = self._states[subscription]
        if state.failing_since is None:
            key, now_ms = _key(subscription), _now_ms()
            await self._execute("HSETNX", key, "failing_since", now_ms)
            since = await self._execute("HGET", key, "failing_since")
            state = state._replace(failing_since=int(since) if since else now_ms)
            self._states[subscription] = state
        return state

    async def disable(self, subscription: str, why: str) -> None:
        """Disable an endpoint."""
        now_ms = _now_ms()
        await self._execute("HSET", _key(subscription), "disabled", now_ms, "why", why)
        self._states[subscription] = self._states[subscription]._replace(disabled=now_ms, why=why)

    async def enable(self, subscription: str) -> None:
        """Enable an endpoint, as if it had not failed."""
        await self._execute("HDEL", _key(subscription), "disabled", "why", "failing_since")

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any reply of Redis
        return await execute(self._client, *command, timeout_s=_TIMEOUT_S)


def _key(subscription: str) -> str:
    return f"cs:push:endpoint:{subscription}"


def _now_ms() -> int:
    return round(time.time() * 1000)


def _state(reply: Any) -> EndpointState:  # noqa: ANN401 - the reply's form depends on the client
    flat = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    fields = {name.decode(): value.decode() for name, value in flat.items()}

    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    return EndpointState(
        number("failing_since"), number("disabled"), fields.get("why", ""), number("delivered")
    )
