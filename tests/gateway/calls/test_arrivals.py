"""The clock of frames without times: omitted silence moves it, delayed delivery does not."""

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
def test_omitted_silence_moves_the_clock(silence_ms: int) -> None:
    """Symptom: each start_ms was too early by the length of all silences before it."""
    assert jumps(paced(100) + paced(100, 2000 + silence_ms)) == [(2000, silence_ms)]


def test_many_omitted_silences_add_up() -> None:
    times = [at_ms for turn in range(20) for at_ms in paced(50, turn * 3000)]
    assert jumps(times) == [(1000 + turn * 3000, 2000) for turn in range(19)]


@pytest.mark.parametrize("late_ms", [600, 3_000, 36_000])
@pytest.mark.parametrize("speed", [1.3, 2, 10, 1000])
def test_delayed_delivery_does_not_move_the_clock(late_ms: int, speed: float) -> None:
    """Frames are delayed, then arrive faster than real time until they have caught up."""
    backlog = round(late_ms / FRAME_MS / (1 - 1 / speed))
    burst = paced(backlog, 2000 + late_ms, FRAME_MS / speed)
    assert jumps(paced(100) + burst + paced(100, burst[-1] + FRAME_MS)) == []


def test_silence_with_delayed_delivery_moves_the_clock_by_the_silence() -> None:
    burst = paced(100, 2000 + 10_000, 0)  # 2 of the 10 s were a delay
    [(at_ms, silence_ms)] = jumps(paced(100) + burst + paced(200, 12_020))
    assert 2000 <= at_ms <= 5000
    assert abs(silence_ms - 8000) <= 40


def test_jitter_does_not_move_the_clock() -> None:
    times = [at_ms + (at_ms * 7919 % 400) for at_ms in paced(500)]
    assert jumps(sorted(times)) == []


@pytest.mark.parametrize("drift", [0.9995, 1.0005])
def test_drift_of_the_sender_does_not_make_the_clock_jump(drift: float) -> None:
    assert jumps(paced(100_000, every_ms=FRAME_MS * drift)) == []


@pytest.mark.parametrize("length_ms", [10, 100, 1000, 5000])
def test_omitted_silence_is_detected_with_messages_of_any_length(length_ms: int) -> None:
    before, after = paced(4, 0, length_ms), paced(4, 4 * length_ms + 7000, length_ms)
    assert jumps(before + after, length_ms=length_ms) == [(4 * length_ms, 7000)]


def test_held_frames_are_passed_on_once_the_stall_is_judged() -> None:
    arrivals = Arrivals(MS_BYTES)
    for at_ms in paced(100):
        arrivals.receive(frame(), at_ms)
    for at_ms in paced(5, 5000):
        assert arrivals.receive(frame(), at_ms) == ()
    assert arrivals.pop_due(5100) == ()
    assert len(arrivals.pop_due(5500)) == 5


def test_endless_burst_is_not_held_back() -> None:
    arrivals = Arrivals(MS_BYTES)
    arrivals.receive(frame(), 0)
    passed = [len(arrivals.receive(frame(1000), 10_000_000)) for _ in range(1000)]
    assert sum(passed) >= 990


@pytest.mark.parametrize(("silence_ms", "jump_ms"), [(499, []), (500, [(2000, 500)])])
def test_shortest_stall_that_moves_the_clock_is_500_ms(
    silence_ms: int, jump_ms: list[tuple[int, int]]
) -> None:
    assert jumps(paced(100) + paced(100, 2000 + silence_ms)) == jump_ms


def test_stall_is_measured_against_the_usual_delay() -> None:
    late_ms = [at_ms + (300 if at_ms else 0) for at_ms in paced(100)]
    assert jumps(late_ms + paced(100, 2000 + 499)) == []
