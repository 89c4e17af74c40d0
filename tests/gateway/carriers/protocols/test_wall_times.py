"""Frames with wall-clock timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import TrackPipeline
from gateway.carriers.events import AudioReceived
from gateway.carriers.protocols.wall_times import Epoch, WallTimes

EPOCH_MS = 1_705_312_200_000
FRAME_MS = 20


def frame(stamp_ms: int | None, sequence: int | None = None, ms: int = FRAME_MS) -> AudioReceived:
    unix_ms = None if stamp_ms is None else EPOCH_MS + stamp_ms
    return AudioReceived("inbound", bytes([1]) * (8 * ms), unix_ms, sequence)


def times(frames: list[AudioReceived]) -> list[int | None]:
    """Return the media times of all frames, in order."""
    track = WallTimes(8, Epoch())
    placed = [each for one in frames for each in track.receive(one)]
    placed += track.flush()
    assert [(p.payload, p.sequence) for p in placed] == [(f.payload, f.sequence) for f in frames]
    return [each.timestamp_ms for each in placed]


def steady(count: int, begin_ms: int = 0) -> list[int]:
    return [begin_ms + FRAME_MS * n for n in range(count)]


def test_missing_audio_keeps_its_position() -> None:
    stamps = steady(50) + steady(50, 50 * FRAME_MS + 2000)
    assert times([frame(stamp) for stamp in stamps]) == stamps


def test_frames_are_held_only_after_a_rise() -> None:
    track = WallTimes(8, Epoch())
    given_at_once = [len(track.receive(frame(stamp))) for stamp in steady(5) + steady(30, 3000)]
    assert given_at_once == [1] * 5 + [0] * 19 + [20] + [1] * 10


@pytest.mark.parametrize("is_numbered", [True, False])
@pytest.mark.parametrize("apart_ms", [20, 100, 380, 400, 1000])
def test_consecutive_holes_are_detected(apart_ms: int, is_numbered: bool) -> None:
    """Symptom: no hole was detected, and all later audio was placed too early."""
    stamps = steady(30)
    for _ in range(8):
        stamps += steady(apart_ms // FRAME_MS, stamps[-1] + 220)
    stamps += steady(50, stamps[-1] + FRAME_MS)
    frames = [frame(at, at // FRAME_MS + 1 if is_numbered else None) for at in stamps]
    assert times(frames) == stamps


def test_silence_suppression_is_detected() -> None:
    stamps = [second * 1000 + at for second in range(60) for at in steady(15)]
    assert times([frame(stamp, n + 1) for n, stamp in enumerate(stamps)]) == stamps


def test_frames_without_timestamp_after_a_rise_are_positioned() -> None:
    stamps = steady(50) + steady(50, 3000)
    frames = [frame(None if n in (51, 60) else stamp) for n, stamp in enumerate(stamps)]
    assert times(frames) == stamps


@pytest.mark.parametrize("stall_ms", [120, 1000, 3000])
@pytest.mark.parametrize("burst_ms", [0, 1, 5])
def test_stall_of_the_sender_is_not_a_loss(stall_ms: int, burst_ms: int) -> None:
    """Symptom: every stall became a gap, and the media clock stayed ahead."""
    late = stall_ms // FRAME_MS
    stalled = [40 * FRAME_MS + stall_ms + n * burst_ms for n in range(late)]
    after = steady(50, (40 + late) * FRAME_MS)
    after = [max(stamp, stalled[-1]) for stamp in after]
    assert times([frame(stamp) for stamp in steady(40) + stalled + after]) == steady(90 + late)


@pytest.mark.parametrize("wrong_ms", [-EPOCH_MS, -5000, 5000, 10**15])
@pytest.mark.parametrize("at", [1, 30])
def test_single_wrong_timestamp_is_disregarded(wrong_ms: int, at: int) -> None:
    stamps = steady(60)
    stamps[at] += wrong_ms
    assert times([frame(stamp, n + 1) for n, stamp in enumerate(stamps)]) == steady(60)


def test_clock_set_back_is_disregarded() -> None:
    assert times([frame(stamp) for stamp in steady(30, 7000) + steady(30)]) == steady(60)


def test_clock_drift_is_disregarded() -> None:
    """A sender that sleeps 20 ms between frames needs 21 ms per frame."""
    assert times([frame(21 * n, n + 1) for n in range(1000)]) == steady(1000)


def test_jitter_of_the_first_frame_after_a_hole_is_no_loss() -> None:
    hole_ms, late_ms = 250, 50
    begin_ms = 30 * FRAME_MS + hole_ms
    stamps = [*steady(30), begin_ms + late_ms, *steady(40, begin_ms + FRAME_MS)]
    assert times([frame(stamp) for stamp in stamps]) == [*steady(30), *steady(41, begin_ms)]


def test_skipped_numbers_are_a_loss() -> None:
    frames = [frame(FRAME_MS * n, n + 1) for n in range(50) if n not in (20, 21)]
    assert times(frames) == [FRAME_MS * n for n in range(50) if n not in (20, 21)]


def test_jointly_counted_numbers_are_not_a_loss() -> None:
    jitter = [0, 12, -5, 15, 3, 11]
    frames = [frame(FRAME_MS * n + jitter[n % 6], 1 + 2 * n) for n in range(60)]
    assert times(frames) == steady(60)


def test_duplicate_is_detected_by_its_number() -> None:
    frames = [frame(0, 1), frame(20, 2), frame(0, 1), frame(20, 2), frame(40, 3)]
    assert times(frames) == [0, 20, None, None, 40]


def test_duplicate_of_a_held_frame_is_dropped() -> None:
    track = WallTimes(8, Epoch())
    stamps = steady(10) + steady(30, 5000)
    placed = [
        each
        for n, stamp in enumerate(stamps)
        for _ in range(2 if n == 15 else 1)
        for each in track.receive(frame(stamp, n + 1))
    ]
    assert [each.timestamp_ms for each in placed] == stamps[: len(placed)]


def test_frames_without_timestamp_are_counted() -> None:
    assert times([frame(None), frame(0), frame(None), frame(60), frame(None)]) == steady(5)


def test_late_track_begins_at_its_time_since_the_epoch() -> None:
    epoch = Epoch()
    first, second = WallTimes(8, epoch), WallTimes(8, epoch)
    assert [each.timestamp_ms for each in first.receive(frame(0))] == [0]
    assert [each.timestamp_ms for each in second.receive(frame(700))] == [700]


def test_held_frames_are_limited() -> None:
    track = WallTimes(8, Epoch())
    track.receive(frame(0))
    given_at_once = [len(track.receive(frame(5000, ms=0))) for _ in range(1000)]
    assert max(given_at_once) == 100


NUMBERS = st.none() | st.integers(0, 99)


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62) | st.none(), NUMBERS), max_size=60))
def test_arbitrary_timestamps_deliver_frames_once_and_in_order(
    stamped: list[tuple[int | None, int | None]],
) -> None:
    track = WallTimes(16, Epoch())
    form = TrackFormat("inbound", Encoding.L16LE, 8000)
    pipeline = TrackPipeline(form)
    sent = [AudioReceived("inbound", bytes([n + 1]) * 320, *each) for n, each in enumerate(stamped)]
    placed = [each for one in sent for each in track.receive(one)] + list(track.flush())
    order = [each.payload[0] for each in placed]
    assert order == sorted(set(order))
    numbers = [number for _, number in stamped if number is not None]
    assert (
        len(placed) == len(sent) or len(set(numbers)) < len(numbers) or numbers != sorted(numbers)
    )
    for each in placed:
        pipeline.receive(each.payload, each.timestamp_ms, each.sequence)
