"""The conversion of audio to what the engine transcribes."""

import audioop
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu.conversion import G711_HZ, Coding, Converter

NOISE = np.random.default_rng(7).integers(-9000, 9000, 80_000, "<i2").tobytes()


@pytest.mark.parametrize(
    "form",
    [
        (Coding.LINEAR, 24_000),
        (Coding.LINEAR, 48_000),
        (Coding.LINEAR, 16_000),
        (Coding.MULAW, G711_HZ),
        (Coding.ALAW, G711_HZ),
    ],
)
@pytest.mark.parametrize("interpolates", [True, False])
@given(cuts=st.lists(st.integers(0, 24_000), max_size=8))
def test_conversion_is_independent_of_how_audio_is_split(
    form: tuple[Coding, int], interpolates: bool, cuts: list[int]
) -> None:
    coding, rate_hz = form
    audio = NOISE[: rate_hz * (2 if coding is Coding.LINEAR else 1) // 4]
    converter = Converter(*form, interpolates=interpolates)
    whole = at_once(*form, audio, interpolates=interpolates)
    bounds = [0, *sorted(cuts), len(audio)]
    pairs = pairwise(min(each, len(audio)) for each in bounds)
    parts = [converter.convert(audio[begin:end]) for begin, end in pairs]
    assert b"".join([*parts, converter.flush()]) == whole
    assert len(whole) == 8000


def at_once(coding: Coding, rate_hz: int, audio: bytes, *, interpolates: bool = True) -> bytes:
    converter = Converter(coding, rate_hz, interpolates=interpolates)
    return converter.convert(audio) + converter.flush()


@pytest.mark.parametrize("rate_hz", [8000, 24_000, 48_000])
def test_conversion_keeps_speech_where_it_is(rate_hz: int) -> None:
    def tone(at_hz: int) -> np.ndarray:
        return (8000 * np.sin(2 * np.pi * 1000 * np.arange(at_hz) / at_hz)).astype("<i2")

    heard = np.frombuffer(at_once(Coding.LINEAR, rate_hz, tone(rate_hz).tobytes()), "<i2")
    assert np.abs(heard - tone(16_000).astype(int))[100:-100].max() <= 20


@pytest.mark.parametrize(
    ("coding", "decode"), [(Coding.MULAW, audioop.ulaw2lin), (Coding.ALAW, audioop.alaw2lin)]
)
@pytest.mark.parametrize("interpolates", [True, False])
def test_every_sample_of_g711_is_in_the_result(
    coding: Coding, decode: Callable[[bytes, int], bytes], interpolates: bool
) -> None:
    codes = bytes(range(256))
    samples = np.frombuffer(at_once(coding, G711_HZ, codes, interpolates=interpolates), "<i2")
    assert samples[::2].tobytes() == decode(codes, 2)
    assert np.array_equal(samples[1::2], samples[::2]) != interpolates
