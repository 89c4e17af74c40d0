"""Rate limits of one media stream. Pure.

    audio     real time since the stream began, plus one minute
    messages  250 per second with bursts of 2,000; one more per 4 ms of audio

Bursts of audio are allowed, because a carrier that stalled sends everything due at once. Frames of
10 ms or more earn the allowance for their own messages; marks, digits, pings and empty frames do
not.
"""

from typing import Final

from gateway.errors import CarrierError

_AHEAD_MS: Final = 60_000.0  # of audio beyond real time: clocks differ, proxies buffer
# Two tracks of 10 ms frames are 200 messages per second; empty ones cost about 5 ms of CPU.
_MESSAGES_PER_S: Final = 250.0
_MESSAGES_AT_ONCE: Final = 2000.0  # about 50 ms of CPU
_AUDIO_PER_MESSAGE_MS: Final = 4.0  # an AudioWorklet's 128 samples at 24 kHz are 5.3 ms

FLOODS: Final = frozenset({"message-flood", "too-fast"})  # the reasons raised here


class Allowance:
    """The remaining allowance of one stream. Checked once per turn of the reader, not per message.

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
            messages: number of messages of any kind since the last call.
            audio_ms: audio on all tracks since the stream began.
            longest_ms: audio on the track that received most, likewise.
            now_s: on the monotonic clock.

        Raises:
            CarrierError: too-fast or message-flood: the allowance is exceeded.
        """
        if longest_ms > 1000 * (now_s - self._began_s) + _AHEAD_MS:
            raise CarrierError("too-fast")
        earned = _MESSAGES_PER_S * (now_s - self._looked_s)
        earned += (audio_ms - self._audio_ms) / _AUDIO_PER_MESSAGE_MS
        self._left = min(_MESSAGES_AT_ONCE, self._left + earned - messages)
        self._looked_s, self._audio_ms = now_s, audio_ms
        if self._left < 0:
            raise CarrierError("message-flood")
