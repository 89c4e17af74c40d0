"""8 kHz to 16 kHz: the filter's response to tones."""

import numpy as np
import pytest

from gateway.audio.resampler import HALF_BAND, HALF_TAPS
from tests.gateway.audio.tones import filtered, level_db, tone


@pytest.mark.parametrize("hz", [1000, 2500, 3400])
def test_images_are_55_db_down(hz: int) -> None:
    output = filtered(HALF_BAND, tone(hz, 8000))
    assert level_db(output, hz) - level_db(output, 8000 - hz) >= 55


@pytest.mark.parametrize("hz", [100, 300, 1000, 2000, 3000, 3400])
def test_pass_band_is_flat(hz: int) -> None:
    assert abs(level_db(filtered(HALF_BAND, tone(hz, 8000)), hz)) < 0.02


def test_every_second_sample_is_an_input_sample() -> None:
    samples = tone(1000, 8000)
    output = filtered(HALF_BAND, samples)
    assert output[HALF_BAND.delay_samples :: 2][: len(samples)].tolist() == samples.tolist()


def test_taps_are_the_minimax_design() -> None:
    """Lawson (1961): iterate weighted least squares, multiplying the weights by the error."""
    radians = 2 * np.pi * np.linspace(0, 3400, 300) / 8000
    cosines = 2 * np.cos(np.outer(radians, np.arange(12) + 0.5))
    weights, taps = np.ones(300), np.zeros(12)
    for _ in range(60):
        root = np.sqrt(weights)
        taps = np.linalg.lstsq(cosines * root[:, None], root, rcond=None)[0]
        weights *= np.abs(1 - cosines @ taps)
        weights /= weights.sum()
    assert np.abs(taps[::-1] * 2**15 - HALF_TAPS).max() <= 2
