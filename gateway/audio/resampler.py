"""Resample tracks of any supported rate to the 16 kHz of the model, and that for servers. Pure.

8 kHz to 16 kHz: a half-band filter of 47 taps, every second of which is zero except the middle one.
So of each two output samples one is an unchanged input sample, and the other a weighted sum of the
24 input samples around it. Only these 24 weights are designed: they minimize the largest deviation
from a perfect interpolator between 0 and 3.4 kHz, the telephone band (Chebyshev's criterion, by
Lawson's iteration of weighted least squares; a test derives them again). The output is 23 samples
late: 1.4 ms. The standard library's linear `ratecv` suppresses images (a 3.4 kHz tone's mirror at
4.6 kHz) by 4 dB, this filter by 63 dB. soxr would delay the audio by 60-120 ms.

24 kHz to 16 kHz: a low-pass at 8 kHz of 97 taps at 48 kHz, a common multiple of both rates: a sinc
in a Kaiser window. It removes what the lower rate cannot represent and keeps speech. Computed:
0.005 dB of ripple up to 7 kHz, 0.1 dB down at 7.2 kHz, 6 dB at 8 kHz, and 63 dB from 9 kHz on. So
nothing audible folds below 7 kHz; frequencies between 8 and 9 kHz fold to between 7 and 8 kHz,
where speech has little energy. The output is 16 samples late: 1 ms.

16 kHz to 24 kHz, for servers that accept nothing else: the same low-pass. Every third of its
weights is zero except the middle one, so of each three output samples one is an unchanged input
sample. The delay is removed: a stretch of audio and its output begin and end together.

16 kHz to G.711, for servers that accept it: the unchanged samples of the half-band filter are what
the carrier sent, so its bytes are restored exactly (`Original`).
"""

import audioop
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.audio.encodings import G711, Encoding
from gateway.audio.polyphase import UNITY, FilterDesign, PolyphaseFilter

# The first half of the 24 symmetrical weights for 8 kHz, the outermost first.
HALF_TAPS: Final = (-55, 99, -183, 310, -493, 751, -1113, 1631, -2416, 3752, -6694, 20773)

_THIRD_BAND_UP: Final = 2
_THIRD_BAND_DOWN: Final = 3
_THIRD_BAND_DELAY_SAMPLES: Final = 16  # of the output: half the filter's length
_KAISER_BETA: Final = 6.2  # Kaiser's formula for 65 dB, with a filter of this length at 7-9 kHz


