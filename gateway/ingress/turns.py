"""Limits the work for one media socket in one turn of the event loop.

aiohttp's `receive()` returns at once while messages are queued, so a reader that awaits only that
blocks the event loop for as long as its peer sends. After about 60 messages the reader yields, and
checks whether the peer has sent more than a stream may (`calls/allowance.py`).
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import WSMessage, WSMsgType

from gateway.calls.allowance import Allowance

# About 60 frames of Twilio, or one to two milliseconds of CPU.
_TURN_BYTES: Final = 32_768
_MESSAGE_BYTES: Final = 256  # the fixed cost of a message, expressed in bytes
_TEXT: Final = WSMsgType.TEXT  # module globals: they are read for every message
_BINARY: Final = WSMsgType.BINARY

type AudioMs = Callable[[], tuple[float, float]]  # of all tracks, and of the longest


class Turns:
    """Counts one socket's messages and yields to the event loop between turns.

    Pings and pongs count as messages, so the socket must have `autoping` off.

    Args:
        audio_ms: returns how much audio the socket has delivered.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(self, audio_ms: AudioMs, monotonic_s: Callable[[], float]) -> None:
        self._audio_ms = audio_ms
        self._monotonic_s = monotonic_s
        self._allowance = Allowance(monotonic_s())
        self._messages = 0  # since the last turn
        self._left = _TURN_BYTES

    def spend(self, message: WSMessage) -> bool:
        """Count a message. Return True if the turn is over; the caller then awaits `end`."""
        self._messages += 1
        kind = message.type
        is_data = kind is _TEXT or kind is _BINARY
        self._left -= _MESSAGE_BYTES + (len(message.data) if is_data else 0)
        return self._left < 0

    async def end(self) -> None:
        """Check the allowance and yield to the event loop.

        Raises:
            CarrierError: too-fast or message-flood.
        """
        self._allowance.spend(self._messages, *self._audio_ms(), self._monotonic_s())
        self._messages = 0
        self._left = _TURN_BYTES
        await asyncio.sleep(0)
