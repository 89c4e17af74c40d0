"""A streaming FIR filter between two rates that does not care how its input is cut. Pure.

A design is a symmetrical low-pass, seen at a rate that both rates divide: `up` times the input's,
`down` times the output's. Between input samples are zeros there, and of the output only what is
kept is computed: every output sample is the sum of the input samples around it, by those weights
that meet one (its phase of the filter).

Weights are integers, 2^15 for 1, and so are the samples: their products and sums are exact in
float64 whatever order BLAS adds them in, so the cut cannot change a bit.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

UNITY: Final = 2**15  # the weight that stands for 1

# 16 groups of `down` input samples, with those before them that they need, times a matrix are 16
# groups of `up` output samples: one product per chunk instead of one per sample. (Wider blocks
# multiply more zeros, narrower copy more.)
_BLOCK_GROUPS: Final = 16


class FilterDesign:
    """A low-pass between two rates.

    Args:
        taps: its weights, integers, symmetrical. From the first to the middle one it is a whole
            number of output samples, so that the delay is.
        up: output samples ...
        down: ... for so many input samples.

    Attributes:
        delay_samples: how late the output is, in its own samples.
        tail_samples: of the output, until the last input sample has rung out.
        history_samples: input before a group that its output needs.
        matrix: a block's input, history first, by its output; float64.
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
    """Changes the rate of one track's samples; keeps those that later ones need between calls."""

    __slots__ = ("_design", "_history")

    def __init__(self, design: FilterDesign) -> None:
        self._design = design
        self._history = _silence(design.history_samples)  # and what is less than a group

    def process(self, pcm: bytes) -> bytes:
        """Filter the next samples.

        Args:
            pcm: any number of samples, PCM16 little-endian, mono.

        Returns:
            `up` samples for each group of `down`, `delay_samples` late; what is less than a group
            waits for more. What exceeds 16 bits is limited.
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
            `tail_samples`, after what the samples that waited make: all in all `tail_samples` more
            than `up` / `down` of the input, rounded down.
        """
        design = self._design
        waiting = len(self._history) // 2 - design.history_samples
        tail = self.process(_silence(design.history_samples + design.down - 1))
        self._history = _silence(design.history_samples)
        return tail[: 2 * (design.tail_samples + waiting * design.up // design.down)]


def _silence(samples: int) -> bytes:
    return bytes(2 * samples)
