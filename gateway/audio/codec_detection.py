"""Detect a track's actual encoding from the statistics of its payload. Pure.

The same bytes are decoded in each of the four encodings. In the right one, speech has a spectrum
with peaks and valleys; in a wrong one the spectrum is nearly flat. The measure is the prominence:
the ratio of the arithmetic to the geometric mean of the averaged power spectrum, 0 dB for white
noise.

    condition, for one window of the payload                         the window votes for
    the announced encoding has the most prominent spectrum           the announced encoding
    another one has it, and the announced one is nearly flat         that other encoding
    anything else                                                    nothing

A window votes only if it has many distinct byte values, and if it resembles speech when decoded in
the encoding that it votes for. Silence, comfort noise, tones and clicks do not vote. Even and odd
bytes of 16-bit samples have different distributions, those of G.711 have the same: a vote for an
encoding with another sample size must fit that as well. The two laws of G.711 are the hardest to
distinguish: decoded by the other law, a sample keeps its sign and roughly its size. Between these
two, votes decide only if their spectra vary, as those of speech do and those of a repeated beep do
not.

The sampling rate cannot be detected this way: narrow-band speech at 16 kHz looks like speech at
8 kHz that is played too fast. Figures: docs/decisions/0012-codec-detection.md.
"""

from collections import Counter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.audio.encodings import Encoding, TrackFormat, decode

_WINDOW_MS: Final = 400  # of G.711; the same bytes are 200 ms of 16-bit audio
_MAX_WINDOWS: Final = 100  # that have sound or are skipped: 40 s of G.711, 20 s of 16-bit audio
# Sound that does not vote, such as music on hold, is analyzed less and less often.
_PATIENCE: Final = 8  # windows in a row without a vote; after the 9th, 2 windows are skipped ...
_MAX_SKIPPED: Final = 16  # ... after the 10th 4, and so on up to this number
_VOTES: Final = 6  # votes for one encoding that decide ...
_SHARE: Final = 0.8  # ... if they are at least this share of all votes

_MIN_DISTINCT: Final = 64  # byte values in a window with sound
_PROMINENT_DB: Final = 5.0  # minimum prominence in the right encoding
_FLAT_DB: Final = 6.5  # maximum prominence in a wrong encoding
_MARGIN_DB: Final = 3.0  # minimum difference of the two
_MIN_SMOOTHER: Final = 0.05  # minimum lead of the right encoding in neighboring-sample correlation
_MIN_CHANGE_DB: Final = 2.0  # standard deviation between the votes' spectra, mean of all bins
_MIN_RMS: Final = 60.0  # -55 dBFS
_MAX_RMS: Final = 26_000.0  # -2 dBFS
_MIN_KURTOSIS: Final = 2.2  # a sine has 1.5, noise 3, speech 3 to 15
_MAX_KURTOSIS: Final = 25.0  # clicks have more
_MIN_SWING_DB: Final = 2.0  # standard deviation of the level within a window, due to syllables
_SWING_BLOCKS: Final = 16
# Difference between the distributions of even and odd bytes, from 0 to 1.
_MIN_DIFFERENCE: Final = 0.25  # in 16-bit samples
_MAX_DIFFERENCE: Final = 0.2  # in G.711

_SEGMENT: Final = 128  # samples per spectrum
_TAPER: Final = np.hanning(_SEGMENT)
_G711: Final = {Encoding.PCMU, Encoding.PCMA}

type _Samples = NDArray[np.float64]


class CodecDetector:
    """Detects a wrong encoding in the first audio of one track.

    The result does not depend on how the audio is split into payloads.

    Args:
        form: the announced format.

    Attributes:
        is_done: whether the result is final; more audio does not change it.
        found: the detected encoding, if it differs from the announced one.
    """

    __slots__ = (
        "_announced",
        "_fruitless",
        "_pending",
        "_shapes",
        "_skip",
        "_votes",
        "_window_bytes",
        "_windows_left",
        "found",
        "is_done",
    )

    def __init__(self, form: TrackFormat) -> None:
        self.found: Encoding | None = None
        self.is_done = False
        self._announced = form.encoding
        self._window_bytes = _WINDOW_MS * form.rate_hz // 1000
        self._windows_left = _MAX_WINDOWS
        self._fruitless = 0  # windows since the last vote
        self._skip = 0
        self._pending = bytearray()
        self._votes: Counter[Encoding] = Counter()
        self._shapes: list[_Samples] = []  # spectra of the votes against the announced encoding

    def receive(self, payload: bytes) -> None:
        """Add the next bytes of the track; analyze each window that they complete."""
        self._pending += payload
        while len(self._pending) >= self._window_bytes and not self.is_done:
            window = bytes(self._pending[: self._window_bytes])
            del self._pending[: self._window_bytes]
            if self._skip:
                self._skip -= 1
            elif _has_sound(window):
                self._judge(window)
            else:
                continue
            self._windows_left -= 1
            if not self._windows_left:
                self.is_done = True

    def align(self) -> None:
        """Pad half a sample to a whole one, because the next payload starts with a whole sample."""
        self._pending += bytes(len(self._pending) % 2)

    def _judge(self, window: bytes) -> None:
        fit = find_fit(window, self._announced)
        if fit is None:
            self._fruitless += 1
            if self._fruitless > _PATIENCE:
                self._skip = min(2 ** (self._fruitless - _PATIENCE), _MAX_SKIPPED)
            return
        self._fruitless = 0
        if fit.encoding is not self._announced:
            self._shapes.append(fit.shape_db)
        self._votes[fit.encoding] += 1
        votes = self._votes[fit.encoding]
        if votes < _VOTES or votes < _SHARE * self._votes.total():
            return
        if fit.encoding is self._announced:
            self.is_done = True
        elif {fit.encoding, self._announced} != _G711 or _change_db(self._shapes) >= _MIN_CHANGE_DB:
            self.is_done = True
            self.found = fit.encoding


