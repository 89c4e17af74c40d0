"""Detects that the process can't take another call, before the live calls are delayed.

    measured over 2 s     ten times a second
    CPU                   of the event loop's thread, as a share of a core; of the whole process, as
                          a share of the cores it has, if that is more
    lag                   the median of how late the loop ran a timer

Calls admitted within the window are not fully measured yet, so their cost is added: the average of
the others. Overload begins at the limit and ends well below it. The first four calls are always
admitted: a load measured without calls comes from elsewhere.
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
_FEW: Final = 4  # too few samples to measure by, and too few calls to be the cause of a load
_CALL_CPU: Final = 0.02  # of a core, until it is known here; docs/performance.md
_CPU_BACK: Final = 0.1  # it must fall by so much for new calls to be taken again

_log = structlog.get_logger()


class _Sample(NamedTuple):
    at_s: float
    lag_s: float
    cpu_s: float
    calls: int


class Load:
    """The measured load of the process, and whether it refuses new calls.

    Args:
        cpu: the share of a core from which on new calls are refused; GATEWAY_OVERLOAD_CPU.
        lag_s: the event loop's lag, likewise; GATEWAY_OVERLOAD_LAG_MS.

    Attributes:
        cpu: the share measured.
        lag_s: the lag measured.
        is_overloaded: whether new calls are refused.
    """

    def __init__(self, cpu: float, lag_s: float) -> None:
        self.cpu = 0.0
        self.lag_s = 0.0
        self.is_overloaded = False
        self._most_cpu = cpu
        self._most_lag_s = lag_s
        self._samples: deque[_Sample] = deque()
        self._calls = 0.0  # that the measured share is of
        self._call_cpu = _CALL_CPU

    def note(self, at_s: float, lag_s: float, cpu_s: float, calls: int) -> None:
        """Add a sample and update the state.

        Args:
            at_s: when, on the monotonic clock.
            lag_s: how late the event loop took it.
            cpu_s: CPU used so far, in seconds of a core.
            calls: that are live.
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
        self._judge(calls)

    def refuses(self, calls: int) -> bool:
        """Return whether this number of calls would be too many. Updates the state."""
        self._judge(calls)
        return self.is_overloaded

    def _judge(self, calls: int) -> None:
        if calls <= _FEW:
            self.is_overloaded = False
            return
        cpu = self.cpu + (calls - self._calls) * self._call_cpu
        if cpu >= self._most_cpu or self.lag_s >= self._most_lag_s:
            self.is_overloaded = True
        elif cpu < self._most_cpu - _CPU_BACK and self.lag_s < self._most_lag_s / 2:
            self.is_overloaded = False


@contextlib.asynccontextmanager
async def watching(load: Load, calls: Callable[[], int], metrics: Metrics) -> AsyncIterator[None]:
    """Measure the process as long as the context lasts.

    Args:
        load: takes the samples.
        calls: gives how many are live.
        metrics: where the measures are shown.
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
            say = _log.warning if was_overloaded else _log.info
            say(
                "overloaded" if was_overloaded else "overload-over",
                cpu=round(load.cpu, 2),
                lag_ms=round(1000 * load.lag_s),
                streams=calls(),
            )


def _cores() -> float:
    """Return how many cores the process may use; a container's quota may be less than one."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) / int(period))  # "max" is no number
    return cores
