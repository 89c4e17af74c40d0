"""8 kHz to 16 kHz: what the filter does to tones, and that cutting changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.audio.interpolator import (
    DELAY_SAMPLES,
    HALF_TAPS,
    TAIL_SAMPLES,
    HalfBandInterpolator,
)

EXTREMES = st.sampled_from([-32768, 32767, -1, 0, 1])
SAMPLES = st.lists(EXTREMES | st.integers(-32768, 32767), max_size=200)


def interpolate(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """All of it: the samples, then the tail."""
    filter_ = HalfBandInterpolator()
    return np.frombuffer(filter_.process(samples.astype("<i2").tobytes()) + filter_.flush(), "<i2")


def tone(hz: float, amplitude: float = 20_000, length: int = 4000) -> NDArray[np.int16]:
    return np.rint(amplitude * np.sin(2 * np.pi * hz / 8000 * np.arange(length))).astype(np.int16)


def level(samples: NDArray[np.int16], hz: float) -> float:
    """The amplitude of one frequency at 16 kHz, measured in the steady part."""
    steady = samples[500:6900]  # whole periods of every multiple of 100 Hz
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)))) * 4 / len(steady)
    return float(spectrum[round(hz * len(steady) / 16_000)])


def expected(samples: list[int]) -> list[int]:
    """The definition, sample by sample, in exact integers."""
    taps = HALF_TAPS + HALF_TAPS[::-1]
    padded = [0] * 23 + samples + [0] * 23
    out = []
    for n in range(len(samples) + 23):
        total = sum(tap * padded[n + k] for k, tap in enumerate(taps))
        whole, part = divmod(total, 1 << 15)
        whole += part > 1 << 14 or (part == 1 << 14 and whole % 2)  # halves to even
        out += [min(max(whole, -32768), 32767), padded[n + 12]]
    return out


@given(SAMPLES)
def test_output_is_the_rounded_and_limited_sum(samples: list[int]) -> None:
    assert interpolate(np.array(samples, dtype=np.int16)).tolist() == expected(samples)


@given(SAMPLES, st.lists(st.integers(0, 50)))
def test_cutting_changes_no_bit(samples: list[int], cuts: list[int]) -> None:
    pcm = np.array(samples, dtype="<i2").tobytes()
    pieces, rest = HalfBandInterpolator(), pcm
    cut_output = b""
    for cut in cuts:
        cut_output += pieces.process(rest[: 2 * cut])
        rest = rest[2 * cut :]
    cut_output += pieces.process(rest) + pieces.flush()
    whole = HalfBandInterpolator()
    assert cut_output == whole.process(pcm) + whole.flush()


def test_cutting_noise_into_chunks_changes_no_bit() -> None:
    """At the lengths of real calls, where BLAS takes other paths than for a few samples."""
    pcm = np.random.default_rng(1).integers(-32768, 32768, 20_000).astype("<i2").tobytes()
    whole = HalfBandInterpolator().process(pcm)
    for size in (2, 320, 1280, 1602, 12_800):
        pieces = HalfBandInterpolator()
        assert b"".join(pieces.process(pcm[n : n + size]) for n in range(0, 40_000, size)) == whole


@pytest.mark.parametrize("hz", [1000, 2500, 3400])
def test_images_are_55_db_down(hz: int) -> None:
    output = interpolate(tone(hz))
    assert 20 * np.log10(level(output, hz) / level(output, 8000 - hz)) >= 55


@pytest.mark.parametrize("hz", [100, 300, 1000, 2000, 3000, 3400])
def test_pass_band_is_flat(hz: int) -> None:
    assert abs(20 * np.log10(level(interpolate(tone(hz)), hz) / 20_000)) < 0.02


@pytest.mark.parametrize("sample", [1000, -32768, 32767])
def test_a_constant_keeps_its_value(sample: int) -> None:
    steady = interpolate(np.full(100, sample, dtype=np.int16))[50:-50]
    assert np.abs(steady.astype(int) - sample).max() <= abs(sample) / 700


def test_delay_is_under_2_ms() -> None:
    impulse = np.zeros(50, dtype=np.int16)
    impulse[10] = 10_000
    output = interpolate(impulse).astype(int)
    peak = 20 + DELAY_SAMPLES
    assert output[peak] == 10_000
    before, after = output[peak - 40 : peak], output[peak + 1 : peak + 41]
    assert before.tolist() == after[::-1].tolist()  # symmetrical: so it is for every tone
    assert DELAY_SAMPLES / 16 <= 2


def test_loud_input_is_limited_not_wrapped() -> None:
    """A full-scale square wave overshoots 16 bits between its samples."""
    square = np.where(np.arange(400) // 10 % 2, 32767, -32768).astype(np.int16)
    output = interpolate(square)
    assert output.min() == -32768
    assert output.max() == 32767
    assert output.tolist() == expected(square.tolist())


def test_flush_gives_the_tail_and_begins_anew() -> None:
    filter_ = HalfBandInterpolator()
    first = filter_.process(tone(1000, length=100).tobytes()) + filter_.flush()
    assert len(first) == 2 * (2 * 100 + TAIL_SAMPLES)
    assert filter_.process(tone(1000, length=100).tobytes()) + filter_.flush() == first


def test_taps_are_the_minimax_design_they_are_said_to_be() -> None:
    """Weighted least squares, the weights multiplied by the error each time (Lawson, 1961)."""
    radians = 2 * np.pi * np.linspace(0, 3400, 300) / 8000
    cosines = 2 * np.cos(np.outer(radians, np.arange(12) + 0.5))
    weights, taps = np.ones(300), np.zeros(12)
    for _ in range(60):
        root = np.sqrt(weights)
        taps = np.linalg.lstsq(cosines * root[:, None], root, rcond=None)[0]
        weights *= np.abs(1 - cosines @ taps)
        weights /= weights.sum()
    assert np.abs(taps[::-1] * 2**15 - HALF_TAPS).max() <= 2
