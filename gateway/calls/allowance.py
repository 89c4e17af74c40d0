"""The limits on what one media stream may send. Pure.

    audio     as much as time has passed since the stream began, and a minute
    messages  250 a second, and 2,000 at once; one more for each 4 ms of audio

A carrier that stalled sends all that is due at once, so bursts of audio are allowed. Frames of
10 ms or more earn the allowance for their own messages; marks, digits, pings and empty frames do
not.
"""

from typing import Final

from gateway.errors import CarrierError

_AHEAD_MS: Final = 60_000.0  # of audio beyond real time: clocks differ, proxies hold back
# Two tracks of 10 ms frames are 200 messages a second; with nothing in them they cost some 5 ms.
_MESSAGES_PER_S: Final = 250.0
_MESSAGES_AT_ONCE: Final = 2000.0  # some 50 ms of CPU
_AUDIO_PER_MESSAGE_MS: Final = 4.0  # an AudioWorklet's 128 samples at 24 kHz are 5.3 ms

FLOODS: Final = frozenset({"message-flood", "too-fast"})  # the reasons here


class Allowance:
    """What one stream may still send. Checked once per turn of the reader, not per message.

    Args:
        now_s: when the stream began, on the monotonic clock.
    """

    __slots__ = ("_audio_ms", "_began_s", "_left", "_looked_s")

    def __init__(self, now_s: float) -> None:
        self._began_s = self._looked_s = now_s
        self._left = _MESSAGES_AT_ONCE
        self._audio_ms = 0.0

    def spend(self, messages: int, audio_ms: float, longest_ms: float, now_s: float) -> None:
        """Subtract what was received since the last call.

        Args:
            messages: since the last time, whatever they were.
            audio_ms: on all tracks, since the beginning.
            longest_ms: on the track that had most, likewise.
            now_s: on the monotonic clock.

        Raises:
            CarrierError: too-fast or message-flood: it was more than the stream may send.
        """
        if longest_ms > 1000 * (now_s - self._began_s) + _AHEAD_MS:
            raise CarrierError("too-fast")
        earned = _MESSAGES_PER_S * (now_s - self._looked_s)
        earned += (audio_ms - self._audio_ms) / _AUDIO_PER_MESSAGE_MS
        self._left = min(_MESSAGES_AT_ONCE, self._left + earned - messages)
        self._looked_s, self._audio_ms = now_s, audio_ms
        if self._left < 0:
            raise CarrierError("message-flood")
