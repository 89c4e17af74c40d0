"""The resampler preserves speech, suppresses aliases and does not depend on block sizes."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.audio.resampler import Resampler
from cli.audio.samples import Samples, encode_pcm16
from tests.cli.audio.files import level_db, tone

NOISE = np.random.default_rng(3).normal(0, 0.2, 3000)


def resample(samples: Samples, from_hz: int, to_hz: int, cuts: list[int] | None = None) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    blocks = np.split(samples, sorted(cuts or []))
    return np.concatenate([*map(resampler.process, blocks), resampler.flush()])


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11025, 16000, 22050, 44100, 48000])
def test_speech_passes_and_aliases_are_suppressed(rate_hz: int) -> None:
    for frequency_hz in (300, 1000, 3400):
        if frequency_hz < 0.45 * rate_hz:
            passed = level_db(resample(tone(frequency_hz, rate_hz), rate_hz, 8000))
            assert passed == pytest.approx(0, abs=0.1)
    for frequency_hz in (4300, 5000, 7000):
        if frequency_hz < rate_hz / 2:
            assert level_db(resample(tone(frequency_hz, rate_hz), rate_hz, 8000)) < -70


@pytest.mark.parametrize("rate_hz", [11025, 16000, 44100, 48000])
def test_output_has_no_delay(rate_hz: int) -> None:
    """The output is the tone itself at the new rate, sample for sample."""
    out = resample(tone(1000, rate_hz), rate_hz, 8000)
    assert len(out) == 8000
    assert np.allclose(out[400:-400], tone(1000, 8000)[400:-400], atol=1e-3)


@given(
    st.lists(st.integers(0, 3000), max_size=6),
    st.sampled_from([7350, 8000, 16000, 44100, 48000]),
    st.sampled_from([8000, 16000]),
)
def test_block_sizes_do_not_change_output(cuts: list[int], from_hz: int, to_hz: int) -> None:
    whole = resample(NOISE, from_hz, to_hz)
    assert np.allclose(resample(NOISE, from_hz, to_hz, cuts), whole, rtol=0, atol=1e-12)


@given(st.integers(0, 50), st.sampled_from([7350, 8000, 16000, 22050]))
def test_any_length_converts(length: int, rate_hz: int) -> None:
    out = resample(np.zeros(length), rate_hz, 8000)
    assert len(out) == -(-length * 8000 // rate_hz)


def test_loud_audio_is_clipped() -> None:
    assert encode_pcm16(np.array([2.0, -2.0, 0.0])) == struct.pack("<3h", 32767, -32768, 0)
