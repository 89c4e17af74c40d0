"""Who call: each one call after another, held against its audio when it is over."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

import aiohttp
from redis.exceptions import RedisError

from cli import audit, events
from cli.callers.call import Call
from cli.callers.caller import Caller
from cli.callers.driver import place
from cli.callers.frames import FRAME_MS
from cli.callers.gateway import Gateway
from cli.errors import CommandError
from cli.wav import MULAW_SILENCE
from gateway.redis_client.client import RedisClient

_WARM_UP_MS: Final = 3000
_LENGTH_S: Final = (10.0, 90.0)
_HURRY: Final = 0.15  # of the callers hang up in the middle, without a word
_SPEECH_MS: Final = (500, 8000)
_PAUSE_MS: Final = (200, 3000)
_BETWEEN_S: Final = 1.0
_LATE_S: Final = 30.0  # a carrier's link may hold a call up so long
# From the hang-up until the last event: a gateway may wait for a pong, then for the last words.
_GRACE_S: Final = 90.0
_POLL_S: Final = 0.5


class Callers:
    """All of them together.

    Args:
        http: the client they call with.
        gateway: where to.
        caller: as which carrier.
        redis: where to read what came of a call.
        say: what to tell about calls that were not kept whole.

    Attributes:
        live: calls that are being made.
        calls: calls that the gateway has taken, over and accounted for.
        unclosed: of them, those whose last event never came.
        found: what became of the audio.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        gateway: Gateway,
        caller: Caller,
        redis: RedisClient,
        say: Callable[[str], None],
    ) -> None:
        self.live = 0
        self.calls = 0
        self.unclosed = 0
        self.found = audit.Account()
        self._http = http
        self._gateway = gateway
        self._caller = caller
        self._redis = redis
        self._say = say
        self._seeds = 0

    async def warm_up(self, count: int) -> None:
        """Make short calls, all at once: what they leave behind, later ones may as well.

        Raises:
            CommandError: one came to nothing.
        """
        await asyncio.gather(*(self._call(_WARM_UP_MS, None) for _ in range(count)))
        if self.calls != count or not self.found.whole:
            raise CommandError(f"of {count} first calls {self.calls} got through, {self.found}")
        self.calls, self.found = 0, audit.Account()

    async def call_on(self, until_s: float, chance: Random) -> None:
        """Make one call after another until a moment of the event loop's clock."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(chance.uniform(0, _LENGTH_S[0]))  # not all at the same moment
        while (left_s := until_s - loop.time()) >= _LENGTH_S[0]:
            length_s = chance.uniform(_LENGTH_S[0], min(left_s, _LENGTH_S[1]))
            hangs_up_s = length_s * chance.random() if chance.random() < _HURRY else None
            await self._call(int(length_s * 1000), hangs_up_s)
            await asyncio.sleep(_BETWEEN_S)

    async def _call(self, length_ms: int, hangs_up_s: float | None) -> None:
        self._seeds += 2
        seed = self._seeds
        call = Call(tracks(seed, length_ms))
        self.live += 1
        try:
            # It may not get through, or break off: such are the troubles.
            with contextlib.suppress(CommandError, TimeoutError):
                async with asyncio.timeout(hangs_up_s or length_ms / 1000 + _LATE_S):
                    await place(self._http, self._gateway, self._caller, call)
        finally:
            self.live -= 1
        call.tracks = {}  # they are made again when needed: until then only their seed is kept
        await self._account(call, seed, length_ms)

    async def _account(self, call: Call, seed: int, length_ms: int) -> None:
        """Hold a call's events against its audio."""
        story = await self._events(call.call_id)
        if not story:
            return  # it never got through to the gateway
        self.calls += 1
        if story[-1]["type"] != "stream.ended":
            self.unclosed += 1
        found = await asyncio.to_thread(
            lambda: audit.account(story, tracks(seed, length_ms), frame_ms=FRAME_MS)
        )
        if not found.whole:
            self._say(f"{call.call_id}: {found}")
        self.found += found

    async def _events(self, call_id: str) -> list[events.Event]:
        """Read a call that is over, as soon as its last event is there; or what is there then."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + _GRACE_S
        while True:
            with contextlib.suppress(RedisError, TimeoutError):  # such are the troubles
                if loop.time() > give_up_s or await events.has_ended(self._redis, call_id):
                    return await events.history(self._redis, call_id)
            await asyncio.sleep(_POLL_S)


def tracks(seed: int, length_ms: int) -> Mapping[str, bytes]:
    """Make a call's audio; the same of the same seed."""
    length_ms -= length_ms % FRAME_MS
    return {"inbound": speech(seed, length_ms), "outbound": speech(seed + 1, length_ms)}


def speech(seed: int, length_ms: int) -> bytes:
    """Make mu-law noise with pauses of digital silence, as two who take turns."""
    chance = Random(seed)  # noqa: S311 (the same each time is the point)
    audio = bytearray(audit.noise(seed, length_ms))
    at_ms = 0
    while at_ms < length_ms:
        at_ms += chance.randint(*_SPEECH_MS)
        pause_ms = min(chance.randint(*_PAUSE_MS), max(0, length_ms - at_ms))
        audio[8 * at_ms : 8 * (at_ms + pause_ms)] = MULAW_SILENCE * (8 * pause_ms)
        at_ms += pause_ms
    return bytes(audio)
