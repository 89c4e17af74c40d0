"""A carrier that plays one call of one track, and says how far it is."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from cli.audit import noise
from cli.callers import twilio
from cli.callers.call import Call
from cli.callers.frames import FRAME_MS

TRACK: Final = "inbound"
SPEECH_MS: Final = 1600
PAUSE_MS: Final = 3600  # two looks for a place to roll over in: they are a second apart
CALL_MS: Final = 2 * SPEECH_MS + PAUSE_MS
PACE: Final = 2.0  # times real time

_SILENCE: Final = b"\xff"  # mu-law for 0
_SLACK_S: Final = 5.0
_CLOSE_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=0.5)


def speech_pause_speech(seed: int) -> bytes:
    """Make the mu-law audio of a call: noise no other seed gives, with digital silence in it."""
    sound = noise(seed, 2 * SPEECH_MS)
    pause = _SILENCE * (8 * PAUSE_MS)
    return sound[: 8 * SPEECH_MS] + pause + sound[8 * SPEECH_MS :]


@dataclass
class Caller:
    """Plays a call to its end, or to the end of the connection.

    Attributes:
        call: what to play.
        pace: times real time.
        spoke: audio has been sent up to the middle of the first speech.
        paused: up to the middle of the pause.
    """

    call: Call
    pace: float = PACE
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    paused: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, http: aiohttp.ClientSession, port: int) -> bool:
        """Play it; a connection that breaks is the end, as it is for Twilio.

        Returns:
            Whether the gateway accepted the stream.
        """
        accepted = False
        url = f"ws://127.0.0.1:{port}/media/twilio"
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(2 * self._length_s + _SLACK_S):
                async with http.ws_connect(url, timeout=_CLOSE_TIMEOUT) as socket:
                    accepted = True
                    reading = asyncio.ensure_future(_read_to_end(socket))
                    try:
                        await self._talk(socket)
                    finally:
                        reading.cancel()
        return accepted

    @property
    def _length_s(self) -> float:
        return max(map(len, self.call.tracks.values())) / 8000 / self.pace

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        dialogue = twilio.dialogue(self.call, {})
        for text in dialogue.opening():
            await socket.send_str(text)
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        for tick, group in enumerate(dialogue.media()):
            await asyncio.sleep(begin_s + tick * FRAME_MS / 1000 / self.pace - loop.time())
            for text in group:
                await socket.send_str(text)
            self.call.frames += len(group)
            self._say_how_far((tick + 1) * FRAME_MS)
        for text in dialogue.closing():
            await socket.send_str(text)

    def _say_how_far(self, sent_ms: int) -> None:
        if sent_ms == SPEECH_MS // 2:
            self.spoke.set()
        if sent_ms == SPEECH_MS + PAUSE_MS // 2:
            self.paused.set()


async def _read_to_end(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Keep reading: pings are answered only while somebody reads."""
    async for _ in socket:
        pass
