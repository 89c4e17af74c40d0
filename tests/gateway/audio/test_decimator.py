"""24 kHz to 16 kHz: the filter's response to tones."""

import pytest

from gateway.audio.resampler import THIRD_BAND
from tests.gateway.audio.tones import filtered, level_db, tone


@pytest.mark.parametrize("hz", [100, 300, 1000, 3000, 5000, 6000, 6600, 7000])
def test_pass_band_is_flat(hz: int) -> None:
    assert abs(level_db(filtered(THIRD_BAND, tone(hz, 24_000)), hz)) < 0.01


@pytest.mark.parametrize("hz", [9000, 9100, 9500, 10_000, 11_000, 11_900])
def test_frequencies_above_9_khz_do_not_fold_back(hz: int) -> None:
    assert level_db(filtered(THIRD_BAND, tone(hz, 24_000)), 16_000 - hz) <= -60


@pytest.mark.parametrize("hz", [1000, 3000, 5000, 7000])
def test_images_do_not_fold_back(hz: int) -> None:
    """The zeros between samples mirror a tone about 12 kHz, which could fold to below 8 kHz."""
    output = filtered(THIRD_BAND, tone(hz, 24_000))
    assert level_db(output, abs(16_000 - (24_000 - hz))) <= -60


@pytest.mark.parametrize(("hz", "db"), [(7200, -0.12), (8800, -37.4)])
def test_attenuation_at_the_edge_of_the_band(hz: int, db: float) -> None:
    level = level_db(filtered(THIRD_BAND, tone(hz, 24_000)), min(hz, 16_000 - hz))
    assert level == pytest.approx(db, abs=0.01 * abs(db))
