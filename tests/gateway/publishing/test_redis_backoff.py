"""When an outage begins and ends, and how its waits grow."""

import random

from structlog.testing import capture_logs

from gateway.errors import PublishError
from gateway.publishing.redis_backoff import RedisBackoff

_AWAY = PublishError("redis-unavailable", "connection refused")
_REFUSED = PublishError("redis-refused", "OOM")

# Now, whether anything is waiting, the answers.
_EXCHANGES: list[tuple[float, bool, *tuple[int | PublishError, ...]]] = [
    (10.0, False, 3, 4),
    (11.0, True, 3, _AWAY, _AWAY),
    (12.0, True, _AWAY),
    (13.0, True, 3),  # another one still has no answer
    (13.5, False, 3, _REFUSED),  # that is an answer
    (14.0, False, 3),
]


def outage(first_s: float = 1.0, longest_s: float = 10.0) -> RedisBackoff:
    return RedisBackoff(first_s, longest_s, random.Random(7))  # noqa: S311 - spreads load


def test_each_wait_is_twice_the_last_up_to_the_longest_and_half_of_it_is_jitter() -> None:
    away = outage()
    waits_s = [away.next_wait_s() for _ in range(2000)]
    for wait_s, most_s in zip(waits_s, [1, 2, 4, 8] + [10] * 1996, strict=True):
        assert most_s / 2 <= wait_s <= most_s
    assert min(waits_s[4:]) < 5.5
    assert max(waits_s[4:]) > 9.5


def test_the_log_says_once_when_it_begins_and_once_when_all_are_answered() -> None:
    away = outage()
    waits_s = []
    with capture_logs() as logs:
        for now_s, is_anything_waiting, *acknowledgements in _EXCHANGES:
            away.note(
                acknowledgements, now_s, is_anything_waiting=is_anything_waiting, buffered_events=5
            )
            waits_s.append(away.next_wait_s())
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
