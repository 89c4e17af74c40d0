"""A carrier that plays a call with one track and reports its progress."""

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
PAUSE_MS: Final = 3600  # includes two checks for a rollover, which are a second apart
CALL_MS: Final = 2 * SPEECH_MS + PAUSE_MS
PACE: Final = 2.0  # times real time

_SILENCE: Final = b"\xff"  # mu-law for 0
_SLACK_S: Final = 5.0
_CLOSE_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=0.5)


def speech_pause_speech(seed: int) -> bytes:
    """Make a call's mu-law audio: noise that is unique for the seed, with a silent pause."""
    sound = noise(seed, 2 * SPEECH_MS)
    pause = _SILENCE * (8 * PAUSE_MS)
    return sound[: 8 * SPEECH_MS] + pause + sound[8 * SPEECH_MS :]


@dataclass
class Caller:
    """Plays a call until it ends or the connection is lost.

    Attributes:
        call: the call to play.
        pace: speed as a multiple of real time.
        in_speech: set when the middle of the first speech has been sent.
        in_pause: set when the middle of the pause has been sent.
    """

    call: Call
    pace: float = PACE
    in_speech: asyncio.Event = field(default_factory=asyncio.Event)
    in_pause: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, http: aiohttp.ClientSession, port: int) -> bool:
        """Play the call; like Twilio, do not reconnect if the connection is lost.

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
                        await self._send_call(socket)
                    finally:
                        reading.cancel()
        return accepted

    @property
    def _length_s(self) -> float:
        return max(map(len, self.call.tracks.values())) / 8000 / self.pace

    async def _send_call(self, socket: aiohttp.ClientWebSocketResponse) -> None:
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
            self._report_progress((tick + 1) * FRAME_MS)
        for text in dialogue.closing():
            await socket.send_str(text)

    def _report_progress(self, sent_ms: int) -> None:
        if sent_ms == SPEECH_MS // 2:
            self.in_speech.set()
        if sent_ms == SPEECH_MS + PAUSE_MS // 2:
            self.in_pause.set()


async def _read_to_end(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Read until the socket closes; aiohttp replies to pings only while it is read."""
    async for _ in socket:
        pass
