"""Audio whose words can be recognized: each word is a pair of tones. Pure.

A word lasts 300 ms, and 100 ms of silence follow. `Recognizer` finds the words in any stretch of
that audio, at any rate; a word of which less than 120 ms are left is not found.
"""

import audioop
from collections.abc import Iterable
from typing import Final

import numpy as np

RATE_HZ: Final = 8000
WORD_MS: Final = 400
_TONE_MS: Final = 300
_FRAME_MS: Final = 40
_LEAST_FRAMES: Final = 3
_LOW_HZ: Final = range(350, 1550, 100)
_HIGH_HZ: Final = range(1700, 3300, 100)
MOST_WORDS: Final = len(_LOW_HZ) * len(_HIGH_HZ)
SILENCE: Final = b"\xff"  # mu-law


def word(number: int) -> str:
    """Return the text of a word."""
    letters = "bdfgklmnprst"
    low, high = divmod(number, len(_HIGH_HZ))
    return f"{letters[low]}a{letters[high % 12]}{'oeiu'[high // 4]}{letters[high // 2]}"


WORDS: Final = [word(number) for number in range(MOST_WORDS)]
assert len(set(WORDS)) == MOST_WORDS


def say(numbers: Iterable[int]) -> bytes:
    """Return words as mu-law, 8 kHz."""
    at = np.arange(RATE_HZ * _TONE_MS // 1000) / RATE_HZ
    silence = bytes(2 * RATE_HZ * (WORD_MS - _TONE_MS) // 1000)
    spoken = bytearray()
    for number in numbers:
        low, high = divmod(number, len(_HIGH_HZ))
        tones = np.sin(2 * np.pi * _LOW_HZ[low] * at) + np.sin(2 * np.pi * _HIGH_HZ[high] * at)
        spoken += (8000 * tones).astype("<i2").tobytes() + silence
    return audioop.lin2ulaw(bytes(spoken), 2)


def quiet(milliseconds: int) -> bytes:
    """Return silence as mu-law."""
    return SILENCE * (RATE_HZ * milliseconds // 1000)


class Recognizer:
    """Finds words in PCM16 as it arrives.

    Args:
        rate_hz: its rate.

    Attributes:
        frames: number of 40 ms frames received.
        is_loud: whether the newest frame is loud.
    """

    def __init__(self, rate_hz: int) -> None:
        self.frames = 0
        self.is_loud = False
        self._rate_hz = rate_hz
        self._frame_bytes = 2 * rate_hz * _FRAME_MS // 1000
        at = np.arange(self._frame_bytes // 2)
        waves = np.exp(-2j * np.pi * np.outer([*_LOW_HZ, *_HIGH_HZ], at / rate_hz))
        self._tones = (waves * np.hanning(len(at))).astype(np.complex64)
        self._rest = b""
        self._number: int | None = None
        self._count = 0

    def add(self, pcm: bytes) -> list[str]:
        """Return the words that have ended."""
        data, size = self._rest + pcm, self._frame_bytes
        words: list[str] = []
        for at in range(0, len(data) - size + 1, size):
            words += self._frame(data[at : at + size])
        self._rest = data[len(data) // size * size :]
        return words

    def end(self) -> list[str]:
        """Return the last word, if one has not ended."""
        self._rest = b""
        return self._close(None)

    def _frame(self, frame: bytes) -> list[str]:
        self.frames += 1
        self.is_loud = audioop.rms(frame, 2) > 1500
        number = self._number_of(frame) if self.is_loud else None
        if number == self._number:
            self._count += 1
            return []
        return self._close(number)

    def _close(self, number: int | None) -> list[str]:
        found = self._number is not None and self._count >= _LEAST_FRAMES
        words = [WORDS[self._number]] if found and self._number is not None else []
        self._number, self._count = number, 1
        return words

    def _number_of(self, frame: bytes) -> int | None:
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        levels = abs((self._tones * samples).sum(axis=1))  # "@" would use several threads
        low, high = np.argmax(levels[: len(_LOW_HZ)]), np.argmax(levels[len(_LOW_HZ) :])
        return int(low) * len(_HIGH_HZ) + int(high)
