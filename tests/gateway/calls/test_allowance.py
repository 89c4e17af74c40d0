"""Rate limits of one media stream: audio ahead of real time, and messages."""

import pytest

from gateway.calls.allowance import Allowance
from gateway.errors import CarrierError

EACH = 60  # messages between two checks


def reason(*bursts: tuple[float, int, float], tracks: int = 1) -> tuple[str, int] | None:
    """Spend the messages of all bursts, `EACH` at a time.

    Args:
        bursts: seconds since the start, number of messages that arrive then, audio in each in ms.
        tracks: number of tracks that share the audio.

    Returns:
        The reason of the first error, and the number of messages until then; None without an error.
    """
    allowance, audio_ms, total = Allowance(100.0), 0.0, 0
    for at_s, messages, each_ms in bursts:
        for begin in range(0, messages, EACH):
            count = min(EACH, messages - begin)
            audio_ms, total = audio_ms + count * each_ms, total + count
            try:
                allowance.spend(count, audio_ms, audio_ms / tracks, 100.0 + at_s)
            except CarrierError as error:
                return error.reason, total
    return None


def test_real_time_audio_of_two_tracks_is_allowed() -> None:
    for frame_ms in (10, 20, 40):
        seconds = ((float(s), 2000 // frame_ms, float(frame_ms)) for s in range(1, 3600))
        assert reason(*seconds, tracks=2) is None


def test_minute_of_delayed_audio_at_once_is_allowed() -> None:
    assert reason((1.0, 12_000, 10.0), tracks=2) is None
    after_stall = (600.0, 6_000, 20.0), (600.1, 55_000, 20.0)
    assert reason(*after_stall, tracks=2) is None


def test_more_than_a_minute_ahead_of_real_time_is_too_fast() -> None:
    ended = reason((10.0, 10_000, 20.0))
    assert ended is not None
    assert ended[0] == "too-fast"
    assert 70_000 < ended[1] * 20 <= 70_000 + EACH * 20


@pytest.mark.parametrize("each_ms", [0.0, 0.1, 1.0])
def test_messages_with_little_audio_are_a_flood(each_ms: float) -> None:
    ended = reason((1.0, 12_000, each_ms))
    assert ended is not None
    assert ended[0] == "message-flood"
    assert ended[1] < 3_500


def test_unused_allowance_accumulates_only_up_to_the_burst_limit() -> None:
    quiet = [(float(s), 100, 20.0) for s in range(1, 3600)]
    ended = reason(*quiet, (3600.0, 10_000, 0.0), tracks=2)
    assert ended is not None
    assert ended[0] == "message-flood"


def test_240_messages_per_second_without_audio_are_allowed() -> None:
    assert reason(*((float(s), 240, 0.0) for s in range(1, 600))) is None


def test_limits_are_exact() -> None:
    """One minute ahead; a burst of 2,000 messages, and one more per 4 ms of audio."""
    Allowance(0.0).spend(0, 60_000, 60_000, 0.0)
    with pytest.raises(CarrierError, match="too-fast"):
        Allowance(0.0).spend(0, 60_001, 60_001, 0.0)
    allowance = Allowance(0.0)
    allowance.spend(1000, 0, 0, 0.0)
    allowance.spend(1100, 400, 400, 0.0)
    with pytest.raises(CarrierError, match="message-flood"):
        allowance.spend(1, 400, 400, 0.0)
