"""The loop advances virtual time when all tasks wait, in the same way in every run."""

import asyncio
import time

import pytest

from tests.simulation import loop
from tests.simulation.process import Process


def test_an_hour_of_virtual_time_passes_at_once() -> None:
    async def main() -> float:
        running = asyncio.get_running_loop()
        await asyncio.sleep(3600)
        return running.time()

    began_s = time.monotonic()
    assert loop.run(main(), 4000) == pytest.approx(3600, abs=0.001)
    assert time.monotonic() - began_s < 60


def test_timers_and_timeouts_run_in_order() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def note(name: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for name, after_s in (("c", 0.3), ("a", 0.1), ("b", 0.2)):
                group.create_task(note(name, after_s))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.15):
                    await asyncio.Event().wait()
            order.append("timeout")
        return order

    assert loop.run(main(), 10) == ["a", "timeout", "b", "c"]


def test_waiting_forever_raises_standstill() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(loop.Standstill):
        loop.run(main(), 10)


def test_exceeding_the_limit_raises_overtime_after_cleanup() -> None:
    cleaned: list[bool] = []

    async def main() -> None:
        try:
            while True:  # noqa: ASYNC110 - an endless loop is intended
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)
            cleaned.append(True)

    with pytest.raises(loop.Overtime):
        loop.run(main(), 10)
    assert cleaned


def test_a_deadline_within_the_clocks_resolution_is_reached() -> None:
    """Symptom: a task that waited for the remaining 4e-16 s ran forever, as time stood still."""

    async def main() -> int:
        running = asyncio.get_running_loop()
        deadline_s, turns = running.time() + 1e-10, 0
        while running.time() < deadline_s:
            turns += 1
            await asyncio.sleep(deadline_s - running.time())
        return turns

    assert loop.run(main(), 10) < 10


def test_tasks_in_a_set_have_the_same_order_in_every_run() -> None:
    async def main() -> list[str]:
        tasks = {asyncio.create_task(asyncio.sleep(0), name=str(n)) for n in range(50)}
        order = [task.get_name() for task in tasks]
        await asyncio.gather(*tasks)
        return order

    first = loop.run(main(), 10)
    _ = [object() for _ in range(1000)]  # so that later objects have other addresses
    assert loop.run(main(), 10) == first


def test_a_stopped_process_runs_nothing_until_it_continues() -> None:
    """Afterwards, its timers and calls from outside run in the order in which they were due."""

    async def main() -> list[tuple[str, float]]:
        running = asyncio.get_running_loop()
        process, happened = Process("one"), list[tuple[str, float]]()

        def note(what: str) -> None:
            happened.append((what, round(running.time(), 3)))

        async def tick() -> None:
            for number in range(3):
                await asyncio.sleep(1)
                note(f"tick {number}")

        ticking = process.spawn(tick())
        running.call_later(1.6, process.enter, note, "message")
        process.enter(note, "entered")
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(2.5)
        note("outside")
        process.resume()
        await ticking
        assert process.stopped_s(since_s=2.0) == pytest.approx(2.0, abs=0.01)
        return happened

    assert loop.run(main(), 20) == [
        ("entered", 0.0),
        ("tick 0", 1.0),
        ("outside", 4.0),
        ("message", 4.0),
        ("tick 1", 4.0),
        ("tick 2", 5.0),
    ]


def test_a_timer_cancelled_while_its_process_is_stopped_does_not_run() -> None:
    async def main() -> list[str]:
        process, happened = Process("one"), list[str]()
        timers: list[asyncio.TimerHandle] = []

        def set_timer() -> None:
            timers.append(asyncio.get_running_loop().call_later(1, happened.append, "rang"))

        process.enter(set_timer)
        process.stop()
        await asyncio.sleep(2)
        timers[0].cancel()
        process.resume()
        await asyncio.sleep(1)
        return happened

    assert loop.run(main(), 20) == []
