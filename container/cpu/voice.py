"""Detect voice by its energy, as a stand-in for OpenAI's `server_vad`. Pure."""

import audioop
from collections import deque
from typing import Final, NamedTuple

FRAME_MS: Final = 20
_FRAME_BYTES: Final = 640  # PCM16, 16 kHz
_LOUD_RMS: Final = 660  # at a threshold of 1; at the default of 0.5, -40 dBFS


class Started(NamedTuple):
    """Voice begins, at this time of the session's audio; its audio follows."""

    at_ms: int


class Stopped(NamedTuple):
    """Voice has ended: this is the end of the silence after it."""

    at_ms: int


type Step = Started | Stopped | bytes


class VoiceDetector:
    """Divides the audio of a session into stretches of voice; silence between them is dropped.

    Args:
        threshold: from 0 to 1; the higher, the louder the voice must be.
        prefix_ms: audio before the voice that belongs to it.
        silence_ms: length of the silence that ends it.
        at_ms: length of the session's audio so far.
    """

    def __init__(self, threshold: float, prefix_ms: int, silence_ms: int, at_ms: int) -> None:
        self._rms = threshold * _LOUD_RMS
        self._silence_ms = silence_ms
        self._at_ms = at_ms
        self._lead: deque[bytes] = deque(maxlen=prefix_ms // FRAME_MS + 1)
        self._quiet_ms = 0
        self._rest = b""
        self._is_voice = False

    def add(self, pcm: bytes) -> list[Step]:
        """Process audio, PCM16 little-endian, 16 kHz, mono."""
        pcm = self._rest + pcm
        whole = len(pcm) // _FRAME_BYTES * _FRAME_BYTES
        self._rest = pcm[whole:]
        steps: list[Step] = []
        for begin in range(0, whole, _FRAME_BYTES):
            steps += self._add_frame(pcm[begin : begin + _FRAME_BYTES])
        return steps

    def end(self) -> bytes:
        """End the stretch here; return its audio that was not returned so far."""
        pcm = b"".join(self._lead) + self._rest
        self._rest = b""
        self._lead.clear()
        self._is_voice = False
        return pcm

    def _add_frame(self, frame: bytes) -> list[Step]:
        self._at_ms += FRAME_MS
        is_loud = audioop.rms(frame, 2) >= self._rms
        if not self._is_voice:
            self._lead.append(frame)
            if not is_loud:
                return []
            lead = b"".join(self._lead)
            start_ms = self._at_ms - FRAME_MS * len(self._lead)
            self._lead.clear()
            self._is_voice, self._quiet_ms = True, 0
            return [Started(start_ms), lead]
        self._quiet_ms = 0 if is_loud else self._quiet_ms + FRAME_MS
        if self._quiet_ms < self._silence_ms:
            return [frame]
        self._is_voice = False
        return [frame, Stopped(self._at_ms)]
