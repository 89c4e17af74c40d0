"""The media clock: what is a jump and what is not."""

import pytest

from gateway.audio.clock import MediaClock

DAY_MS = 24 * 3600 * 1000
FRAME = 160  # bytes of 20 ms


def clock_at_1000_ms() -> MediaClock:
    """After one frame, number 5, that ended at 1000 ms."""
    clock = MediaClock(bytes_per_ms=8)
    assert clock.place(FRAME, 980, 5) == 0
    assert clock.position_bytes == 8000
    return clock


@pytest.mark.parametrize(
    ("timestamp_ms", "sequence", "jump_ms"),
    [
        # in step
        (1000, 6, 0),
        # the numbers show a hole: from half a frame
        (1020, 7, 20),
        (1010, 7, 10),
        (1009, 7, 0),
        (1000, 7, 0),
        (990, 9, 0),
        # they show none, or there are none: from 100 ms
        (1099, 6, 0),
        (1100, 6, 100),
        (1099, None, 0),
        (1100, None, 100),
        (90_000, 6, 89_000),
        # behind the count
        (0, 6, 0),
        (999, 7, 0),
        # unusable
        (None, 6, 0),
        (None, 60, 0),
        (-5000, 6, 0),
        (DAY_MS + 1, 6, 0),
        (10**15, 60, 0),
        # the last usable one
        (DAY_MS, 6, DAY_MS - 1000),
    ],
)
def test_second_frame(timestamp_ms: int | None, sequence: int | None, jump_ms: int) -> None:
    clock = clock_at_1000_ms()
    assert clock.place(FRAME, timestamp_ms, sequence) == 8 * jump_ms
    assert clock.position_bytes == 8000 + 8 * jump_ms + FRAME


@pytest.mark.parametrize(
    ("timestamp_ms", "position_ms"),
    [(0, 20), (5000, 5020), (None, 20), (-1, 20), (DAY_MS + 1, 20)],
)
def test_first_frame_positions_the_clock_without_a_jump(
    timestamp_ms: int | None, position_ms: int
) -> None:
    clock = MediaClock(bytes_per_ms=8)
    assert clock.place(FRAME, timestamp_ms, 40) == 0
    assert clock.to_ms(clock.position_bytes) == position_ms


@pytest.mark.parametrize(
    ("timestamp_ms", "sequence", "duplicate"),
    [
        (None, 4, True),
        (None, 5, True),
        (None, 6, False),
        (None, 7, False),
        (None, None, False),
        (980, 5, True),
        (990, 4, True),
        (991, 4, False),  # nearer than half a frame: jitter of a sender that numbers all alike
        # The time goes on: a sender that numbers anew, or gives every frame the same number.
        (1000, 5, False),
        (1020, 1, False),
        (-1, 5, True),
    ],
)
def test_passed_numbers_are_duplicates_unless_the_time_goes_on(
    timestamp_ms: int | None, sequence: int | None, duplicate: bool
) -> None:
    assert clock_at_1000_ms().is_duplicate(FRAME, timestamp_ms, sequence) is duplicate


def test_no_number_is_a_duplicate_before_the_first() -> None:
    assert not MediaClock(8).is_duplicate(FRAME, None, 0)


def test_frames_without_numbers_do_not_forget_the_last_one() -> None:
    clock = clock_at_1000_ms()
    clock.place(FRAME, None, None)
    assert clock.is_duplicate(FRAME, None, 5)


def test_stamps_and_numbers_begun_anew_lose_nothing() -> None:
    """Symptom: a sender restarted its counts, and all its frames were taken for duplicates."""
    clock = MediaClock(8)
    for n in range(200):
        clock.place(FRAME, 20 * n, n)
    for n in range(200):
        assert not clock.is_duplicate(FRAME, 20 * n, n) or n > 136  # those recently passed
        assert clock.place(FRAME, 20 * n, n) == 0
    assert clock.to_ms(clock.position_bytes) == 8000


def test_a_loss_after_stamps_begun_anew_is_seen() -> None:
    clock = MediaClock(8)
    for n in range(100):
        clock.place(FRAME, 10_000 + 20 * n, n)
    clock.place(FRAME, 0, 100)
    clock.place(FRAME, 20, 101)
    assert clock.place(FRAME, 1040, 152) == 1000 * 8


def test_a_loss_the_numbers_prove_is_seen_though_the_stamps_lag() -> None:
    """Symptom: one late stamp, after which real losses hid behind it."""
    clock = MediaClock(8)
    clock.place(FRAME, 60, 1)
    clock.place(FRAME, 20, 2)  # the first stamp was 60 ms too late
    clock.place(FRAME, 40, 3)
    assert clock.place(FRAME, 100, 6) == 40 * 8
    assert clock.place(FRAME, 120, 7) == 0


def test_jitter_is_no_jump_where_numbers_count_both_tracks() -> None:
    """Symptom: numbers that always skip one, taken for losses whenever the stamps jittered."""
    clock = MediaClock(8)
    jitter_ms = [0, 0, 30, -30, 60, -60, 99, -99] * 50
    jumps = [clock.place(FRAME, 1000 + 20 * n + j, 2 * n) for n, j in enumerate(jitter_ms)]
    assert jumps == [0] * len(jitter_ms)


def test_jitter_of_a_wall_clock_is_never_a_jump() -> None:
    clock = MediaClock(8)
    jitter_ms = [0, 30, -30, 60, -60, 99, -99, 0] * 50
    jumps = [clock.place(FRAME, 1000 + 20 * n + j, n) for n, j in enumerate(jitter_ms)]
    assert jumps == [0] * len(jitter_ms)


def test_whole_frames_lost_without_numbers_are_declared_at_once() -> None:
    """Every tenth frame is missing, and nothing but the timestamps says so."""
    clock = MediaClock(8)
    times = [20 * n for n in range(100) if n % 10 != 9]
    jumps = [clock.place(FRAME, time, None) for time in times]
    assert [jump for jump in jumps if jump] == [160] * 9


def test_small_losses_of_a_jittery_clock_are_declared_once_they_add_up() -> None:
    """The same, from a sender whose stamps have once been off the grid of its frames."""
    clock = MediaClock(8)
    clock.place(FRAME, 0, None)
    clock.place(FRAME, 23, None)
    times = [40 + 20 * n for n in range(100) if n % 10 != 9]
    jumps = [clock.place(FRAME, time, None) for time in times]
    assert [jump for jump in jumps if jump] == [800]  # the fifth loss makes 100 ms
    assert clock.to_ms(clock.position_bytes) == 40 + 20 * 98 + 20 - 4 * 20
