"""Changes the sample rate block by block with a windowed-sinc polyphase filter. Pure.

Output n corresponds to input position n * from_hz / to_hz, so the output has no delay. It does not
depend on how the input is divided into blocks.
"""

import math
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cli.audio.samples import Samples

# The anti-aliasing low-pass. 32 zero crossings on each side and a Kaiser window with beta 8 have a
# transition band of about 0.08 of the rate and attenuate by 80 dB beyond it. With the cutoff at
# 0.925 of the Nyquist frequency, 3.4 kHz passes unchanged and nothing above 4 kHz folds back.
_CROSSINGS: Final = 32
_KAISER_BETA: Final = 8.0
_CUTOFF: Final = 0.925
_MAX_KEPT_PHASES: Final = 1024  # limits the cache: unusual rates have up to `to_hz` phases


class Resampler:
    """Converts one channel.

    Args:
        from_hz: sample rate of the input.
        to_hz: sample rate of the output.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        common = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._step = max(1.0, from_hz / to_hz)  # one zero crossing of the filter, in input samples
        self._half = math.ceil(_CROSSINGS * self._step) if from_hz != to_hz else 0
        self._taps: dict[int, Samples] = {}
        self._received = 0  # input samples
        self._produced = 0  # output samples
        self._kept = np.zeros(self._half)  # input from position `_begin` on
        self._begin = -self._half

    def process(self, samples: Samples) -> Samples:
        """Convert a block and return the output that it completes."""
        self._received += len(samples)
        return self._convert(samples, self._received - self._half)

    def flush(self) -> Samples:
        """Return the remaining output; silence follows the end of the input."""
        return self._convert(np.zeros(self._half), self._received)

    def _convert(self, samples: Samples, until: int) -> Samples:
        """Return the outputs that correspond to input positions before `until`."""
        kept = np.concatenate((self._kept, samples))
        first, last = self._produced, max(self._produced, -(-until * self._up // self._down))
        out = np.empty(last - first)
        if len(out):
            windows = sliding_window_view(kept, 2 * self._half + 1)  # row i: around `begin`+half+i
            for n in range(first, min(first + self._up, last)):  # n, n + up ... have the same taps
                at, phase = divmod(n * self._down, self._up)
                count = len(range(n, last, self._up))
                rows = windows[at - self._begin - self._half :: self._down][:count]
                out[n - first :: self._up] = rows @ self._phase(phase)
        self._produced = last
        begin = last * self._down // self._up - self._half
        self._kept = kept[max(0, begin - self._begin) :].copy()
        self._begin = max(self._begin, begin)
        return out

    def _phase(self, phase: int) -> Samples:
        """Return the taps for outputs at a fraction `phase` / `up` between two inputs."""
        if (cached := self._taps.get(phase)) is not None:
            return cached
        offsets = np.arange(-self._half, self._half + 1)
        distance = (offsets - phase / self._up) / self._step
        inside = np.clip(1 - (distance / _CROSSINGS) ** 2, 0, None)
        taps: Samples = np.sinc(distance * _CUTOFF) * np.i0(_KAISER_BETA * np.sqrt(inside))
        taps /= taps.sum()
        if len(self._taps) < _MAX_KEPT_PHASES:
            self._taps[phase] = taps
        return taps
