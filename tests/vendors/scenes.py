"""Parts of calls that are played to servers of several vendors."""

import asyncio
from typing import Any, Final

from tests.vendors.calls import Caller
from tests.vendors.servers import LOST, VendorServer
from tests.vendors.words import music

_LOST_S: Final = (0.5, 3.3, 6.9, 8.4, 13.1, 19.7)
CONNECTIONS: Final = len(_LOST_S) + 1  # of `talk_over_lost_connections`
SOUNDS_MS: Final = ((2800, 3900), (34_400, 65_000), (67_600, 68_500))  # of `make_sounds`, roughly


async def talk_and_cough(caller: Caller) -> None:
    """Speak 30 words, with pauses, then cough."""
    await caller.pause(300)
    await caller.talk(((3, 700), (1, 2500), (12, 300), (14, 2000)))
    await caller.send(music(300))
    await caller.pause(9000)


async def make_sounds(caller: Caller) -> None:
    """Cough, play music for 30 s, and cough; speak before and after the music."""
    await caller.say(3)
    await caller.pause(2000)
    await caller.send(music(300))
    await caller.pause(30_000)
    await caller.say(3)
    await caller.send(music(30_000))
    await caller.say(3)
    await caller.pause(2000)
    await caller.send(music(300))


async def talk_over_lost_connections(caller: Caller, server: VendorServer[Any]) -> None:
    """Speak, and lose the connection six times, in words and in pauses."""
    for lost_s in _LOST_S:
        asyncio.get_running_loop().call_later(lost_s, server.end, LOST)
    await caller.talk(((7, 1500), (1, 600), (12, 3000), (15, 2000), (3, 0)))
