"""Leaping timestamps: accepted forever if frames are lost, rejected soon if they are nonsense."""

from collections.abc import Iterable

import pytest

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import TrackPipeline

FRAMES = 20_000
FRAME = bytes(160)


def accepted_frames(stamps_ms: Iterable[int], frame: bytes = FRAME) -> int:
    """Feed frames with these timestamps; return how many were accepted as usable."""
    pipeline = TrackPipeline(TrackFormat("inbound", Encoding.PCMU, 8000))
    for at_ms in stamps_ms:
        pipeline.receive(frame, at_ms, None)
        if pipeline.has_unusable_timestamps:
            break
    return pipeline.frames


@pytest.mark.parametrize("ahead_ms", [200, 30_000, 3_600_000])
def test_alternating_timestamps_soon_are_nonsense(ahead_ms: int) -> None:
    """Symptom: 6,000 such frames blocked the process for 10 s."""
    assert accepted_frames(ahead_ms * (n % 2) for n in range(FRAMES)) < 300


def test_constantly_restarting_timestamps_are_nonsense() -> None:
    assert accepted_frames(3_600_000 - 200 * n for n in range(FRAMES)) < 300


def test_leaps_of_small_frames_are_limited() -> None:
    assert accepted_frames((200 * n for n in range(FRAMES)), bytes(8)) < 3000


def test_loss_of_every_other_frame_is_accepted() -> None:
    assert accepted_frames(40 * n for n in range(FRAMES)) == FRAMES
    assert accepted_frames((20 * n for n in range(FRAMES)), bytes(80)) == FRAMES


def test_a_hold_per_second_is_accepted() -> None:
    """The timestamps restart after each hold, or leap over it."""
    assert accepted_frames(20 * (n % 50) for n in range(FRAMES)) == FRAMES
    assert accepted_frames(20 * n + 5000 * (n // 50) for n in range(4000)) == 4000
