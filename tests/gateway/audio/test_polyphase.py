"""The streaming filter, for each design: its output, and independence of how input is split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.audio.polyphase import FilterDesign, PolyphaseFilter
from gateway.audio.resampler import HALF_BAND, HALF_BAND_TAPS, THIRD_BAND, THIRD_BAND_TAPS
from tests.gateway.audio.tones import filtered

TAPS = {HALF_BAND: HALF_BAND_TAPS, THIRD_BAND: THIRD_BAND_TAPS}
DESIGNS = st.sampled_from(list(TAPS))
EXTREMES = st.sampled_from([-32768, 32767, -1, 0, 1])
SAMPLES = st.lists(EXTREMES | st.integers(-32768, 32767), max_size=200)
each_design = pytest.mark.parametrize("design", TAPS, ids=["8 kHz", "24 kHz"])


def expected(design: FilterDesign, samples: NDArray[np.int16]) -> list[int]:
    """Compute the definition in exact integers: insert zeros, filter, keep each `down`th sample."""
    length = len(samples) * design.up // design.down + design.tail_samples
    spread = np.zeros(max(1, design.up * len(samples)), np.int64)
    spread[: design.up * len(samples) : design.up] = samples
    sums = np.append(np.convolve(spread, TAPS[design]), np.zeros(design.down * length, np.int64))
    out = []
    for total in sums[: design.down * length : design.down].tolist():
        whole, part = divmod(total, 1 << 15)
        whole += part > 1 << 14 or (part == 1 << 14 and whole % 2)  # round half to even
        out.append(min(max(whole, -32768), 32767))
    return out


@given(DESIGNS, SAMPLES)
def test_output_is_the_rounded_and_limited_sum(design: FilterDesign, values: list[int]) -> None:
    samples = np.array(values, dtype=np.int16)
    assert filtered(design, samples).tolist() == expected(design, samples)


@given(DESIGNS, SAMPLES)
def test_output_after_the_tail_is_zero(design: FilterDesign, values: list[int]) -> None:
    """All sums beyond the tail are zero, for any samples."""
    length = len(values) * design.up // design.down + design.tail_samples
    more = np.array(values + [0] * 30, dtype=np.int16)
    assert not any(expected(design, more)[length:])


@given(DESIGNS, SAMPLES, st.lists(st.integers(0, 50)))
def test_output_does_not_depend_on_how_input_is_split(
    design: FilterDesign, values: list[int], cuts: list[int]
) -> None:
    pcm = np.array(values, dtype="<i2").tobytes()
    pieces, rest = PolyphaseFilter(design), pcm
    cut_output, taken = b"", 0
    for cut in cuts:
        cut_output += pieces.process(rest[: 2 * cut])
        rest = rest[2 * cut :]
        taken = (len(pcm) - len(rest)) // 2
        # At most an incomplete group is missing.
        assert len(cut_output) == 2 * (taken // design.down * design.up)
    cut_output += pieces.process(rest) + pieces.flush()
    whole = PolyphaseFilter(design)
    assert cut_output == whole.process(pcm) + whole.flush()


@each_design
def test_output_does_not_depend_on_chunk_length(design: FilterDesign) -> None:
    """Use lengths of real calls, for which BLAS takes other paths than for a few samples."""
    pcm = np.random.default_rng(1).integers(-32768, 32768, 19_200).astype("<i2").tobytes()
    whole = PolyphaseFilter(design).process(pcm)
    assert len(whole) == len(pcm) * design.up // design.down
    for size in (2, 320, 1280, 1602, 3840, 12_800):
        pieces = PolyphaseFilter(design)
        parts = [pieces.process(pcm[n : n + size]) for n in range(0, len(pcm), size)]
        assert b"".join(parts) == whole


@each_design
@pytest.mark.parametrize("length", [99, 100, 101])
def test_flush_returns_the_tail_and_resets_the_filter(design: FilterDesign, length: int) -> None:
    pcm = np.random.default_rng(2).integers(-9000, 9000, length).astype("<i2").tobytes()
    filter_ = PolyphaseFilter(design)
    first = filter_.process(pcm) + filter_.flush()
    assert len(first) == 2 * (length * design.up // design.down + design.tail_samples)
    assert filter_.process(pcm) + filter_.flush() == first


@each_design
def test_phase_is_linear_and_delay_matches_the_design(design: FilterDesign) -> None:
    impulse = np.zeros(60, dtype=np.int16)
    impulse[30] = 10_000
    output = filtered(design, impulse).astype(int)
    peak = 30 * design.up // design.down + design.delay_samples
    assert np.argmax(output) == peak
    before, after = output[peak - 16 : peak], output[peak + 1 : peak + 17]
    # Symmetrical: the phase is linear for every tone.
    assert before.tolist() == after[::-1].tolist()
    assert design.delay_samples / 16 <= 1.5


@each_design
@pytest.mark.parametrize("sample", [1000, -32768, 32767])
def test_a_constant_keeps_its_value(design: FilterDesign, sample: int) -> None:
    steady = filtered(design, np.full(150, sample, dtype=np.int16))[50:-50]
    assert np.abs(steady.astype(int) - sample).max() <= abs(sample) / 700


@each_design
def test_loud_input_is_limited_not_wrapped(design: FilterDesign) -> None:
    """A full-scale square wave overshoots 16 bits between its samples."""
    square = np.where(np.arange(420) // 10 % 2, 32767, -32768).astype(np.int16)
    output = filtered(design, square)
    assert output.min() == -32768
    assert output.max() == 32767
    assert output.tolist() == expected(design, square)
