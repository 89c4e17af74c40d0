"""Another rate by a windowed-sinc filter in polyphase form, block by block. Pure.

Output n stands at input position n * from_hz / to_hz, so there is no delay to account for. How the
input is cut does not change the output.
"""

import math
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cli.audio.samples import Samples

# The low-pass in front of the new rate. 32 zero crossings a side under a Kaiser window of 8 give a
# transition of about 0.08 of the rate and 80 dB beyond it; centred at 0.925 of the Nyquist
# frequency, 3.4 kHz passes whole and nothing above 4 kHz folds back.
_CROSSINGS: Final = 32
_KAISER_BETA: Final = 8.0
_CUTOFF: Final = 0.925
_MAX_KEPT_PHASES: Final = 1024  # of the filter's taps; odd rates have up to `to_hz`


class Resampler:
    """Converts one channel.

    Args:
        from_hz: rate of what comes in.
        to_hz: rate of what goes out.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        common = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._step = max(1.0, from_hz / to_hz)  # one zero crossing of the filter, in input samples
        self._half = math.ceil(_CROSSINGS * self._step) if from_hz != to_hz else 0
        self._taps: dict[int, Samples] = {}
        self._received = 0  # input samples
        self._given = 0  # output samples
        self._kept = np.zeros(self._half)  # input from position `_begin` on
        self._begin = -self._half

    def process(self, samples: Samples) -> Samples:
        """Convert a block; return the output that it completes."""
        self._received += len(samples)
        return self._convert(samples, self._received - self._half)

    def flush(self) -> Samples:
        """Return what is left, with silence after the end."""
        return self._convert(np.zeros(self._half), self._received)

    def _convert(self, samples: Samples, until: int) -> Samples:
        """Return the outputs that stand before an input position."""
        kept = np.concatenate((self._kept, samples))
        first, last = self._given, max(self._given, -(-until * self._up // self._down))
        out = np.empty(last - first)
        if len(out):
            windows = sliding_window_view(kept, 2 * self._half + 1)  # row i: around `begin`+half+i
            for n in range(first, min(first + self._up, last)):  # n, n + up ... see the same taps
                at, phase = divmod(n * self._down, self._up)
                count = len(range(n, last, self._up))
                rows = windows[at - self._begin - self._half :: self._down][:count]
                out[n - first :: self._up] = rows @ self._phase(phase)
        self._given = last
        begin = last * self._down // self._up - self._half
        self._kept = kept[max(0, begin - self._begin) :].copy()
        self._begin = max(self._begin, begin)
        return out

    def _phase(self, phase: int) -> Samples:
        """The filter's taps for outputs that stand so far between two inputs."""
        if (known := self._taps.get(phase)) is not None:
            return known
        offsets = np.arange(-self._half, self._half + 1)
        distance = (offsets - phase / self._up) / self._step
        inside = np.clip(1 - (distance / _CROSSINGS) ** 2, 0, None)
        taps: Samples = np.sinc(distance * _CUTOFF) * np.i0(_KAISER_BETA * np.sqrt(inside))
        taps /= taps.sum()
        if len(self._taps) < _MAX_KEPT_PHASES:
            self._taps[phase] = taps
        return taps
