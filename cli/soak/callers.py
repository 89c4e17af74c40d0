"""Callers that play one call after another; each call is audited when it has ended."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

import aiohttp
from redis.exceptions import RedisError

from cli import audit, events
from cli.callers.call import MULAW_SILENCE, Call
from cli.callers.caller import Caller
from cli.callers.driver import place
from cli.callers.frames import FRAME_MS
from cli.callers.gateway import Gateway
from cli.errors import CommandError
from gateway.redis_client.client import RedisClient

_WARM_UP_MS: Final = 3000
_LENGTH_S: Final = (10.0, 90.0)
_EARLY_HANG_UP: Final = 0.15  # share of calls whose socket is closed early, without a stop
_SPEECH_MS: Final = (500, 8000)
_PAUSE_MS: Final = (200, 3000)
_BETWEEN_S: Final = 1.0
_LATE_S: Final = 30.0  # longest delay of a call by faults of the carrier's link
# From the hang-up to the last event: a gateway may wait for a pong, then for final transcripts.
_GRACE_S: Final = 90.0
_POLL_S: Final = 0.5


class Callers:
    """Plays calls and sums up their audits.

    Args:
        http: the client to call with.
        gateway: the gateway to call.
        caller: the carrier to play.
        redis: the Redis with the calls' events.
        report: called with a line for each call that fails its audit.

    Attributes:
        live: calls in progress.
        calls: calls that the gateway accepted and that were audited after their end.
        unclosed: those of `calls` that have no final event.
        found: the sum of all audits.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        gateway: Gateway,
        caller: Caller,
        redis: RedisClient,
        report: Callable[[str], None],
    ) -> None:
        self.live = 0
        self.calls = 0
        self.unclosed = 0
        self.found = audit.Account()
        self._http = http
        self._gateway = gateway
        self._caller = caller
        self._redis = redis
        self._report = report
        self._seeds = 0

    async def warm_up(self, count: int) -> None:
        """Play `count` short calls at once, so that the gateway fills its caches.

        Raises:
            CommandError: a call failed.
        """
        await asyncio.gather(*(self._call(_WARM_UP_MS, None) for _ in range(count)))
        if self.calls != count or not self.found.whole:
            raise CommandError(
                f"of {count} warm-up calls, {self.calls} were accepted: {self.found}"
            )
        self.calls, self.found = 0, audit.Account()

    async def call_on(self, until_s: float, chance: Random) -> None:
        """Play one call after another until `until_s` on the event loop's clock."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(chance.uniform(0, _LENGTH_S[0]))  # calls must not start together
        while (left_s := until_s - loop.time()) >= _LENGTH_S[0]:
            length_s = chance.uniform(_LENGTH_S[0], min(left_s, _LENGTH_S[1]))
            hangs_up_s = length_s * chance.random() if chance.random() < _EARLY_HANG_UP else None
            await self._call(int(length_s * 1000), hangs_up_s)
            await asyncio.sleep(_BETWEEN_S)

    async def _call(self, length_ms: int, hangs_up_s: float | None) -> None:
        self._seeds += 2
        seed = self._seeds
        call = Call(tracks(seed, length_ms))
        self.live += 1
        try:
            # Injected faults may prevent the call or break it off.
            with contextlib.suppress(CommandError, TimeoutError):
                async with asyncio.timeout(hangs_up_s or length_ms / 1000 + _LATE_S):
                    await place(self._http, self._gateway, self._caller, call)
        finally:
            self.live -= 1
        call.tracks = {}  # saves memory; the audit generates them again from the seed
        await self._account(call, seed, length_ms)

    async def _account(self, call: Call, seed: int, length_ms: int) -> None:
        """Audit a call that has ended."""
        call_events = await self._events(call.call_id)
        if not call_events:
            return  # the gateway did not receive it
        self.calls += 1
        if call_events[-1]["type"] != "stream.ended":
            self.unclosed += 1
        found = await asyncio.to_thread(
            lambda: audit.account(call_events, tracks(seed, length_ms), frame_ms=FRAME_MS)
        )
        if not found.whole:
            self._report(f"{call.call_id}: {found}")
        self.found += found

    async def _events(self, call_id: str) -> list[events.Event]:
        """Return a call's events once its final event is written, or after the grace period."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _GRACE_S
        while True:
            with contextlib.suppress(RedisError, TimeoutError):  # an injected fault; retry
                if loop.time() > deadline_s or await events.has_ended(self._redis, call_id):
                    return await events.history(self._redis, call_id)
            await asyncio.sleep(_POLL_S)


def tracks(seed: int, length_ms: int) -> Mapping[str, bytes]:
    """Return a call's audio, which the seed determines."""
    length_ms -= length_ms % FRAME_MS
    return {"inbound": speech(seed, length_ms), "outbound": speech(seed + 1, length_ms)}


def speech(seed: int, length_ms: int) -> bytes:
    """Return mu-law noise with pauses of digital silence, like one party of a conversation."""
    chance = Random(seed)  # noqa: S311 (must be reproducible)
    audio = bytearray(audit.noise(seed, length_ms))
    at_ms = 0
    while at_ms < length_ms:
        at_ms += chance.randint(*_SPEECH_MS)
        pause_ms = min(chance.randint(*_PAUSE_MS), max(0, length_ms - at_ms))
        audio[8 * at_ms : 8 * (at_ms + pause_ms)] = MULAW_SILENCE * (8 * pause_ms)
        at_ms += pause_ms
    return bytes(audio)
