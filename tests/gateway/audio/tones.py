"""Test tones, and their level after a filter."""

import numpy as np
from numpy.typing import NDArray

from gateway.audio.polyphase import FilterDesign, PolyphaseFilter

AMPLITUDE = 20_000

type Samples = NDArray[np.int16]


def filtered(design: FilterDesign, samples: Samples) -> Samples:
    """Return the filter's whole output: that of the samples, then the tail."""
    filter_ = PolyphaseFilter(design)
    return np.frombuffer(filter_.process(samples.astype("<i2").tobytes()) + filter_.flush(), "<i2")


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> Samples:
    times = np.arange(round(rate_hz * seconds)) / rate_hz
    return np.rint(AMPLITUDE * np.sin(2 * np.pi * hz * times)).astype(np.int16)


def level_db(samples: Samples, hz: float) -> float:
    """Return a frequency's level at 16 kHz in the steady part, relative to `AMPLITUDE`."""
    steady = samples[500:6900]  # whole periods of every multiple of 100 Hz
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)))) * 4 / len(steady)
    return float(20 * np.log10(spectrum[round(hz * len(steady) / 16_000)] / AMPLITUDE))
