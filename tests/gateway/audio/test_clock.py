"""The media clock: which frames cause a jump, and which do not."""

import pytest

from gateway.audio.clock import MediaClock

DAY_MS = 24 * 3600 * 1000
FRAME = 160  # bytes of 20 ms


def clock_at_1000_ms() -> MediaClock:
    """Return a clock after one frame with number 5 that ended at 1000 ms."""
    clock = MediaClock(bytes_per_ms=8)
    assert clock.place(FRAME, 980, 5) == 0
    assert clock.position_bytes == 8000
    return clock


@pytest.mark.parametrize(
    ("timestamp_ms", "sequence", "jump_ms"),
    [
        # no lead
        (1000, 6, 0),
        # the numbers show a hole: a jump from half a frame on
        (1020, 7, 20),
        (1010, 7, 10),
        (1009, 7, 0),
        (1000, 7, 0),
        (990, 9, 0),
        # no hole in the numbers, or no numbers: a jump from 100 ms on
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
        # the largest usable one
        (DAY_MS, 6, DAY_MS - 1000),
    ],
)
def test_second_frame_jumps_if_audio_is_missing(
    timestamp_ms: int | None, sequence: int | None, jump_ms: int
) -> None:
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
        (991, 4, False),  # less than half a frame back: jitter of a sender with constant numbers
        # The timestamp advances: a sender that restarts its numbers, or never changes them.
        (1000, 5, False),
        (1020, 1, False),
        (-1, 5, True),
    ],
)
def test_repeated_number_is_a_duplicate_unless_the_timestamp_advances(
    timestamp_ms: int | None, sequence: int | None, duplicate: bool
) -> None:
    assert clock_at_1000_ms().is_duplicate(FRAME, timestamp_ms, sequence) is duplicate


def test_first_number_is_not_a_duplicate() -> None:
    assert not MediaClock(8).is_duplicate(FRAME, None, 0)


def test_frame_without_number_keeps_the_last_number() -> None:
    clock = clock_at_1000_ms()
    clock.place(FRAME, None, None)
    assert clock.is_duplicate(FRAME, None, 5)


def test_restarted_timestamps_and_numbers_lose_no_frames() -> None:
    """Symptom: a sender restarted its counts, and all its frames were dropped as duplicates."""
    clock = MediaClock(8)
    for n in range(200):
        clock.place(FRAME, 20 * n, n)
    for n in range(200):
        assert not clock.is_duplicate(FRAME, 20 * n, n) or n > 136  # the recent numbers
        assert clock.place(FRAME, 20 * n, n) == 0
    assert clock.to_ms(clock.position_bytes) == 8000


def test_loss_after_restarted_timestamps_is_detected() -> None:
    clock = MediaClock(8)
    for n in range(100):
        clock.place(FRAME, 10_000 + 20 * n, n)
    clock.place(FRAME, 0, 100)
    clock.place(FRAME, 20, 101)
    assert clock.place(FRAME, 1040, 152) == 1000 * 8


def test_loss_shown_by_numbers_is_detected_while_timestamps_lag() -> None:
    """Symptom: after one late timestamp, real losses were not detected."""
    clock = MediaClock(8)
    clock.place(FRAME, 60, 1)
    clock.place(FRAME, 20, 2)  # the first timestamp was 60 ms too late
    clock.place(FRAME, 40, 3)
    assert clock.place(FRAME, 100, 6) == 40 * 8
    assert clock.place(FRAME, 120, 7) == 0


def test_jitter_is_no_jump_if_numbers_count_both_tracks() -> None:
    """Symptom: numbers that always skip one counted as losses when the timestamps jittered."""
    clock = MediaClock(8)
    jitter_ms = [0, 0, 30, -30, 60, -60, 99, -99] * 50
    jumps = [clock.place(FRAME, 1000 + 20 * n + j, 2 * n) for n, j in enumerate(jitter_ms)]
    assert jumps == [0] * len(jitter_ms)


def test_jitter_of_wall_clock_timestamps_is_no_jump() -> None:
    clock = MediaClock(8)
    jitter_ms = [0, 30, -30, 60, -60, 99, -99, 0] * 50
    jumps = [clock.place(FRAME, 1000 + 20 * n + j, n) for n, j in enumerate(jitter_ms)]
    assert jumps == [0] * len(jitter_ms)


def test_lost_whole_frames_without_numbers_are_detected_at_once() -> None:
    """Every tenth frame is missing, which only the timestamps show."""
    clock = MediaClock(8)
    times = [20 * n for n in range(100) if n % 10 != 9]
    jumps = [clock.place(FRAME, time, None) for time in times]
    assert [jump for jump in jumps if jump] == [160] * 9


def test_small_losses_with_jittery_timestamps_are_detected_once_they_add_up() -> None:
    """As above, but one lead of the sender was not a multiple of its frame length."""
    clock = MediaClock(8)
    clock.place(FRAME, 0, None)
    clock.place(FRAME, 23, None)
    times = [40 + 20 * n for n in range(100) if n % 10 != 9]
    jumps = [clock.place(FRAME, time, None) for time in times]
    assert [jump for jump in jumps if jump] == [800]  # the fifth loss makes 100 ms
    assert clock.to_ms(clock.position_bytes) == 40 + 20 * 98 + 20 - 4 * 20


@pytest.mark.parametrize(("sequence", "jump_ms"), [(7, 0), (8, 10)])
def test_number_of_a_lost_frame_counts(sequence: int, jump_ms: int) -> None:
    clock = clock_at_1000_ms()
    clock.lose(FRAME, 1000, 6)
    assert clock.recover(1020) == FRAME
    assert clock.place(FRAME, 1030, sequence) == 8 * jump_ms
