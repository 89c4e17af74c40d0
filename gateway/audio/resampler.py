"""Whatever rate a track has, to the 16 kHz that the model hears. Pure."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from gateway.audio.decimator import THIRD_BAND
from gateway.audio.interpolator import HALF_BAND
from gateway.audio.polyphase import PolyphaseFilter


class Resampler(Protocol):
    """Changes the rate of one track's samples, PCM16 little-endian, mono.

    How its input is cut changes no bit of what it gives in all.
    """

    def process(self, pcm: bytes) -> bytes:
        """Resample the next samples; return what they complete at 16 kHz."""

    def flush(self) -> bytes:
        """Return the remaining output and reset."""


class Unchanged:
    """What is 16 kHz stays as it is."""

    __slots__ = ()

    def process(self, pcm: bytes) -> bytes:
        """Return the samples unchanged."""
        return pcm

    def flush(self) -> bytes:
        """Return nothing, because nothing is buffered."""
        return b""


# By the track's rate in Hz; each call makes one for one track.
RESAMPLERS: Final[Mapping[int, Callable[[], Resampler]]] = {
    8000: partial(PolyphaseFilter, HALF_BAND),
    16000: Unchanged,
    24000: partial(PolyphaseFilter, THIRD_BAND),
}
