"""Synthesized sounds of a telephone line other than speech, with a peak of 1."""

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Wave = NDArray[np.float64]

_KEYS_HZ: Final = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)]
_SCALE_HZ: Final = (220, 262, 294, 330, 392, 440, 523, 587, 659, 784)


def sines(*frequencies_hz: float) -> Callable[[Wave], Wave]:
    """Return a sum of sines as a function of a time axis in seconds."""
    return lambda t: np.sum([np.sin(2 * np.pi * hz * t) for hz in frequencies_hz], axis=0)


def repeated(wave: Callable[[Wave], Wave], on_s: float, off_s: float) -> Callable[[Wave], Wave]:
    """Return a sound that is switched on and off periodically."""
    return lambda t: wave(t) * (t % (on_s + off_s) < on_s)


def sawtooth(hz: float) -> Callable[[Wave], Wave]:
    return lambda t: 2 * (hz * t % 1) - 1


def noise(low_hz: float, high_hz: float, slope: float = 0.0) -> Callable[[Wave], Wave]:
    """Return band noise whose amplitude falls with the frequency to the power of `slope`."""

    def made(t: Wave) -> Wave:
        spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(len(t)))
        hz = np.fft.rfftfreq(len(t), t[1] - t[0])
        shaped = np.where((low_hz <= hz) & (hz <= high_hz), spectrum / (1 + hz) ** slope, 0)
        return np.fft.irfft(shaped, len(t))

    return made


def _keys(t: Wave) -> Wave:
    return _in_turn(t, 0.16, lambda key, after: sines(*_KEYS_HZ[key % 16])(after) * (after < 0.08))


def _chords(t: Wave) -> Wave:
    pitches = np.random.default_rng(2).choice(_SCALE_HZ, (1000, 3))

    def struck(number: int, after: Wave) -> Wave:
        harmonics = np.outer(pitches[number], range(1, 5)).ravel()
        return np.exp(-4 * after) * sines(*harmonics)(after)

    return _in_turn(t, 0.25, struck)


def _in_turn(t: Wave, every_s: float, sound: Callable[[int, Wave], Wave]) -> Wave:
    """Concatenate sounds; each is a function of its number and the time since its start."""
    size = round(every_s / (t[1] - t[0]))
    starts = range(0, len(t), size)
    parts = [sound(k, t[begin : begin + size] - t[begin]) for k, begin in enumerate(starts)]
    return np.concatenate(parts)


def _drums(t: Wave) -> Wave:
    beat = t % 0.2
    snare: Wave = noise(0, 4000)(t) * np.exp(-30 * beat) * 40
    return snare + sines(60)(t) * np.exp(-15 * (t % 0.4))


def _modem(t: Wave) -> Wave:
    """Synthesize V.21 frequency-shift keying: 300 bit/s, 1650 and 1850 Hz."""
    bits = np.random.default_rng(3).integers(0, 2, int(t[-1] * 300) + 2)
    hz = np.where(bits[(t * 300).astype(int)], 1650.0, 1850.0)
    phase: Wave = np.cumsum(hz) * (t[1] - t[0])
    return sines(1)(phase)


def _clicks(t: Wave) -> Wave:
    return np.where(np.random.default_rng(4).random(len(t)) < 0.01, 1.0, 0.0)


SOUNDS: Final[dict[str, Callable[[Wave], Wave]]] = {
    "silence": np.zeros_like,
    "offset": np.ones_like,
    "hum": sines(50, 150, 250),
    "tone-440": sines(440),
    "tone-1000": sines(1000),
    "tone-2100-of-a-fax": sines(2100),
    "tone-3000": sines(3000),
    "fax-calling": repeated(sines(1100), 0.5, 3),
    "ringback": repeated(sines(440, 480), 2, 4),
    "busy": repeated(sines(480, 620), 0.5, 0.5),
    "reorder": repeated(sines(480, 620), 0.25, 0.25),
    "beeps": repeated(sines(1400), 0.2, 0.2),
    "sawtooth": sawtooth(800),
    "sawtooth-beeps": repeated(sawtooth(400), 0.2, 0.2),
    "dtmf": _keys,
    "modem": _modem,
    "chords": _chords,
    "organ": sines(131, 262, 392, 523, 659, 784, 1047, 1319, 1568, 2093, 2637),
    "drums": _drums,
    "white-noise": noise(0, 4000),
    "pink-noise": noise(20, 4000, slope=0.5),
    "brown-noise": noise(5, 4000, slope=1),
    "telephone-band-noise": noise(300, 3400),
    "high-noise": noise(2000, 3900),
    "clicks": _clicks,
}


@cache
def made(name: str, rate_hz: int, seconds: float) -> Wave:
    """Synthesize a sound from `SOUNDS`."""
    sound = SOUNDS[name](np.arange(round(rate_hz * seconds)) / rate_hz)
    return sound / (np.abs(sound).max() or 1)
