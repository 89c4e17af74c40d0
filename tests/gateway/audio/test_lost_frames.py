"""Frames that arrived but whose audio is lost: each becomes a gap at the right position."""

import itertools
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline

PCMU: Final = TrackFormat("inbound", Encoding.PCMU, 8000)
WIDE: Final = TrackFormat("inbound", Encoding.L16LE, 24_000)

type Piece = AudioChunk | AudioGap


def run(pattern: str, *, stamped: bool, numbered: bool = False, size: int = 160) -> list[Piece]:
    """Feed 20 ms frames: `.` is received, `x` is lost, `_` never arrives.

    Args:
        pattern: one character per frame.
        stamped: whether frames have timestamps.
        numbered: whether frames have numbers.
        size: claimed length of a lost frame, in bytes.
    """
    pipeline = TrackPipeline(PCMU)
    pieces: list[Piece] = []
    for index, what in enumerate(pattern):
        times = 20 * index if stamped else None, index + 1 if numbered else None
        if what == ".":
            pieces += pipeline.receive(bytes(160), *times)
        elif what == "x":
            pieces += pipeline.lose(size, *times)
    pieces += pipeline.flush()
    assert pipeline.flush() == []
    assert pipeline.lost_frames == pattern.count("x")
    return pieces


def gaps(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    return [(each.from_ms, each.to_ms) for each in pieces if isinstance(each, AudioGap)]


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("..x..", [(40, 60)]),
        ("xx...", [(0, 40)]),
        ("...xx", [(60, 100)]),
        ("xxxxx", [(0, 100)]),
        ("x.x.x", [(0, 20), (40, 60), (80, 100)]),
        (".....xxxxx.....", [(100, 200)]),
    ],
)
def test_lost_frames_become_gaps_anywhere_in_the_track(
    pattern: str, expected: list[tuple[int, int]], stamped: bool, numbered: bool
) -> None:
    """Symptom: audio that could not be decoded was no gap at the start, at the end, or alone."""
    pieces = run(pattern, stamped=stamped, numbered=numbered)
    assert gaps(pieces) == expected
    chunks = [each for each in pieces if isinstance(each, AudioChunk)]
    covered = [(each.start_ms, each.end_ms) for each in chunks]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(covered))


@pytest.mark.parametrize("size", [1, 80, 160, 3200, 80_000])
@pytest.mark.parametrize("pattern", ["..x..", "x....", ".xx..", "..x.x."])
def test_timestamps_override_the_claimed_length_of_lost_frames(pattern: str, size: int) -> None:
    lost = [(20 * n, 20 * n + 20) for n, what in enumerate(pattern) if what == "x"]
    merged = [(20, 60)] if pattern == ".xx.." else lost
    assert gaps(run(pattern, stamped=True, size=size)) == merged


def test_missing_and_lost_frames_side_by_side_are_one_gap() -> None:
    assert gaps(run("..x__..", stamped=True)) == [(40, 100)]
    assert gaps(run("..__x..", stamped=True)) == [(40, 100)]
    assert gaps(run("..__x", stamped=True)) == [(40, 100)]


def test_lost_frame_between_consecutive_timestamps_is_no_gap() -> None:
    pipeline = TrackPipeline(PCMU)
    pipeline.receive(bytes(160), 0, None)
    pipeline.lose(160, None, None)
    pieces = pipeline.receive(bytes(160), 20, None) + pipeline.flush()
    assert gaps(pieces) == []
    assert pipeline.position_ms == 40


def test_lost_frame_with_a_repeated_number_is_a_duplicate() -> None:
    pipeline = TrackPipeline(PCMU)
    pipeline.receive(bytes(160), 0, 1)
    pipeline.lose(160, 20, 2)
    pipeline.lose(160, 0, 1)
    assert (pipeline.lost_frames, pipeline.duplicates) == (1, 1)


def test_lost_frame_before_restarted_timestamps_is_a_gap() -> None:
    pipeline = TrackPipeline(PCMU)
    for index in range(50):
        pipeline.receive(bytes(160), 20 * index, None)
    pipeline.lose(160, None, None)
    pieces = pipeline.receive(bytes(160), 0, None)
    assert gaps(pieces) == [(1000, 1020)]


def test_long_run_of_lost_frames_is_declared_every_30_s() -> None:
    pipeline = TrackPipeline(PCMU)
    pipeline.receive(bytes(160), None, None)
    found = [piece for _ in range(4000) for piece in pipeline.lose(160, None, None)]
    assert gaps(found) == [(20, 30_020), (30_020, 60_020)]
    assert gaps(pipeline.flush()) == [(60_020, 80_020)]
    assert pipeline.position_ms == 80_020


def test_audio_after_a_long_run_keeps_its_position() -> None:
    pipeline = TrackPipeline(PCMU)
    pipeline.receive(bytes(640), 0, None)
    for index in range(2000):
        pipeline.lose(160, 80 + 20 * index, None)
    pieces = pipeline.receive(bytes(640), 40_080, None) + pipeline.flush()
    assert gaps(pieces) == [(30_080, 40_080)]
    assert pipeline.position_ms == 40_160


def test_half_a_sample_before_a_lost_frame_does_not_shift_the_gap() -> None:
    pipeline = TrackPipeline(WIDE)
    pieces: list[Piece] = pipeline.receive(bytes(961), None, None)
    pieces += pipeline.lose(960, None, None)
    sound = b"\x01\x02" * 1920
    pieces += pipeline.receive(sound, None, None) + pipeline.flush()
    assert gaps(pieces) == [(20, 40)]


FRAMES: Final = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 700),
        st.none() | st.integers(-50, 5000),
        st.none() | st.integers(-5, 300),
    ),
    max_size=30,
)


@given(frames=FRAMES, form=st.sampled_from([PCMU, WIDE]))
def test_chunks_and_gaps_are_ordered_and_do_not_overlap(
    frames: list[tuple[bool, int, int | None, int | None]], form: TrackFormat
) -> None:
    pipeline = TrackPipeline(form)
    pieces: list[Piece] = []
    for is_lost, size, timestamp_ms, sequence in frames:
        if is_lost:
            pieces += pipeline.lose(size, timestamp_ms, sequence)
        else:
            pieces += pipeline.receive(bytes(size), timestamp_ms, sequence)
    pieces += pipeline.flush()
    chunks = [each for each in pieces if isinstance(each, AudioChunk)]
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(chunks))
    holes = gaps(pieces)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(holes))
    assert all(0 <= a <= b <= pipeline.position_ms for a, b in holes)
