"""Counted audio and the moments of its arrival: what was silence, what was only late."""

from collections.abc import Iterable

import pytest

from gateway.calls.arrivals import Arrivals
from gateway.carriers.events import AudioFrame, AudioReceived

MS_BYTES = 8  # mu-law
FRAME_MS = 20


def frame(length_ms: int = FRAME_MS) -> AudioReceived:
    return AudioReceived("inbound", bytes(length_ms * MS_BYTES), None, None)


def jumps(
    times_ms: Iterable[float], *, length_ms: int = FRAME_MS, ends_ms: float | None = None
) -> list[tuple[int, int]]:
    """Feed frames that arrive at these times; return where audio jumps, and by how much."""
    arrivals = Arrivals(MS_BYTES)
    count = 0
    out: list[AudioFrame] = []
    for at_ms in times_ms:
        count += 1
        out += arrivals.receive(frame(length_ms), at_ms)
    if ends_ms is not None:
        out += arrivals.pop_due(ends_ms)
    out += arrivals.flush()
    assert len(out) == count, "a frame was lost"
    found, position_ms = [], 0
    for each in out:
        if each.timestamp_ms is not None:
            found.append((position_ms, each.timestamp_ms - position_ms))
            position_ms = each.timestamp_ms
        position_ms += length_ms
    return found


def paced(count: int, from_ms: float = 0, every_ms: float = FRAME_MS) -> list[float]:
    return [from_ms + every_ms * number for number in range(count)]


@pytest.mark.parametrize("silence_ms", [600, 3_000, 36_000])
def test_left_out_silence_moves_the_clock(silence_ms: int) -> None:
    """Symptom: every later start_ms was too early by all silences before it."""
    assert jumps(paced(100) + paced(100, 2000 + silence_ms)) == [(2000, silence_ms)]


def test_many_silences_add_up() -> None:
    times = [at_ms for turn in range(20) for at_ms in paced(50, turn * 3000)]
    assert jumps(times) == [(1000 + turn * 3000, 2000) for turn in range(19)]


@pytest.mark.parametrize("late_ms", [600, 3_000, 36_000])
@pytest.mark.parametrize("speed", [1.3, 2, 10, 1000])
def test_late_delivery_moves_nothing(late_ms: int, speed: float) -> None:
    """Frames that queue for a time, then come faster until they have caught up."""
    backlog = round(late_ms / FRAME_MS / (1 - 1 / speed))
    burst = paced(backlog, 2000 + late_ms, FRAME_MS / speed)
    assert jumps(paced(100) + burst + paced(100, burst[-1] + FRAME_MS)) == []


def test_silence_and_late_delivery_at_once_leave_the_silence() -> None:
    burst = paced(100, 2000 + 10_000, 0)  # 2 of 10 s were only late
    [(at_ms, silence_ms)] = jumps(paced(100) + burst + paced(200, 12_020))
    assert 2000 <= at_ms <= 5000
    assert abs(silence_ms - 8000) <= 40


def test_jitter_is_neither() -> None:
    times = [at_ms + (at_ms * 7919 % 400) for at_ms in paced(500)]
    assert jumps(sorted(times)) == []


@pytest.mark.parametrize("drift", [0.9995, 1.0005])
def test_a_clock_that_drifts_is_followed(drift: float) -> None:
    assert jumps(paced(100_000, every_ms=FRAME_MS * drift)) == []


@pytest.mark.parametrize("length_ms", [10, 100, 1000, 5000])
def test_messages_of_any_length(length_ms: int) -> None:
    before, after = paced(4, 0, length_ms), paced(4, 4 * length_ms + 7000, length_ms)
    assert jumps(before + after, length_ms=length_ms) == [(4 * length_ms, 7000)]


def test_one_word_between_two_silences_does_not_wait_for_the_next() -> None:
    arrivals = Arrivals(MS_BYTES)
    for at_ms in paced(100):
        arrivals.receive(frame(), at_ms)
    for at_ms in paced(5, 5000):
        assert arrivals.receive(frame(), at_ms) == ()
    assert arrivals.pop_due(5100) == ()
    assert len(arrivals.pop_due(5500)) == 5


def test_a_burst_without_end_is_not_held() -> None:
    arrivals = Arrivals(MS_BYTES)
    arrivals.receive(frame(), 0)
    passed = [len(arrivals.receive(frame(1000), 10_000_000)) for _ in range(1000)]
    assert sum(passed) >= 990
