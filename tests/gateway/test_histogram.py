"""Fast histograms: the same samples as prometheus_client's, and quantiles from buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as LibraryHistogram

from gateway.histogram import Histogram, HistogramMetric

BOUNDS = (0.1, 0.5, 1.0, 5.0)


@given(st.lists(st.floats(-1, 10) | st.sampled_from(BOUNDS)))
def test_exposition_equals_that_of_the_library(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    metric = HistogramMetric("callscribe_x_seconds", "Help.", BOUNDS)
    ours.register(metric)
    library = LibraryHistogram("callscribe_x_seconds", "Help.", registry=theirs, buckets=BOUNDS)
    for value in values:
        metric.observe(value)
        library.observe(value)
    without_created = [
        line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line
    ]
    assert generate_latest(ours).decode().splitlines() == without_created


def test_quantiles_lie_in_their_buckets() -> None:
    histogram = Histogram(BOUNDS)
    assert histogram.quantile(0.5) is None
    for _ in range(98):
        histogram.observe(0.3)
    histogram.observe(0.8)
    histogram.observe(60)
    assert 0.1 < (histogram.quantile(0.5) or 0) <= 0.5
    assert 0.5 < (histogram.quantile(0.99) or 0) <= 1.0
    assert histogram.quantile(1) == 5.0  # the last bound


def test_merged_adds_counts_and_sums() -> None:
    parts = [Histogram(BOUNDS), Histogram(BOUNDS)]
    for part, value in zip(parts, (0.2, 2.0), strict=True):
        part.observe(value)
    whole = Histogram.merged(parts, BOUNDS)
    assert whole.counts == [0, 1, 0, 1, 0]
    assert whole.sum == pytest.approx(2.2)