def _has_sound(window: bytes) -> bool:
    values = np.frombuffer(window, np.uint8)
    return int(np.count_nonzero(np.bincount(values))) >= _MIN_DISTINCT


class Fit(NamedTuple):
    """The encoding that a window fits."""

    encoding: Encoding
    shape_db: _Samples  # power spectrum in that encoding, minus its mean


def find_fit(window: bytes, announced: Encoding) -> Fit | None:
    """Return the encoding that a window of speech fits; None if the result is not clear.

    Args:
        window: an even number of bytes, 1600 or more.
        announced: the announced encoding.
    """
    views = {encoding: _View(encoding, window) for encoding in Encoding}
    best, other = max(views.values(), key=lambda view: view.prominence_db), views[announced]
    if best.prominence_db < _PROMINENT_DB or not _is_like_speech(best.samples):
        return None
    fit = Fit(best.encoding, best.shape_db)
    if best is other:
        return fit
    is_clear = (
        other.prominence_db <= min(_FLAT_DB, best.prominence_db - _MARGIN_DB)
        and _smoothness(best.samples) - _smoothness(other.samples) >= _MIN_SMOOTHER
        and _fits_sample_size(best.encoding, announced, window)
    )
    return fit if is_clear else None


class _View:
    """A window decoded in one encoding."""

    __slots__ = ("encoding", "prominence_db", "samples", "shape_db")

    def __init__(self, encoding: Encoding, window: bytes) -> None:
        self.encoding = encoding
        self.samples = np.frombuffer(decode(encoding, window), "<i2").astype(np.float64)
        segments = self.samples[: len(self.samples) // _SEGMENT * _SEGMENT].reshape(-1, _SEGMENT)
        spectra = np.fft.rfft(segments * _TAPER)[:, 2:-1]  # drops the mean
        power = (spectra.real**2 + spectra.imag**2).mean(axis=0) + 1.0
        power_db = 10 * np.log10(power)
        self.prominence_db = float(10 * np.log10(power.mean()) - power_db.mean())
        self.shape_db = power_db - power_db.mean()


def _change_db(shapes_db: list[_Samples]) -> float:
    return float(np.std(shapes_db, axis=0).mean())


def _smoothness(samples: _Samples) -> float:
    """Return the correlation of neighboring samples."""
    centred = samples - samples.mean()
    return float(centred[1:] @ centred[:-1] / (centred @ centred + 1.0))


def _is_like_speech(samples: _Samples) -> bool:
    power = (samples - samples.mean()) ** 2
    mean = float(power.mean())
    if not _MIN_RMS**2 <= mean <= _MAX_RMS**2:
        return False
    kurtosis = float((power**2).mean()) / mean**2
    blocks = power[: len(power) // _SWING_BLOCKS * _SWING_BLOCKS].reshape(_SWING_BLOCKS, -1)
    swing_db = float((10 * np.log10(blocks.mean(axis=1) + 1.0)).std())
    return _MIN_KURTOSIS <= kurtosis <= _MAX_KURTOSIS and swing_db >= _MIN_SWING_DB


def _fits_sample_size(encoding: Encoding, announced: Encoding, window: bytes) -> bool:
    """Return whether even and odd bytes fit the sample size; True if the sizes are equal."""
    if encoding.sample_bytes == announced.sample_bytes:
        return True
    values = np.frombuffer(window, np.uint8) >> 2
    even, odd = (np.bincount(values[first::2], minlength=64) for first in (0, 1))
    difference = float(np.abs(even - odd).sum()) / len(values)
    if encoding.sample_bytes == 1:
        return difference <= _MAX_DIFFERENCE
    return difference >= _MIN_DIFFERENCE
