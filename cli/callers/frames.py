"""A call's tracks, cut into frames and encoded as carriers do. Pure."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from cli.wav import MULAW_SILENCE
from gateway.audio.encodings import Encoding, decode
from gateway.audio.resampler import RESAMPLERS

FRAME_MS: Final = 20
FRAME_BYTES: Final = 160  # mu-law

type Encoder = Callable[[bytes], bytes]  # of one track's mu-law, piece by piece


def cut(tracks: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Cut tracks into frames of 20 ms, one of each track at a time; the shorter are padded."""
    for at in range(0, max(map(len, tracks), default=0), FRAME_BYTES):
        yield [audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, MULAW_SILENCE) for audio in tracks]


def count(tracks: Sequence[bytes], batch: int = 1) -> int:
    """How many batches of frames `cut` gives, of all tracks together."""
    return -(-max(map(len, tracks), default=0) // (batch * FRAME_BYTES)) * len(tracks)


def mulaw() -> Encoder:
    """Make what leaves mu-law as it is."""
    return bytes


def linear_8k() -> Encoder:
    """Make what decodes it to 16-bit little-endian PCM."""
    return partial(decode, Encoding.PCMU)


def linear_16k() -> Encoder:
    """Make what decodes it and doubles its rate, so that the model hears what it would of mu-law.

    The filter's tail, 3 ms, is not sent: a track is as long as it was.
    """
    resampler = RESAMPLERS[8000]()
    return lambda frames: resampler.process(decode(Encoding.PCMU, frames))


def linear(frames: Sequence[bytes]) -> bytes:
    """Decode mu-law to 16-bit little-endian PCM; channels lie sample by sample."""
    return interleave([decode(Encoding.PCMU, frame) for frame in frames], 2)


def interleave(channels: Sequence[bytes], sample_bytes: int) -> bytes:
    """Lay equally long channels sample by sample into one."""
    samples = [np.frombuffer(channel, f"u{sample_bytes}") for channel in channels]
    return np.stack(samples, axis=1).tobytes()
