"""One media socket's messages, read so that no other call waits for them.

`receive()` of aiohttp returns at once while messages are queued, so a reader that only awaits that
keeps the event loop for as long as its peer sends. Here the loop gets its turn after some of them,
and a peer that sends more than it may (`calls/allowance.py`) is refused the rest.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from gateway.calls.allowance import Allowance

# About 60 frames of Twilio's, and a millisecond or two of CPU.
_TURN_BYTES: Final = 32_768
_MESSAGE_BYTES: Final = 256  # a message costs as much as so many bytes, besides its own
_TEXT: Final = WSMsgType.TEXT  # looked up per message
_BINARY: Final = WSMsgType.BINARY

type AudioMs = Callable[[], tuple[float, float]]  # of all tracks, and of the longest


class Turns:
    """Reads a socket in turns. Pings and pongs are messages: the socket has `autoping` off.

    Args:
        socket: the socket.
        audio_ms: what came of it so far.
        monotonic_s: seconds.
    """

    def __init__(
        self, socket: web.WebSocketResponse, audio_ms: AudioMs, monotonic_s: Callable[[], float]
    ) -> None:
        self._receive = socket.receive
        self._audio_ms = audio_ms
        self._monotonic_s = monotonic_s
        self._allowance = Allowance(monotonic_s())
        self._messages = 0  # since the last turn
        self._left = _TURN_BYTES

    async def receive(self) -> WSMessage:
        """Return the socket's next message.

        Raises:
            CarrierError: too-fast or message-flood.
        """
        if self._left < 0:
            await self._end_turn()
        message: WSMessage = await self._receive()
        self._count(message)
        return message

    async def take(self, message: WSMessage) -> None:
        """Count a message that was read otherwise; raises as `receive`."""
        self._count(message)
        if self._left < 0:
            await self._end_turn()

    def _count(self, message: WSMessage) -> None:
        self._messages += 1
        kind = message.type
        is_data = kind is _TEXT or kind is _BINARY
        self._left -= _MESSAGE_BYTES + (len(message.data) if is_data else 0)

    async def _end_turn(self) -> None:
        self._allowance.spend(self._messages, *self._audio_ms(), self._monotonic_s())
        self._messages = 0
        self._left = _TURN_BYTES
        await asyncio.sleep(0)
