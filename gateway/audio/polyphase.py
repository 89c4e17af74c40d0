"""A streaming FIR filter between two rates, independent of how its input is split. Pure.

A design is a symmetrical low-pass filter at a common multiple of both rates: `up` times the input
rate and `down` times the output rate. At that rate, zeros are inserted between the input samples,
and only every `down`th output is kept. So each output sample is a weighted sum of the input samples
around it, with the weights that do not meet a zero (one phase of the filter).

The weights are integers, with 2^15 for 1, and so are the samples. Their products and sums are exact
in float64 in whatever order BLAS adds them, so the output is the same bit by bit however the input
is split.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

UNITY: Final = 2**15  # the integer weight of 1

# A block is 16 groups of `down` input samples with their history. Multiplied by a matrix, it gives
# 16 groups of `up` output samples: one product per chunk instead of one per sample. Larger blocks
# multiply more zeros, smaller ones copy more.
_BLOCK_GROUPS: Final = 16


class FilterDesign:
    """A low-pass filter between two rates.

    Args:
        taps: symmetrical integer weights. The distance from the first to the middle weight must be
            a whole number of output samples, so that the delay is one, too.
        up: output samples per group.
        down: input samples per group.

    Attributes:
        delay_samples: delay of the output, in output samples.
        tail_samples: output samples after the end of the input that the filter still affects.
        history_samples: input samples before a group that its output depends on.
        matrix: the weights of a block, float64; rows are input (history first), columns output.
    """

    __slots__ = ("delay_samples", "down", "history_samples", "matrix", "tail_samples", "up")

    def __init__(self, taps: NDArray[np.int64], up: int, down: int) -> None:
        self.up = up
        self.down = down
        self.delay_samples = len(taps) // 2 // down
        self.tail_samples = 2 * self.delay_samples
        self.history_samples = (len(taps) - 1) // up
        self.matrix = self._block_matrix(taps / UNITY)

    def _block_matrix(self, taps: NDArray[np.float64]) -> NDArray[np.float64]:
        inputs = self.up * np.arange(-self.history_samples, _BLOCK_GROUPS * self.down)
        outputs = self.down * np.arange(_BLOCK_GROUPS * self.up)
        age = outputs - inputs[:, np.newaxis]
        meets = (age >= 0) & (age < len(taps))
        return np.where(meets, taps[age * meets], 0.0)


class PolyphaseFilter:
    """Changes the sampling rate of one track; keeps the necessary input between calls."""

    __slots__ = ("_design", "_history")

    def __init__(self, design: FilterDesign) -> None:
        self._design = design
        self._history = _silence(design.history_samples)  # plus an incomplete group

    def process(self, pcm: bytes) -> bytes:
        """Filter the next samples.

        Args:
            pcm: any number of samples, PCM16 little-endian, mono.

        Returns:
            `up` samples per group of `down`, delayed by `delay_samples`. An incomplete group is
            kept for the next call. Samples that exceed 16 bits are clipped.
        """
        design = self._design
        data = self._history + pcm
        groups = (len(data) // 2 - design.history_samples) // design.down
        self._history = data[2 * groups * design.down :]
        blocks = -(-groups // _BLOCK_GROUPS)
        padding = _silence((blocks * _BLOCK_GROUPS - groups) * design.down)
        windows = np.ndarray(
            (blocks, len(design.matrix)),
            "<i2",
            data + padding,
            strides=(2 * _BLOCK_GROUPS * design.down, 2),
        )
        samples = windows.astype(np.float64) @ design.matrix
        np.rint(samples, out=samples)
        samples.clip(-32768.0, 32767.0, out=samples)
        return samples.astype("<i2").tobytes()[: 2 * groups * design.up]

    def flush(self) -> bytes:
        """Return the filter's tail and reset it.

        Returns:
            The output of an incomplete group, then `tail_samples`. The total output of the filter
            is `up` / `down` of its input, rounded down, plus `tail_samples`.
        """
        design = self._design
        waiting = len(self._history) // 2 - design.history_samples
        tail = self.process(_silence(design.history_samples + design.down - 1))
        self._history = _silence(design.history_samples)
        return tail[: 2 * (design.tail_samples + waiting * design.up // design.down)]


def _silence(samples: int) -> bytes:
    return bytes(2 * samples)
