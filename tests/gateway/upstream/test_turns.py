"""Cutting of a session's audio into turns."""

import audioop
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.upstream.turns import Cut, Part, Quiet, Step, TurnCutter

CHUNK_MS = 80
LEVELS = {"_": 0, ".": 30, "-": 200, "S": 3000}  # silence, an idle line, soft and loud speech
NOISE = np.random.default_rng(1).standard_normal(CHUNK_MS * 16)


def chunks(levels: str, *, at_ms: int = 0) -> Iterator[AudioChunk]:
    """Yield a chunk of 80 ms for each letter."""
    for letter in levels:
        pcm = (NOISE * LEVELS[letter]).astype("<i2").tobytes()
        yield AudioChunk(pcm, at_ms, at_ms := at_ms + CHUNK_MS)


def cut(levels: str, *, longest_ms: int = 4000, pause_ms: int = 1000) -> list[Step]:
    cutter = TurnCutter(longest_ms, pause_ms)
    steps = [step for chunk in chunks(levels) for step in cutter.add(chunk, chunk.end_ms / 1000)]
    return steps + cutter.end()


def turns(steps: list[Step]) -> list[tuple[int, int, Cut]]:
    """Return each turn's start and end on the media clock, and how it was cut."""
    found, parts = [], list[Part]()
    for step in steps:
        if isinstance(step, Part):
            parts.append(step)
        elif isinstance(step, Cut):
            found.append((parts[0].chunk.start_ms, parts[-1].chunk.end_ms, step))
            parts = []
    assert not parts, "the last turn has no end"
    return found


ENDS = Cut(ends_utterance=True)
CONTINUES = Cut()


ROWS: dict[str, tuple[str, list[tuple[int, int, Cut]]]] = {
    "no audio": ("", []),
    "no speech": ("." * 60, []),
    "soft audio alone begins no turn": ("-" * 60, []),
    # 400 ms of lead-in, and the pause
    "one utterance": ("." * 20 + "S" * 10 + "." * 30, [(1200, 3440, ENDS)]),
    "two": (
        "S" * 10 + "." * 30 + "S" * 10,
        [(0, 1840, ENDS), (2800, 4000, ENDS)],
    ),
    "a hang-up in mid-word": ("S" * 10, [(0, 800, ENDS)]),
    "a short pause in a short turn": ("S" * 10 + "." * 6 + "S" * 10, [(0, 2080, ENDS)]),
    # beyond 60 % of the longest turn (2.4 s), a pause of 400 ms ends it
    "a long turn": (
        "S" * 30 + "." * 6 + "S" * 10,
        [(0, 2800, CONTINUES), (2640, 3680, ENDS)],
    ),
    # beyond 90 % (3.6 s), one of 160 ms
    "a longer turn": (
        "." * 5 + "S" * 41 + "." * 2 + "S" * 10,
        [(0, 3840, CONTINUES), (3760, 4640, ENDS)],
    ),
    # soft speech is no pause, and not loud enough to be one's end
    "soft words": ("." * 5 + "S" * 30 + "-" * 6 + "S" * 5, [(0, 3680, ENDS)]),
    # the overlap begins at the quietest moment of the last 1.2 s to 2.0 s
    "no pause": (
        "." * 5 + "S" * 25 + "-" + "S" * 29,
        [(0, 4000, Cut(1600)), (2400, 4800, ENDS)],
    ),
}


@pytest.mark.parametrize(("levels", "expected"), ROWS.values(), ids=ROWS)
def test_turns(levels: str, expected: list[tuple[int, int, Cut]]) -> None:
    assert turns(cut(levels)) == expected


def test_pauses_are_found_in_noise() -> None:
    """A pause is relative to the level of the line: with steady noise, all audio may be loud."""
    noise = np.random.default_rng(2).standard_normal(64_000 * 2)
    speech = np.repeat([6.0] * 30 + [1.0] * 6 + [6.0] * 10, CHUNK_MS * 16)
    pcm = (500 * noise[: len(speech)] * speech).astype("<i2").tobytes()
    quiet = (500 * noise[: CHUNK_MS * 16 * 10]).astype("<i2").tobytes()
    cutter, steps = TurnCutter(4000, 1000), list[Step]()
    for at in range(0, len(quiet + pcm), CHUNK_MS * BYTES_PER_MS):
        piece = (quiet + pcm)[at : at + CHUNK_MS * BYTES_PER_MS]
        assert audioop.rms(piece, 2) > 330
        start_ms = at // BYTES_PER_MS
        steps += cutter.add(AudioChunk(piece, start_ms, start_ms + CHUNK_MS), 0.0)
    assert Cut() in steps


def test_a_jump_of_the_media_clock_ends_the_turn() -> None:
    cutter = TurnCutter(4000, 1000)
    steps = [step for chunk in chunks("SS") for step in cutter.add(chunk, 0.0)]
    steps += [step for chunk in chunks("SS", at_ms=60_000) for step in cutter.add(chunk, 0.0)]
    assert turns(steps + cutter.end()) == [(0, 160, ENDS), (60_000, 60_160, ENDS)]


def test_padding_ends_the_turn_at_once() -> None:
    """No audio arrives for a while: the words so far must not wait for more of it."""
    cutter = TurnCutter(4000, 1000)
    steps = [step for chunk in chunks("SS") for step in cutter.add(chunk, 0.0)]
    steps += cutter.add(AudioChunk(bytes(2560), 160, 160), 0.0)
    assert turns(steps) == [(0, 160, ENDS)]


@example("S" * 200, 5000)
@given(st.text("_.-S", max_size=300), st.sampled_from([2000, 5000, 15_000]))
def test_all_audio_is_in_a_turn_or_quiet(levels: str, longest_ms: int) -> None:
    """In order, once, except for overlaps and lead-ins; no turn is longer than the longest."""
    steps = cut(levels, longest_ms=longest_ms)
    for start_ms, end_ms, _ in turns(steps):
        assert end_ms - start_ms <= longest_ms
    seen, ends_ms = set[int](), 0
    for step in steps:
        if isinstance(step, Cut):
            assert step.overlap_ms in {0, *range(1200, 2001, CHUNK_MS)}
            continue
        chunk = step.chunk
        if isinstance(step, Quiet):
            assert chunk.start_ms >= ends_ms, "answered audio is quiet again"
            assert audioop.rms(chunk.pcm, 2) < 330
        assert chunk.start_ms <= ends_ms, "audio is missing"
        ends_ms = max(ends_ms, chunk.end_ms)
        seen.add(chunk.start_ms)
    assert seen == set(range(0, CHUNK_MS * len(levels), CHUNK_MS))
