"""Repeated log lines: the first passes, then one per minute with a count; memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from common.throttle import Throttle


class Clock:
    """A clock that the test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_first_line_passes_and_the_next_after_the_interval_counts_the_others() -> None:
    clock = Clock()
    throttle = Throttle(clock, every_s=60)
    assert throttle.admit("a") == 0
    clock.now_s = 59.9
    assert [throttle.admit("a") for _ in range(3)] == [None, None, None]
    assert throttle.admit("b") == 0
    clock.now_s = 60
    assert throttle.admit("a") == 3
    assert throttle.admit("a") is None


@given(st.floats(0, 1e12))
def test_first_line_passes_whatever_the_clock_shows(now_s: float) -> None:
    assert Throttle(lambda: now_s).admit("a") == 0


def test_oldest_key_is_evicted() -> None:
    throttle = Throttle(Clock())
    for key in range(1000):
        assert throttle.admit(key) == 0
    assert throttle.admit(999) is None
    assert throttle.admit(0) == 0
