"""Detects that the process can't serve another call, before live calls are delayed.

Two quantities are sampled ten times a second, over a window of 2 s:

    CPU     the share of a core that the event loop's thread uses, or the share of all cores that
            the process uses, whichever is larger
    lag     how late the event loop runs a timer, in the median

Calls admitted within the window are not fully measured yet, so their estimated cost is added: the
average cost of the other calls. Overload begins at the limit and ends well below it. The first four
calls are always admitted, because a load that exists without calls has another cause.
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import structlog

from gateway.metrics import Metrics

_SAMPLE_S: Final = 0.1
_WINDOW_S: Final = 2.0
_FEW: Final = 4  # samples needed to measure; calls that are admitted under any load
_CALL_CPU: Final = 0.02  # of a core, until it has been measured here; docs/performance.md
_CPU_HYSTERESIS: Final = 0.1  # how far below its limit the CPU must fall to end the overload

_log = structlog.get_logger()


class _Sample(NamedTuple):
    at_s: float
    lag_s: float
    cpu_s: float
    calls: int


class Load:
    """The measured load of the process, and whether it refuses new calls.

    Args:
        cpu: refuse new calls at this share of a core or more; GATEWAY_OVERLOAD_CPU.
        lag_s: refuse new calls at this lag of the event loop or more; GATEWAY_OVERLOAD_LAG_MS.

    Attributes:
        cpu: the share of a core that was measured.
        lag_s: the lag that was measured.
        is_overloaded: whether new calls are refused.
    """

    def __init__(self, cpu: float, lag_s: float) -> None:
        self.cpu = 0.0
        self.lag_s = 0.0
        self.is_overloaded = False
        self._max_cpu = cpu
        self._max_lag_s = lag_s
        self._samples: deque[_Sample] = deque()
        self._calls = 0.0  # the average number of calls in the window
        self._call_cpu = _CALL_CPU

    def note(self, at_s: float, lag_s: float, cpu_s: float, calls: int) -> None:
        """Add a sample and update the state.

        Args:
            at_s: the time of the sample, on the monotonic clock.
            lag_s: how late the event loop took the sample.
            cpu_s: CPU used so far, in seconds of a core.
            calls: the number of live calls.
        """
        samples = self._samples
        samples.append(_Sample(at_s, lag_s, cpu_s, calls))
        while len(samples) > _FEW and samples[1].at_s <= at_s - _WINDOW_S:
            samples.popleft()
        if len(samples) >= _FEW and at_s > samples[0].at_s:
            self.cpu = (cpu_s - samples[0].cpu_s) / (at_s - samples[0].at_s)
            self.lag_s = median(sample.lag_s for sample in samples)
            self._calls = sum(sample.calls for sample in samples) / len(samples)
            if self._calls >= _FEW:
                self._call_cpu = self.cpu / self._calls
        self.update(calls + 1)

    def update(self, calls: int) -> None:
        """Set `is_overloaded`: whether the last of this number of calls is one too many."""
        if calls <= _FEW:
            self.is_overloaded = False
            return
        cpu = self.cpu + (calls - self._calls) * self._call_cpu
        if cpu >= self._max_cpu or self.lag_s >= self._max_lag_s:
            self.is_overloaded = True
        elif cpu < self._max_cpu - _CPU_HYSTERESIS and self.lag_s < self._max_lag_s / 2:
            self.is_overloaded = False


@contextlib.asynccontextmanager
async def watching(load: Load, calls: Callable[[], int], metrics: Metrics) -> AsyncIterator[None]:
    """Sample the load of the process for as long as the context lasts.

    Args:
        load: receives the samples.
        calls: returns the number of live calls.
        metrics: show the measured load.
    """
    metrics.overloaded.set_function(lambda: load.is_overloaded)
    metrics.cpu_ratio.set_function(lambda: load.cpu)
    metrics.event_loop_lag_seconds.set_function(lambda: load.lag_s)
    task = asyncio.create_task(_watch(load, calls), name="load")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(load: Load, calls: Callable[[], int]) -> None:
    cores, was_overloaded, cpu_s = _cores(), False, 0.0
    thread_s, process_s = time.thread_time(), time.process_time()
    while True:
        began_s = time.monotonic()
        await asyncio.sleep(_SAMPLE_S)
        now_s = time.monotonic()
        since_s, thread_s = thread_s, time.thread_time()
        loop_cpu_s = (thread_s - since_s) / min(1.0, cores)
        since_s, process_s = process_s, time.process_time()
        cpu_s += max(loop_cpu_s, (process_s - since_s) / cores)
        load.note(now_s, now_s - began_s - _SAMPLE_S, cpu_s, calls())
        if load.is_overloaded != was_overloaded:
            was_overloaded = load.is_overloaded
            write = _log.warning if was_overloaded else _log.info
            write(
                "overloaded" if was_overloaded else "overload-over",
                cpu=round(load.cpu, 2),
                lag_ms=round(1000 * load.lag_s),
                streams=calls(),
            )


def _cores() -> float:
    """Return how many cores the process may use; less than one if a container's quota says so."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) / int(period))  # a quota of "max" raises ValueError
    return cores
