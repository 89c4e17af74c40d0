"""Cuts a call's tracks into frames and encodes them as carriers do. Pure."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from cli.callers.call import MULAW_SILENCE
from gateway.audio.encodings import Encoding, decode
from gateway.audio.resampler import RESAMPLERS

FRAME_MS: Final = 20
FRAME_BYTES: Final = 160  # mu-law

type Encoder = Callable[[bytes], bytes]  # encodes one track's mu-law, piece by piece


def cut(tracks: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield one frame of 20 ms of each track at a time; shorter tracks are padded with silence."""
    for at in range(0, max(map(len, tracks), default=0), FRAME_BYTES):
        yield [audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, MULAW_SILENCE) for audio in tracks]


def count(tracks: Sequence[bytes], batch: int = 1) -> int:
    """Return how many batches of frames `cut` yields, for all tracks together."""
    return -(-max(map(len, tracks), default=0) // (batch * FRAME_BYTES)) * len(tracks)


def mulaw() -> Encoder:
    """Return an encoder that leaves mu-law unchanged."""
    return bytes


def linear_8k() -> Encoder:
    """Return an encoder to 16-bit little-endian PCM at 8 kHz."""
    return partial(decode, Encoding.PCMU)


def linear_16k() -> Encoder:
    """Return an encoder to 16-bit little-endian PCM at 16 kHz.

    It uses the gateway's resampler, so that the model receives the same audio as from mu-law. The
    filter's tail of 3 ms is not sent, so a track keeps its length.
    """
    resampler = RESAMPLERS[8000]()
    return lambda frames: resampler.process(decode(Encoding.PCMU, frames))


def linear(frames: Sequence[bytes]) -> bytes:
    """Decode mu-law to 16-bit little-endian PCM, with the channels interleaved."""
    return interleave([decode(Encoding.PCMU, frame) for frame in frames], 2)


def interleave(channels: Sequence[bytes], sample_bytes: int) -> bytes:
    """Interleave equally long channels sample by sample."""
    samples = [np.frombuffer(channel, f"u{sample_bytes}") for channel in channels]
    return np.stack(samples, axis=1).tobytes()
