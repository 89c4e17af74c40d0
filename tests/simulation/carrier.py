"""A simulated carrier that plays a call to a gateway with Twilio's protocol."""

import asyncio
import contextlib
import json
import random
from typing import Final, Protocol

import pybase64

from tests.simulation.plan import CHUNK_MS, Call, Hangup, rng

LEG: Final = "leg"

_MARK: Final = b'{"event":"mark","mark":{"name":"m"}}'
_SILENCE: Final = b"\xff"
_BYTES_PER_MS: Final = 8


class Line(Protocol):
    """The gateway's end of a media socket."""

    def receive(self, message: bytes) -> bool:
        """Deliver a message; return False once the gateway has stopped reading."""

    def close(self) -> None:
        """Close the socket from the carrier's side."""

    def lose(self) -> None:
        """Break the connection."""

    async def wait_closed(self) -> None:
        """Wait until the gateway has closed the socket."""


def make_audio(call: Call) -> dict[str, bytes]:
    """Make a call's mu-law audio: noise with digital silence; all tracks have the same length."""
    return {track: _noise(rng(call.audio_seed, track), call.chunks) for track in call.tracks}


def _noise(chance: random.Random, chunks: int) -> bytes:
    pieces: list[bytes] = []
    left_ms = chunks * CHUNK_MS
    speaks = chance.random() < 0.7
    while left_ms > 0:
        length_ms = min(left_ms, CHUNK_MS * chance.randint(2, 40 if speaks else 25))
        size = length_ms * _BYTES_PER_MS
        pieces.append(chance.randbytes(size) if speaks else _SILENCE * size)
        left_ms -= length_ms
        speaks = not speaks
    return b"".join(pieces)


class Caller:
    """Plays a call, starting at a frame; another one may continue where the first was cut off.

    Attributes:
        leg: the number of this socket in its world, published as a parameter of the stream.
        received: for each track, the audio that the gateway received since the start of this
            socket; audio that was lost on the way is replaced by silence.
        frame: the number of the next frame.
    """

    def __init__(self, call: Call, audio: dict[str, bytes], leg: int, frame: int = 0) -> None:
        self.call = call
        self.leg = leg
        self.received = {track: bytearray() for track in call.tracks}
        self.frame = frame
        self._audio = audio
        self._first = frame
        self._held_ms = 0
        self._frame_bytes = call.frame_ms * _BYTES_PER_MS

    @property
    def is_played(self) -> bool:
        """Whether all audio was sent."""
        return self.frame * self.call.frame_ms >= self.call.chunks * CHUNK_MS

    async def play(self, line: Line) -> None:
        """Play the call until it ends or the socket is closed."""
        start = {
            "callSid": self.call.call_id,
            "streamSid": self.call.stream_id,
            "tracks": list(self.call.tracks),
            "customParameters": {LEG: str(self.leg)},
        }
        for message in ({"event": "connected"}, {"event": "start", "start": start}):
            if not line.receive(json.dumps(message).encode()):
                return
        if await self._send_audio(line):
            await self._hang_up(line)

    async def _send_audio(self, line: Line) -> bool:
        loop = asyncio.get_running_loop()
        begin_s, frame_s = loop.time(), self.call.frame_ms / 1000
        held_s = 0.0
        while not self.is_played or self.call.hangup is Hangup.NEVER:
            if self.call.flood and self.frame == self.call.flood[0]:
                for _ in range(self.call.flood[1]):
                    if not line.receive(_MARK):
                        return False
            if self.call.hold and self.frame == self.call.hold[0] > self._first:
                self._skip_audio(self.call.hold[1] * CHUNK_MS)
            if self.call.hiccup and self.frame == self.call.hiccup[0]:
                # Afterwards all frames that are due are sent at once.
                held_s = loop.time() + self.call.hiccup[1]
            due_s = begin_s + (self.frame - self._first + 1) * frame_s + self._held_ms / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(max(due_s, held_s)):
                    await line.wait_closed()
            if not self._send_frame(line):
                return False
        return True

    def _skip_audio(self, for_ms: int) -> None:
        """Send no audio for a time; timestamps advance as if it had been sent."""
        self._held_ms += for_ms
        for received in self.received.values():
            received += _SILENCE * (for_ms * _BYTES_PER_MS)

    def _send_frame(self, line: Line) -> bool:
        begin = self.frame * self._frame_bytes
        is_lost = self.frame > self._first and self.call.lost[0] <= self.frame < self.call.lost[1]
        self.frame += 1
        for track, audio in self._audio.items():
            payload = audio[begin : begin + self._frame_bytes] or _SILENCE * self._frame_bytes
            if is_lost:
                self.received[track] += _SILENCE * len(payload)
            elif line.receive(self._media(track, payload)):
                self.received[track] += payload
            else:
                return False
        return True

    def _media(self, track: str, payload: bytes) -> bytes:
        number = self.frame - self._first
        head = f'{{"event":"media","media":{{"track":"{track}","chunk":"{number}",'
        head += f'"timestamp":"{(number - 1) * self.call.frame_ms + self._held_ms}","payload":"'
        return head.encode() + pybase64.b64encode(payload) + b'"}}'

    async def _hang_up(self, line: Line) -> None:
        match self.call.hangup:
            case Hangup.STOP:
                line.receive(b'{"event":"stop"}')
            case Hangup.CLOSE:
                line.close()
            case Hangup.VANISH:
                line.lose()
            case Hangup.SILENCE:
                await line.wait_closed()
            case Hangup.NEVER:
                pass  # `_send_audio` continues until the gateway stops reading