def _half_band_taps() -> NDArray[np.int64]:
    taps = np.zeros(4 * len(HALF_TAPS) - 1, np.int64)
    taps[::2] = HALF_TAPS + HALF_TAPS[::-1]
    taps[len(taps) // 2] = UNITY
    return taps


def _third_band_taps(gain: float) -> NDArray[np.int64]:
    half_length = _THIRD_BAND_DOWN * _THIRD_BAND_DELAY_SAMPLES
    offsets = np.arange(-half_length, half_length + 1)
    weights = gain * np.sinc(offsets / _THIRD_BAND_DOWN) * np.kaiser(len(offsets), _KAISER_BETA)
    return np.rint(UNITY * weights).astype(np.int64)


HALF_BAND_TAPS: Final = _half_band_taps()
THIRD_BAND_TAPS: Final = _third_band_taps(_THIRD_BAND_UP / _THIRD_BAND_DOWN)
HALF_BAND: Final = FilterDesign(HALF_BAND_TAPS, up=2, down=1)
THIRD_BAND: Final = FilterDesign(THIRD_BAND_TAPS, up=_THIRD_BAND_UP, down=_THIRD_BAND_DOWN)
_TO_24_KHZ: Final = FilterDesign(
    _third_band_taps(gain=1.0), up=_THIRD_BAND_DOWN, down=_THIRD_BAND_UP
)


class Resampler(Protocol):
    """Changes the rate of one track's samples, PCM16 little-endian, mono.

    The total output is the same bit by bit however the input is split.
    """

    def process(self, pcm: bytes) -> bytes:
        """Resample the next samples; return the samples that they complete."""

    def flush(self) -> bytes:
        """Return the remaining output and reset the state."""


class Unchanged:
    """Passes 16 kHz audio through."""

    __slots__ = ()

    def process(self, pcm: bytes) -> bytes:
        """Return the samples unchanged."""
        return pcm

    def flush(self) -> bytes:
        """Return nothing, because nothing is buffered."""
        return b""


class Centered:
    """Filters a stretch of audio without delay: the output has exactly its length.

    Args:
        design: the filter.
    """

    __slots__ = ("_delay_bytes", "_early_bytes", "_filter")

    def __init__(self, design: FilterDesign) -> None:
        self._filter = PolyphaseFilter(design)
        self._delay_bytes = 2 * design.delay_samples
        self._early_bytes = self._delay_bytes  # of the output, before the audio begins

    def process(self, pcm: bytes) -> bytes:
        """Filter the next samples; return the samples that they complete."""
        filtered = self._filter.process(pcm)
        early = min(self._early_bytes, len(filtered))
        self._early_bytes -= early
        return filtered[early:]

    def flush(self) -> bytes:
        """End the stretch; return its remaining output."""
        tail = self._filter.flush()[self._early_bytes :]
        self._early_bytes = self._delay_bytes
        return tail[: len(tail) - self._delay_bytes]


_EVERY_SAMPLE: Final = np.arange(2**16, dtype="<u2").tobytes()
# The G.711 codes of all 16-bit samples, in the order of their unsigned values.
_CODES: Final[Mapping[Encoding, NDArray[np.uint8]]] = {
    Encoding.PCMU: np.frombuffer(audioop.lin2ulaw(_EVERY_SAMPLE, 2), np.uint8),
    Encoding.PCMA: np.frombuffer(audioop.lin2alaw(_EVERY_SAMPLE, 2), np.uint8),
}


class Original:
    """Restores the G.711 audio, 8 kHz, of a track that `PolyphaseFilter(HALF_BAND)` has resampled.

    Its output has an even number of samples, however the track is split, and so have padding and
    whole milliseconds of it. The second of each two is a sample of the track, which the encoding
    represents exactly. Only the negative zero of mu-law, 0x7f, becomes the positive one, 0xff. The
    filter's delay and tail are silence.

    Args:
        law: the track's encoding, PCMU or PCMA.
    """

    __slots__ = ("_codes",)

    def __init__(self, law: Encoding) -> None:
        self._codes = _CODES[law]

    def process(self, pcm: bytes) -> bytes:
        """Return the G.711 audio of a stretch with an even number of samples."""
        return self._codes.take(np.frombuffer(pcm, "<u2")[1::2]).tobytes()

    def flush(self) -> bytes:
        """Return nothing, because nothing is buffered."""
        return b""


# To 16 kHz, by the track's rate in Hz; a call creates the resampler of one track.
RESAMPLERS: Final[Mapping[int, Callable[[], Resampler]]] = {
    8000: partial(PolyphaseFilter, HALF_BAND),
    16000: Unchanged,
    24000: partial(PolyphaseFilter, THIRD_BAND),
}
# From 16 kHz, by the server's rate in Hz; a call creates the resampler of one session.
SERVER_RESAMPLERS: Final[Mapping[int, Callable[[], Resampler]]] = {
    16000: Unchanged,
    24000: partial(Centered, _TO_24_KHZ),
}


def server_resampler(encoding: Encoding, rate_hz: int = 16_000) -> Resampler:
    """Return what makes the audio for a server from PCM16 at 16 kHz.

    Args:
        encoding: PCMU or PCMA restores the audio of a track in that encoding.
        rate_hz: rate of the PCM16 audio that the server accepts otherwise.
    """
    return Original(encoding) if encoding in G711 else SERVER_RESAMPLERS[rate_hz]()
