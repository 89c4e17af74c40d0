"""What one stream may send: as much audio as time allows, and the messages that carry it."""

import pytest

from gateway.calls.allowance import Allowance
from gateway.errors import CarrierError

EACH = 60  # messages between two looks


def reason(*looks: tuple[float, int, float], tracks: int = 1) -> tuple[str, int] | None:
    """Spend message by message; give why it ended and at which, or None.

    Args:
        looks: seconds since the start, messages that came then at once, milliseconds of each.
        tracks: that share the audio.
    """
    allowance, audio_ms, total = Allowance(100.0), 0.0, 0
    for at_s, messages, each_ms in looks:
        for begin in range(0, messages, EACH):
            count = min(EACH, messages - begin)
            audio_ms, total = audio_ms + count * each_ms, total + count
            try:
                allowance.spend(count, audio_ms, audio_ms / tracks, 100.0 + at_s)
            except CarrierError as error:
                return error.reason, total
    return None


def test_real_time_media_of_two_tracks_are_never_too_much() -> None:
    for frame_ms in (10, 20, 40):
        seconds = ((float(s), 2000 // frame_ms, float(frame_ms)) for s in range(1, 3600))
        assert reason(*seconds, tracks=2) is None


def test_a_minute_of_backlog_may_come_at_once() -> None:
    assert reason((1.0, 12_000, 10.0), tracks=2) is None
    assert reason((600.0, 6_000, 20.0), (600.1, 55_000, 20.0), tracks=2) is None  # a long stall


def test_audio_beyond_a_minute_ahead_is_too_fast() -> None:
    ended = reason((10.0, 10_000, 20.0))
    assert ended is not None
    assert ended[0] == "too-fast"
    assert 70_000 < ended[1] * 20 <= 70_000 + EACH * 20


@pytest.mark.parametrize("each_ms", [0.0, 0.1, 1.0])
def test_messages_that_carry_little_audio_are_a_flood(each_ms: float) -> None:
    ended = reason((1.0, 12_000, each_ms))
    assert ended is not None
    assert ended[0] == "message-flood"
    assert ended[1] < 3_500


def test_what_was_not_used_before_is_not_saved_for_a_flood() -> None:
    quiet = [(float(s), 100, 20.0) for s in range(1, 3600)]
    ended = reason(*quiet, (3600.0, 10_000, 0.0), tracks=2)
    assert ended is not None
    assert ended[0] == "message-flood"


def test_a_steady_trickle_of_notes_beside_the_media_is_no_flood() -> None:
    assert reason(*((float(s), 240, 0.0) for s in range(1, 600))) is None
