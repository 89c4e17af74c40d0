"""Convert audio to what the engine transcribes: PCM16 little-endian, 16 kHz, mono. Pure."""

import audioop
from enum import Enum, auto
from math import gcd
from typing import Final

import numpy as np

from container.cpu.clock import RATE_HZ

G711_HZ: Final = 8000
_ZERO_CROSSINGS: Final = 24  # of the low-pass, on each side


class Coding(Enum):
    """How samples are encoded."""

    LINEAR = auto()  # PCM16 little-endian
    MULAW = auto()
    ALAW = auto()


class Converter:
    """Converts audio without delay and independent of how it is split.

    Args:
        coding: how its samples are encoded.
        rate_hz: its rate.
        interpolates: whether samples between those that both rates have are interpolated. If
            False, these are repeated instead, and no others used, as checksums need it.
    """

    def __init__(self, coding: Coding, rate_hz: int, *, interpolates: bool = True) -> None:
        self._coding = coding
        self._repeats = not interpolates
        self._half_sample = b""
        common = gcd(rate_hz, RATE_HZ)
        self._up, self._down = RATE_HZ // common, rate_hz // common
        widest = max(self._up, self._down)
        self._reach = _ZERO_CROSSINGS * widest  # of the low-pass, on each side
        offsets = np.arange(-self._reach, self._reach + 1)
        window = np.kaiser(len(offsets), 6.0)
        self._taps = np.sinc(offsets / widest) * window * (self._up / widest)
        self._reset()

    def _reset(self) -> None:
        self._history = np.zeros(2 * self._reach)
        self._skip = self._reach  # samples at the common rate until the next output
        self._owed = 0  # samples at the common rate that have no output
        self._until_shared = 0  # samples until the next one that both rates have

    @property
    def pending(self) -> int:
        """Samples that `flush` returns."""
        return -(-self._owed // self._down)

    def convert(self, audio: bytes) -> bytes:
        """Convert the next audio, which may be split within a sample."""
        pcm = self._decode(audio)
        if self._up == self._down:
            return pcm
        if self._repeats:
            return self._repeat(np.frombuffer(pcm, "<i2"))
        self._owed += len(pcm) // 2 * self._up
        converted = self._filter(np.frombuffer(pcm, "<i2"))
        self._owed -= len(converted) // 2 * self._down
        return converted

    def flush(self) -> bytes:
        """End a stretch of audio; return its remaining samples."""
        pending = self.pending
        converted = self._filter(np.zeros(self._reach)) if pending else b""
        self._reset()
        return converted[: 2 * pending]

    def _repeat(self, pcm: np.ndarray) -> bytes:
        shared = pcm[self._until_shared :: self._down]
        self._until_shared = (self._until_shared - len(pcm)) % self._down
        return np.repeat(shared, self._up).tobytes()

    def _filter(self, pcm: np.ndarray) -> bytes:
        if not len(pcm):
            return b""
        samples = np.zeros(len(pcm) * self._up)
        samples[:: self._up] = pcm
        data = np.append(self._history, samples)
        self._history = data[len(samples) :]
        filtered = np.convolve(data, self._taps, "valid")[self._skip :: self._down]
        self._skip -= len(samples)
        if self._skip < 0:
            self._skip %= self._down
        return np.rint(filtered).clip(-32768, 32767).astype("<i2").tobytes()

    def _decode(self, audio: bytes) -> bytes:
        match self._coding:
            case Coding.MULAW:
                return audioop.ulaw2lin(audio, 2)
            case Coding.ALAW:
                return audioop.alaw2lin(audio, 2)
            case Coding.LINEAR:
                audio = self._half_sample + audio
                whole = len(audio) // 2 * 2
                self._half_sample = audio[whole:]
                return audio[:whole]
