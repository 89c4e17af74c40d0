"""Overload is detected from the CPU and the loop's lag before live calls are delayed."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from gateway.admission.overload import Load, watching
from gateway.metrics import Metrics
from tests.waiting import eventually

SAMPLE_S = 0.1


class Process:
    """A process in virtual time; each call costs `call_cpu` of a core.

    Attributes:
        carried: the number of live calls.
        refused: the number of refused calls.
        most_cpu: the highest demand so far, as a share of a core.
    """

    def __init__(self, call_cpu: float, idle_cpu: float = 0.02) -> None:
        self.load = Load(0.85, 0.1)
        self.carried = self.refused = 0
        self.most_cpu = 0.0
        self._call_cpu = call_cpu
        self._idle_cpu = idle_cpu
        self._now_s = self._cpu_s = 0.0

    def advance(self, for_s: float, *, calls: int = 0, lag_s: float = 0.0) -> None:
        """Advance the time by `for_s`, with new calls evenly spread over it."""
        samples = round(for_s / SAMPLE_S)
        for n in range(samples):
            for _ in range(calls * (n + 1) // samples - calls * n // samples):
                self.call()
            wanted = self._idle_cpu + self.carried * self._call_cpu
            self.most_cpu = max(self.most_cpu, wanted)
            self._now_s += SAMPLE_S
            self._cpu_s += min(1.0, wanted) * SAMPLE_S
            self.load.note(self._now_s, lag_s, self._cpu_s, self.carried)

    def call(self) -> None:
        self.load.update(self.carried + 1)
        if self.load.is_overloaded:
            self.refused += 1
        else:
            self.carried += 1


@pytest.mark.parametrize("call_cpu", [0.004, 0.016, 0.03])
@pytest.mark.parametrize("ramp_s", [0.2, 3.0, 60.0])
def test_ramp_to_twice_the_capacity_fills_but_does_not_overload(
    call_cpu: float, ramp_s: float
) -> None:
    """Symptom: with a limit of 200 calls on a core that serves 50, all calls were late."""
    process = Process(call_cpu)
    process.advance(5.0, calls=6)  # measures the cost of a call
    process.advance(ramp_s, calls=round(2 / call_cpu))
    process.advance(30.0, calls=round(1 / call_cpu))  # refused calls are retried
    assert process.most_cpu < 0.97
    assert process.carried * call_cpu > 0.7
    assert process.refused


def test_burst_is_limited_by_the_measured_cost_per_call() -> None:
    process = Process(0.016)
    process.advance(5.0)
    for _ in range(200):
        process.call()
    assert 40 < process.carried < 50


def test_overload_ends_well_below_the_limit() -> None:
    process = Process(0.016)
    process.advance(10.0, calls=100)
    assert process.load.is_overloaded
    process.carried -= 2
    process.advance(5.0)
    assert process.load.is_overloaded  # with hysteresis
    process.carried -= 10
    process.advance(5.0)
    assert not process.load.is_overloaded


def test_lag_alone_causes_overload() -> None:
    """Other processes may use the CPU."""
    process = Process(0.001)
    process.advance(5.0, calls=10)
    process.advance(5.0, lag_s=0.2)
    assert process.load.is_overloaded
    process.advance(5.0, lag_s=0.06)
    assert process.load.is_overloaded
    process.advance(5.0, lag_s=0.01)
    assert not process.load.is_overloaded


def test_first_four_calls_are_always_admitted() -> None:
    """Symptom to prevent: a laptop whose model uses all of the CPU refuses its only call."""
    process = Process(0.001, idle_cpu=1.0)
    process.advance(5.0, lag_s=0.5)
    for _ in range(10):
        process.call()
    assert (process.carried, process.refused) == (4, 6)


def test_overload_lasts_while_a_fifth_call_would_be_refused() -> None:
    """Symptom: /readyz was ok with four calls on a busy core, but each further call was refused."""
    process = Process(0.001, idle_cpu=1.0)
    process.advance(5.0, calls=5)
    assert (process.carried, process.load.is_overloaded) == (4, True)
    process.carried -= 1
    process.advance(0.1)
    assert not process.load.is_overloaded


def test_single_stall_is_not_an_overload() -> None:
    """For example a process that was stopped for 8 s, or a garbage collection."""
    process = Process(0.004)
    process.advance(10.0, calls=100)
    process.advance(SAMPLE_S, lag_s=8.0)
    process.advance(5.0)
    assert not process.load.is_overloaded
    assert process.refused == 0


@pytest.fixture
def lines() -> Iterator[list[object]]:
    with capture_logs() as logs:
        yield logs  # type: ignore[misc]  # dictionaries


async def test_busy_loop_is_overloaded_and_logged(lines: list[object]) -> None:
    load, metrics, busy = Load(0.5, 60.0), Metrics(), True

    def compute() -> None:
        end_s = time.thread_time() + 0.02
        while time.thread_time() < end_s:
            pass
        if busy:
            asyncio.get_running_loop().call_soon(compute)

    def shown(name: str) -> float:
        return metrics.registry.get_sample_value(f"callscribe_{name}") or 0.0

    async with watching(load, lambda: 9, metrics):
        # On a busy machine the loop may get less than half a core. Then its lag is too high.
        load_of_lag = Load(60.0, 0.001)
        compute()
        async with watching(load_of_lag, lambda: 9, Metrics()):
            await eventually(lambda: load.is_overloaded or load_of_lag.is_overloaded)
        was_shown = shown("overloaded"), shown("cpu_ratio")
        busy = False
        if load.is_overloaded:
            assert was_shown[0] == 1
            assert was_shown[1] > 0.5
        await eventually(lambda: not load.is_overloaded)
        await eventually(lambda: shown("cpu_ratio") < 0.4)
    assert shown("overloaded") == 0
    events = [line["event"] for line in lines]  # type: ignore[index]
    assert set(events) <= {"overloaded", "overload-over"}
    assert "overloaded" in events
