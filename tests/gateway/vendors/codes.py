"""Speech of numbered words, and a recognizer that finds them wherever the audio begins.

A word is 400 ms of two tones, whose frequencies are its number. So its text shows which audio
a server has received, also in a replay that begins in the middle of it.
"""

import audioop
from typing import NamedTuple

import numpy as np

WORD_MS = 400
LEAST_MS = 140  # of a word that is recognized although the rest of it is missing
FRAME_MS = 20
_TONES = 28  # of each kind
_LOW_HZ = 450
_HIGH_HZ = 1900
_STEP_HZ = 50
_LEAST_RMS = 800


class Word(NamedTuple):
    """A word that was recognized, and where."""

    number: int
    start_ms: int
    end_ms: int

    @property
    def text(self) -> str:
        return f"w{self.number:04d}"


def word(number: int) -> bytes:
    """Return the mu-law audio of a word."""
    high, low = divmod(number, _TONES)
    assert high < _TONES
    times = np.arange(8 * WORD_MS) / 8000
    tones = [_LOW_HZ + _STEP_HZ * low, _HIGH_HZ + _STEP_HZ * high]
    wave = np.sum([np.sin(2 * np.pi * hz * times) for hz in tones], axis=0)
    return audioop.lin2ulaw((6000 * wave).astype("<i2").tobytes(), 2)


def music(milliseconds: int) -> bytes:
    """Return loud mu-law audio that no one speaks."""
    times = np.arange(8 * milliseconds) / 8000
    return audioop.lin2ulaw((9000 * np.sin(2 * np.pi * 300 * times)).astype("<i2").tobytes(), 2)


def silence(milliseconds: int) -> bytes:
    return b"\xff" * (8 * milliseconds)


class Ears:
    """Recognizes words in audio while it arrives.

    Args:
        is_mulaw: whether it is mu-law at 8 kHz; else it is PCM16 at 16 kHz.

    Attributes:
        heard_ms: how much audio was examined.
        words: the words so far; the last one may still grow.
    """

    def __init__(self, *, is_mulaw: bool) -> None:
        self.heard_ms = 0
        self._is_mulaw = is_mulaw
        self._frame_bytes = FRAME_MS * (16 if is_mulaw else 32)
        self.words: list[Word] = []
        self._rest = b""
        self._number: int | None = None
        self._start_ms = 0

    @property
    def is_in_word(self) -> bool:
        return self._number is not None

    def hear(self, audio: bytes) -> None:
        pcm = self._rest + (audioop.ulaw2lin(audio, 2) if self._is_mulaw else audio)
        size = self._frame_bytes
        whole = len(pcm) // size * size
        self._rest = pcm[whole:]
        for at in range(0, whole, size):
            self._step(_number_of(pcm[at : at + size]))

    def _step(self, number: int | None) -> None:
        self.heard_ms += FRAME_MS
        if number is not None and number != self._number:
            self._start_ms = self.heard_ms - FRAME_MS
        self._number = number
        if number is None:
            return
        heard = Word(number, self._start_ms, self.heard_ms)
        if self.words and self.words[-1].number == number:
            self.words[-1] = self.words[-1]._replace(end_ms=self.heard_ms)
        elif self.heard_ms - self._start_ms >= LEAST_MS:
            self.words.append(heard)


def _number_of(pcm: bytes) -> int | None:
    """Return the number of the word that a frame is part of; None if of none."""
    wave = np.frombuffer(pcm, "<i2").astype(float)
    if np.sqrt(np.mean(wave**2)) < _LEAST_RMS:
        return None
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    low = _peak(power, _LOW_HZ)
    high = _peak(power, _HIGH_HZ)
    part = sum(power[at - 1 : at + 2].sum() for at in (low, high))
    if part < 0.8 * power.sum() or power[high] < 0.1 * power[low]:
        return None
    return low - _LOW_HZ // _STEP_HZ + _TONES * (high - _HIGH_HZ // _STEP_HZ)


def _peak(power: "np.ndarray[tuple[int], np.dtype[np.float64]]", from_hz: int) -> int:
    first = from_hz // _STEP_HZ
    return first + int(np.argmax(power[first : first + _TONES]))
