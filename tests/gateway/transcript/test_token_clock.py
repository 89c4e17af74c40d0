"""Deltas on the media clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.token_clock import Placement, TokenClock


def clock_with(*chunks: tuple[int, ...]) -> TokenClock:
    """A clock that was told of chunks, the nth heard at second n.

    Of each: from, to, and how much longer than that its audio is.
    """
    clock = TokenClock()
    for number, (start_ms, end_ms, *longer_ms) in enumerate(chunks, 1):
        clock.sent(start_ms, end_ms, end_ms - start_ms + sum(longer_ms), float(number))
    return clock


def ticks(clock: TokenClock, count: int) -> list[tuple[int, int, float]]:
    placed = [clock.tick() for _ in range(count)]
    return [(placement.start_ms, placement.end_ms, placement.received_at) for placement in placed]


STEADY = [(5000 + 80 * n, 5080 + 80 * n) for n in range(4)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        # delta k is chunk k; after the last, nothing moves any more
        (
            STEADY,
            [(5000, 5080, 1), (5080, 5160, 2), (5160, 5240, 3), (5240, 5320, 4), (5320, 5320, 4)],
        ),
        # a hold between two chunks
        ([(0, 80), (9000, 9080)], [(0, 80, 1), (9000, 9080, 2), (9080, 9080, 2)]),
        # a hold in the middle of a delta
        ([(0, 40), (9000, 9120)], [(0, 9040, 2), (9040, 9120, 2)]),
        # chunks shorter and longer than a token
        ([(0, 20), (20, 40), (40, 240)], [(0, 80, 3), (80, 160, 3), (160, 240, 3)]),
        # a delta that covers a whole hold-separated chunk
        ([(0, 30), (100, 120), (500, 600)], [(0, 530, 3), (530, 600, 3)]),
        # an empty last chunk: the tail of the interpolator alone
        ([(0, 80), (80, 80, 3)], [(0, 80, 1), (80, 80, 2)]),
        # audio that lies where a pause's padding lay has the time of its end
        (
            [(0, 80), (80, 80, 80), (80, 100, 60), (100, 180)],
            [(0, 80, 1), (80, 80, 2), (80, 100, 3), (100, 180, 4)],
        ),
    ],
)  # fmt: skip
def test_placements(chunks: list[tuple[int, ...]], expected: list[tuple[int, int, float]]) -> None:
    assert ticks(clock_with(*chunks), len(expected)) == expected


def test_knows_what_was_sent_and_answered() -> None:
    clock = TokenClock()
    assert (clock.sent_ms, clock.covered_ms) == (None, None)
    clock.sent(5000, 5080, 80, 1.0)
    clock.sent(5080, 5160, 80, 2.0)
    assert (clock.sent_ms, clock.covered_ms) == (5160, 5000)
    clock.tick()
    assert (clock.sent_ms, clock.covered_ms) == (5160, 5080)
    clock.tick()
    clock.tick()
    assert (clock.sent_ms, clock.covered_ms) == (5160, 5160)


def test_a_delta_without_audio_lies_nowhere_new() -> None:
    clock = TokenClock()
    assert clock.tick() == Placement(0, 0, 0.0)
    assert clock.covered_ms is None


def test_the_lag_is_what_was_sent_and_not_answered() -> None:
    clock = clock_with(*STEADY)
    assert clock.lag_ms == 320
    ticks(clock, 3)
    assert clock.lag_ms == 80
    ticks(clock, 3)
    assert clock.lag_ms == 0


def test_a_model_that_never_answers_costs_bounded_memory_and_no_place() -> None:
    chunks = [(20 * n, 20 * n + 20) for n in range(50_000)]
    clock = clock_with(*chunks)
    assert len(clock._chunks) <= 8192  # noqa: SLF001 - what it remembers is the point
    placed = ticks(clock, 12_500)
    assert [(start, end) for start, end, _ in placed] == [
        (80 * n, 80 * n + 80) for n in range(12_500)
    ]
    heard = [received_at for *_, received_at in placed]
    assert heard == sorted(heard)


# A chunk's length, the hold before it, and how much longer its audio is
SENT = st.tuples(st.integers(0, 500), st.integers(0, 5000), st.integers(0, 80))
STEPS = st.lists(st.one_of(SENT, st.just("tick")))


@given(STEPS)
def test_no_time_ever_goes_backwards_or_leaves_what_was_sent(
    steps: list[tuple[int, int, int] | str],
) -> None:
    clock = TokenClock()
    sent_ms, first_ms, received_at = 0, None, 0.0
    placed = [Placement(0, 0, 0.0)]
    for step in steps:
        if step == "tick":
            placement = clock.tick()
            assert placement.start_ms <= placement.end_ms <= sent_ms
            assert placement.end_ms >= (first_ms or 0)
            placed.append(placement)
        else:
            assert isinstance(step, tuple)
            start_ms, received_at = sent_ms + step[1], received_at + 0.1
            sent_ms = start_ms + step[0]
            first_ms = start_ms if first_ms is None else first_ms
            clock.sent(start_ms, sent_ms, step[0] + step[2], received_at)
    for before, after in pairwise(placed):
        assert before.start_ms <= after.start_ms
        assert before.end_ms <= after.end_ms
        assert before.received_at <= after.received_at
