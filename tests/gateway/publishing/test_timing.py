"""The backoff of Redis: when it begins and ends, and how its waits grow."""

import asyncio
import random

from structlog.testing import capture_logs

from gateway.errors import PublishError
from gateway.publishing.timing import RedisBackoff, Timers
from tests.waiting import eventually

_UNAVAILABLE = PublishError("redis-unavailable", "connection refused")
_REFUSED = PublishError("redis-refused", "OOM")

# Time, whether anything is waiting, the replies.
_EXCHANGES: list[tuple[float, bool, *tuple[int | PublishError, ...]]] = [
    (10.0, False, 3, 4),
    (11.0, True, 3, _UNAVAILABLE, _UNAVAILABLE),
    (12.0, True, _UNAVAILABLE),
    (13.0, True, 3),  # another stream still lacks a reply
    (13.5, False, 3, _REFUSED),  # a refusal is a reply
    (14.0, False, 3),
]


def new_backoff(first_s: float = 1.0, longest_s: float = 10.0) -> RedisBackoff:
    return RedisBackoff(first_s, longest_s, random.Random(7))  # noqa: S311 - spreads load


def test_waits_double_up_to_the_longest_and_half_of_each_is_jitter() -> None:
    backoff = new_backoff()
    waits_s = [backoff.next_wait_s() for _ in range(2000)]
    for wait_s, most_s in zip(waits_s, [1, 2, 4, 8] + [10] * 1996, strict=True):
        assert most_s / 2 <= wait_s <= most_s
    assert min(waits_s[4:]) < 5.5
    assert max(waits_s[4:]) > 9.5


def test_outage_is_logged_once_when_it_begins_and_once_when_it_ends() -> None:
    backoff = new_backoff()
    waits_s = []
    with capture_logs() as logs:
        for now_s, is_anything_waiting, *acknowledgements in _EXCHANGES:
            backoff.note(
                acknowledgements, now_s, is_anything_waiting=is_anything_waiting, buffered_events=5
            )
            waits_s.append(backoff.next_wait_s())
    assert logs == [
        {
            "event": "redis-unavailable",
            "log_level": "warning",
            "error": "connection refused",
            "streams": 2,
        },
        {"event": "redis-back", "log_level": "info", "away_ms": 2500, "buffered": 5},
    ]
    for wait_s, most_s in zip(waits_s, [1, 2, 4, 8, 1, 1], strict=True):
        assert most_s / 2 <= wait_s <= most_s


async def test_callback_has_one_timer_until_it_is_stopped() -> None:
    timers, ran = Timers(), list[str]()

    def note() -> None:
        ran.append("note")

    timers.after(0, note)
    timers.after(0, note)
    await eventually(lambda: ran == ["note"])
    timers.after(0, note)
    assert note in timers, "until it is stopped, even when it has run"
    timers.stop(note)
    assert note not in timers
    timers.after(0, note)
    await eventually(lambda: ran == ["note", "note"])


async def test_stopped_timer_does_not_fire() -> None:
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
