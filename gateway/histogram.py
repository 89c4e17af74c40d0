"""Fast histograms, for values that are observed for every delta.

Each observation is a binary search, without the lock and the list walk of prometheus_client's
histograms. They may only be used by one thread: the event loop's.
"""

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Self

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Histogram:
    """Counts values in fixed buckets.

    Args:
        bounds: upper bounds of the buckets, ascending; larger values are counted in a last bucket.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def quantile(self, share: float) -> float | None:
        """Estimate a quantile, for example 0.99; return None if there are no values.

        Values above the last bound are estimated as that bound.
        """
        rank = share * sum(self.counts)
        seen, lower = 0, 0.0
        for count, upper in zip(self.counts, self.bounds, strict=False):
            if count and seen + count >= rank:
                return lower + (upper - lower) * (rank - seen) / count
            seen, lower = seen + count, upper
        return lower if self.counts[-1] else None

    @classmethod
    def merged(cls, parts: Iterable[Self], bounds: Sequence[float]) -> Self:
        """Return the sum of histograms that have the same bounds."""
        whole = cls(bounds)
        for part in parts:
            whole.counts = [a + b for a, b in zip(whole.counts, part.counts, strict=True)]
            whole.sum += part.sum
        return whole


class HistogramMetric(Histogram, Collector):
    """A histogram that is exported as a Prometheus metric."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self._name = name
        self._text = text

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Yield the metric's samples."""
        labels = [*map(floatToGoString, self.bounds), "+Inf"]
        buckets = list(zip(labels, itertools.accumulate(self.counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self.sum)
