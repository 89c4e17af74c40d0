"""Windows contain all speech exactly once, and little else."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from container.cpu.windows import FRAME, MAX_FRAMES, Window, Windower

RNG = np.random.default_rng(7)


def noise(seconds: float, level_db: float) -> bytes:
    """Make white noise of a level relative to full scale."""
    amplitude = 32768 * 10 ** (level_db / 20)
    return RNG.normal(0, amplitude, int(seconds * 16_000)).astype("<i2").tobytes()


def voice(seconds: float) -> bytes:
    return noise(seconds, -25)


def hush(seconds: float) -> bytes:
    return noise(seconds, -65)


def windows_of(*pieces: bytes, finish: bool = True) -> list[Window]:
    windower = Windower()
    for piece in pieces:
        windower.append(piece)
    if finish:
        windower.finish()
    return list(windower.windows)


def seconds(window: Window) -> tuple[float, float]:
    return window.begin / 16_000, window.speech_end / 16_000


def test_silence_gives_no_window() -> None:
    assert windows_of(bytes(320_000), hush(5)) == []


def test_steady_noise_becomes_silence() -> None:
    windows = windows_of(hush(1), noise(20, -45), finish=False)
    assert all(window.closed for window in windows)
    assert sum(end - begin for begin, end in map(seconds, windows)) < 10


def test_a_window_contains_speech_and_a_short_margin() -> None:
    (window,) = windows_of(hush(1), voice(2), hush(1), finish=False)
    begin, end = seconds(window)
    assert window.closed
    assert 0.7 <= begin <= 1.0
    assert 3.0 <= end <= 3.3
    assert len(window.pcm(window.speech_end)) == 2 * (window.speech_end - window.begin)


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([voice(1), hush(0.3), voice(1)], 1),  # a short pause in a short window
        ([voice(1), hush(0.8), voice(1)], 2),
        ([voice(3.2), hush(0.45), voice(1)], 2),
        ([voice(4.8), hush(0.25), voice(1)], 2),
    ],
)
def test_a_longer_window_ends_at_a_shorter_pause(pieces: list[bytes], count: int) -> None:
    assert len(windows_of(hush(1), *pieces)) == count


def test_speech_without_a_pause_is_cut_at_its_quietest_spot() -> None:
    first, second = windows_of(hush(1), voice(5), hush(0.1), voice(1.5))
    assert first.begin + len(first.frames) * FRAME == second.begin
    assert 6.0 <= second.begin / 16_000 <= 6.1


@given(st.lists(st.sampled_from(["voice", "hush", "zero"]), max_size=12), st.data())
def test_windows_do_not_depend_on_the_sizes_of_chunks(
    kinds: list[str], data: st.DataObject
) -> None:
    pieces_by_kind = {"voice": voice(0.9), "hush": hush(0.9), "zero": bytes(28_800)}
    pcm = b"".join(pieces_by_kind[kind] for kind in kinds)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pcm) // 2), max_size=8)))
    bounds = [0, *(2 * cut for cut in cuts), len(pcm)]
    pieces = [pcm[begin:end] for begin, end in itertools.pairwise(bounds)]
    whole = [(window.begin, window.frames) for window in windows_of(pcm)]
    assert [(window.begin, window.frames) for window in windows_of(*pieces)] == whole


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 12)), max_size=6))
@example([(True, 5.0), (False, 0.25), (True, 1.0)])
def test_windows_are_short_ordered_copies_of_the_audio(
    parts: list[tuple[bool, float]],
) -> None:
    pcm = b"".join(voice(length) if loud else hush(length) for loud, length in parts)
    last = 0
    for window in windows_of(pcm):
        assert window.closed
        assert window.begin >= last  # windows may overlap in a pause, but not in speech
        assert len(window.frames) <= MAX_FRAMES
        audio = b"".join(window.frames)
        assert audio.startswith(pcm[2 * window.begin : 2 * window.begin + len(audio)])
        last = window.begin + (len(window.frames) - window.quiet_run) * FRAME
