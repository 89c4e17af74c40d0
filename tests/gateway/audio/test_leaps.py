"""Timestamps that leap: as lost frames make them, for ever; as nonsense does, not for long."""

from collections.abc import Iterable

import pytest

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.audio.pipeline import TrackPipeline

FRAMES = 20_000
FRAME = bytes(160)


def taken(stamps_ms: Iterable[int], frame: bytes = FRAME) -> int:
    """Feed frames of these timestamps; give how many were taken before they were nonsense."""
    pipeline = TrackPipeline(TrackFormat("inbound", Encoding.PCMU, 8000))
    for at_ms in stamps_ms:
        pipeline.receive(frame, at_ms, None)
        if pipeline.is_nonsense:
            break
    return pipeline.frames


@pytest.mark.parametrize("ahead_ms", [200, 30_000, 3_600_000])
def test_stamps_that_go_to_and_fro_are_nonsense_soon(ahead_ms: int) -> None:
    """Symptom: 6,000 of them froze the process for 10 s."""
    assert taken(ahead_ms * (n % 2) for n in range(FRAMES)) < 300


def test_stamps_that_always_begin_anew_are_nonsense() -> None:
    assert taken(3_600_000 - 200 * n for n in range(FRAMES)) < 300


def test_many_small_frames_cannot_leap_more_than_a_few_times() -> None:
    assert taken((200 * n for n in range(FRAMES)), bytes(8)) < 3000


def test_every_other_frame_may_be_lost() -> None:
    assert taken(40 * n for n in range(FRAMES)) == FRAMES
    assert taken((20 * n for n in range(FRAMES)), bytes(80)) == FRAMES


def test_a_carrier_may_hold_and_begin_anew_now_and_then() -> None:
    """A hold each second: its stamps begin anew, or leap over it."""
    assert taken(20 * (n % 50) for n in range(FRAMES)) == FRAMES
    assert taken(20 * n + 5000 * (n // 50) for n in range(4000)) == 4000
