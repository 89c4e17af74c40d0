"""24 kHz to 16 kHz: a low-pass at 8 kHz. Pure.

97 taps at 48 kHz, which both rates divide: a sinc in Kaiser's window. What the lower rate can't
hold must go before it folds back, and speech must stay: computed, 0.005 dB of ripple up to 7 kHz,
0.1 dB down at 7.2, 6 at 8, and 63 dB from 9 kHz on. So nothing audible folds below 7 kHz; what lies
between 8 and 9 folds between 7 and 8, where speech has little. The output is 16 samples late: 1 ms.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.audio.polyphase import UNITY, FilterDesign

_UP: Final = 2
_DOWN: Final = 3
_DELAY_SAMPLES: Final = 16  # of the output: half the filter's length
_KAISER_BETA: Final = 6.2  # Kaiser's formula for the 65 dB that so long a filter has at 7-9 kHz


def _taps() -> NDArray[np.int64]:
    place = np.arange(-_DOWN * _DELAY_SAMPLES, _DOWN * _DELAY_SAMPLES + 1)
    weights = _UP / _DOWN * np.sinc(place / _DOWN) * np.kaiser(len(place), _KAISER_BETA)
    return np.rint(UNITY * weights).astype(np.int64)


TAPS: Final = _taps()
THIRD_BAND: Final = FilterDesign(TAPS, up=_UP, down=_DOWN)
