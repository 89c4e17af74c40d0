"""At most one timer per purpose."""

import asyncio

from gateway.publishing.timers import Timers
from tests.waiting import eventually


async def test_a_purpose_has_one_timer_until_it_is_stopped() -> None:
    timers, ran = Timers(), list[str]()

    def note() -> None:
        ran.append("note")

    timers.after(0, note)
    timers.after(0, note)
    await eventually(lambda: ran == ["note"])
    timers.after(0, note)
    assert note in timers, "until it is stopped, also when it has run"
    timers.stop(note)
    assert note not in timers
    timers.after(0, note)
    await eventually(lambda: ran == ["note", "note"])


async def test_what_is_stopped_does_not_run() -> None:
    timers, ran = Timers(), list[str]()

    def one() -> None:
        ran.append("one")

    def other() -> None:
        ran.append("other")

    timers.after(0, one)
    timers.stop(one)
    timers.stop(one)
    timers.after(0, other)
    timers.stop_all()
    timers.after(0, other)
    await asyncio.sleep(0.01)
    assert ran == []
