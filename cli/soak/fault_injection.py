"""Injects random faults into the gateway's surroundings, one at a time.

Only faults that the gateway must survive: none loses data that was acknowledged, and neither the
gateway nor Redis is killed. Each fault ends by itself: links are healed, stopped processes continue
and crashed ones are restarted.
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

_QUIET_S: Final = (0.5, 6.0)  # between two faults
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
# On the carrier's link, calls survive only these; the others end all calls at once, so are rare.
_DELAYS: Final = (Delay, Throttle, Freeze)
_RARE: Final = 0.1
_PROCESS_WEIGHT: Final = 3.0  # there are fewer faults of processes than of links
_STOPPABLE: Final = ("engine", "bridge", "endpoint")
# Not the endpoint: it would restart with another CA, unlike a real one.
_CRASHING: Final = ("engine", "bridge")

type Injection = Callable[[float], Awaitable[None]]  # receives the duration in seconds


class Link(StrEnum):
    """A network link on the path of the audio."""

    CARRIER = "carrier-gateway"
    ENDPOINT = "gateway-endpoint"
    BRIDGE = "endpoint-bridge"
    ENGINE = "bridge-engine"
    REDIS = "gateway-redis"


class FaultInjector:
    """Injects faults.

    Args:
        stack: the stack whose processes are stopped and killed.
        links: the proxy of each link.
        redis: a client with a single connection, which its own CLIENT KILL spares.
        chance: determines the faults and their times.

    Attributes:
        count: the number of faults so far.
        newest: a description of the last fault.
    """

    def __init__(
        self, stack: Stack, links: Mapping[Link, FaultProxy], redis: RedisClient, chance: Random
    ) -> None:
        self.count = 0
        self.newest = "none"
        self._stack = stack
        self._redis = redis
        self._chance = chance
        self._all: dict[str, tuple[float, Injection]] = {  # weight and function
            "redis cuts its clients": (_PROCESS_WEIGHT, self._cut_redis),
            "redis pauses": (_PROCESS_WEIGHT, self._pause_redis),
        }
        for link, proxy in links.items():
            for fault in _FAULTS:
                is_rare = link is Link.CARRIER and not isinstance(fault, _DELAYS)
                weight = _RARE if is_rare else 1.0
                self._all[f"{link} {fault}"] = weight, partial(self._break, proxy, fault)
        for part in _STOPPABLE:
            self._all[f"{part} stops"] = _PROCESS_WEIGHT, partial(self._stop, part)
        for part in _CRASHING:
            self._all[f"{part} crashes"] = _PROCESS_WEIGHT, partial(self._crash, part)

    async def run(self, until_s: float) -> None:
        """Inject faults until `until_s` on the event loop's clock; the last one ends before it."""
        names, weights = list(self._all), [weight for weight, _ in self._all.values()]
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._chance.uniform(*_QUIET_S))
            if loop.time() + _HOLD_S[1] > until_s:
                return
            (self.newest,) = self._chance.choices(names, weights)
            self.count += 1
            _, inject = self._all[self.newest]
            await inject(self._chance.uniform(*_HOLD_S))

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
