"""Speech of numbered words, and a recognizer that finds them wherever the audio begins. Pure.

A word is 300 ms of two tones, whose frequencies are its number, and 100 ms of silence. So its text
shows which audio a server has received, also in a replay that begins in the middle of it.
"""

import audioop
import functools
import re
from typing import Final, NamedTuple

import numpy as np

type _Wave = "np.ndarray[tuple[int], np.dtype[np.float64]]"

WORD_MS: Final = 400
_TONE_MS: Final = 300
_LEAST_MS: Final = 140  # of a word that is recognized although the rest of it is missing
_FRAME_MS: Final = 20
_TONES: Final = 28  # of each kind
_LOW_HZ: Final = 450
_HIGH_HZ: Final = 1900
_STEP_HZ: Final = 50  # resolution of a frame
_LEAST_RMS: Final = 800


class Word(NamedTuple):
    """A word that was said or recognized, and where."""

    number: int
    start_ms: int
    end_ms: int

    @property
    def text(self) -> str:
        """What is written of it."""
        return f"w{self.number:04d}"


def texts_in(text: str) -> list[str]:
    """Return the words of a text, and whatever else is in it, without punctuation."""
    return re.findall(r"[^\s,.]+", text.lower())


@functools.cache
def word(number: int) -> bytes:
    """Return the mu-law audio of a word."""
    high, low = divmod(number, _TONES)
    assert high < _TONES
    wave = _tone(_LOW_HZ + _STEP_HZ * low, _TONE_MS) + _tone(_HIGH_HZ + _STEP_HZ * high, _TONE_MS)
    return _mulaw(6000 * wave) + silence(WORD_MS - _TONE_MS)


def music(milliseconds: int) -> bytes:
    """Return loud mu-law audio that no one speaks."""
    return _mulaw(9000 * _tone(300, milliseconds))


def silence(milliseconds: int) -> bytes:
    """Return silence as mu-law audio."""
    return b"\xff" * (8 * milliseconds)


def _tone(hz: int, milliseconds: int) -> _Wave:
    return np.sin(2 * np.pi * hz * np.arange(8 * milliseconds) / 8000)


def _mulaw(wave: _Wave) -> bytes:
    return audioop.lin2ulaw(wave.astype("<i2").tobytes(), 2)


class Ears:
    """Recognizes words in audio while it arrives.

    Args:
        rate_hz: of PCM16; or 8000: the audio is mu-law.

    Attributes:
        heard_ms: how much audio was examined.
        words: the words so far; the last one may still grow.
    """

    def __init__(self, rate_hz: int) -> None:
        self.heard_ms = 0
        self.words: list[Word] = []
        self._rate_hz = rate_hz
        self._frame_bytes = _FRAME_MS * rate_hz // 500
        self._window = np.hanning(self._frame_bytes // 2)
        self._rest = b""
        self._number: int | None = None
        self._start_ms = 0

    @property
    def is_in_word(self) -> bool:
        """Whether the newest audio is part of a word."""
        return self._number is not None

    @property
    def ended(self) -> list[Word]:
        """The words that have ended."""
        is_open = bool(self.words) and self.words[-1].number == self._number
        return self.words[:-1] if is_open else self.words

    def hear(self, audio: bytes) -> None:
        """Receive audio."""
        pcm = self._rest + (audioop.ulaw2lin(audio, 2) if self._rate_hz == 8000 else audio)
        size = self._frame_bytes
        whole = len(pcm) // size * size
        self._rest = pcm[whole:]
        for at in range(0, whole, size):
            self._step(self._number_of(pcm[at : at + size]))

    def _step(self, number: int | None) -> None:
        self.heard_ms += _FRAME_MS
        if number is not None and number != self._number:
            self._start_ms = self.heard_ms - _FRAME_MS
        self._number = number
        if number is None:
            return
        heard = Word(number, self._start_ms, self.heard_ms)
        if self.words and self.words[-1].number == number:
            self.words[-1] = self.words[-1]._replace(end_ms=self.heard_ms)
        elif self.heard_ms - self._start_ms >= _LEAST_MS:
            self.words.append(heard)

    def _number_of(self, pcm: bytes) -> int | None:
        """Return the number of the word that a frame is part of; None if of none."""
        if audioop.rms(pcm, 2) < _LEAST_RMS:
            return None
        spectrum = np.fft.rfft(np.frombuffer(pcm, "<i2") * self._window)
        power = spectrum.real**2 + spectrum.imag**2
        low, high = _peak(power, _LOW_HZ), _peak(power, _HIGH_HZ)
        part = power[low - 1 : low + 2].sum() + power[high - 1 : high + 2].sum()
        if part < 0.8 * power.sum() or power[high] < 0.1 * power[low]:
            return None
        return low - _LOW_HZ // _STEP_HZ + _TONES * (high - _HIGH_HZ // _STEP_HZ)


def _peak(power: _Wave, from_hz: int) -> int:
    first = from_hz // _STEP_HZ
    return first + int(np.argmax(power[first : first + _TONES]))
