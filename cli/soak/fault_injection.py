"""What befalls a gateway's surroundings: one thing after another, each for a while, at random.

Only what the gateway promises to survive: nothing here loses data that it was told is safe, and
nobody kills the gateway or Redis. Each trouble is over when it says so: links are healed, processes
go on.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from functools import partial
from random import Random
from typing import Final

from deploy.local.proxy import (
    BlackHole,
    Delay,
    Fault,
    FaultProxy,
    Freeze,
    Refuse,
    Reset,
    Throttle,
    Truncate,
)
from deploy.local.stack import Stack
from gateway.redis_client.client import RedisClient

_QUIET_S: Final = (0.5, 6.0)  # between two
_HOLD_S: Final = (0.2, 4.0)
_FAULTS: Final[tuple[Fault, ...]] = (
    Delay(0.05),
    Delay(0.5),
    Throttle(50_000),
    Freeze(),
    BlackHole(),
    Reset(),
    Truncate(),
    Refuse(),
)
# Of a carrier's link a call survives these; the others end all calls at once, so they are rare.
_LATE: Final = (Delay, Throttle, Freeze)
_RARE: Final = 0.1
_OF_A_PART: Final = 3.0  # there are fewer of them than faults of links
_STOPPABLE: Final = ("engine", "bridge", "endpoint")
# Not the endpoint: it would come back with another CA, which no real one does.
_CRASHING: Final = ("engine", "bridge")

type Trouble = Callable[[float], Awaitable[None]]  # for how long, in seconds


class Link(StrEnum):
    """Two neighbours on the path."""

    CARRIER = "carrier-gateway"
    ENDPOINT = "gateway-endpoint"
    BRIDGE = "endpoint-bridge"
    ENGINE = "bridge-engine"
    REDIS = "gateway-redis"


class Troubles:
    """Makes them.

    Args:
        stack: whose parts are stopped and killed.
        links: the proxies between them.
        redis: a client of a single connection, which its own CLIENT KILL spares.
        chance: what happens when.

    Attributes:
        count: how many there were.
        newest: which was the last one.
    """

    def __init__(
        self, stack: Stack, links: Mapping[Link, FaultProxy], redis: RedisClient, chance: Random
    ) -> None:
        self.count = 0
        self.newest = "none"
        self._stack = stack
        self._redis = redis
        self._chance = chance
        self._all: dict[str, tuple[float, Trouble]] = {  # how likely, and what
            "redis cuts its clients": (_OF_A_PART, self._cut_redis),
            "redis pauses": (_OF_A_PART, self._pause_redis),
        }
        for link, proxy in links.items():
            for fault in _FAULTS:
                is_rare = link is Link.CARRIER and not isinstance(fault, _LATE)
                weight = _RARE if is_rare else 1.0
                self._all[f"{link} {fault}"] = weight, partial(self._break, proxy, fault)
        for part in _STOPPABLE:
            self._all[f"{part} stops"] = _OF_A_PART, partial(self._stop, part)
        for part in _CRASHING:
            self._all[f"{part} crashes"] = _OF_A_PART, partial(self._crash, part)

    async def run(self, until_s: float) -> None:
        """Make trouble until a moment of the event loop's clock; the last one is over then."""
        names, weights = list(self._all), [weight for weight, _ in self._all.values()]
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._chance.uniform(*_QUIET_S))
            if loop.time() + _HOLD_S[1] > until_s:
                return
            (self.newest,) = self._chance.choices(names, weights)
            self.count += 1
            _, trouble = self._all[self.newest]
            await trouble(self._chance.uniform(*_HOLD_S))

    async def _break(self, proxy: FaultProxy, fault: Fault, seconds: float) -> None:
        proxy.apply(fault)
        try:
            await asyncio.sleep(seconds)
        finally:
            proxy.heal()

    async def _stop(self, part: str, seconds: float) -> None:
        pid = self._stack.parts[part].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _crash(self, part: str, _: float) -> None:
        await self._stack.crash(part)

    async def _cut_redis(self, _: float) -> None:
        await self._redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def _pause_redis(self, seconds: float) -> None:
        await self._redis.execute_command("CLIENT", "PAUSE", round(seconds * 1000), "ALL")
        await asyncio.sleep(seconds)
