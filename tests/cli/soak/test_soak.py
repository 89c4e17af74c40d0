"""The calls of a soak, and its outcome."""

import signal
import subprocess
import sys
from typing import Any

import psutil  # type: ignore[import-untyped]  # (its types are not installed)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.audit import Account
from cli.soak import command as soak
from cli.soak.callers import speech, tracks

WHOLE = Account(audio_ms=1000, transcribed_ms=900, gap_ms=100)
GOOD = soak.Outcome(
    seconds=600, calls=3, faults=2, found=WHOLE, unclosed_calls=0, leaked_slots=0, leaked_tasks=0,
    leaked_fds=0, rss_mb_per_min=0.124,
)  # fmt: skip


def outcome(**changed: Any) -> soak.Outcome:
    fields = {name: getattr(GOOD, name) for name in soak.Outcome.__slots__}
    return soak.Outcome(**(fields | changed))


def test_soak_json() -> None:
    assert soak.report(GOOD) == {
        "calls": 3,
        "faults": 2,
        "audio_ms": 1000,
        "transcribed_ms": 900,
        "gap_ms": 100,
        "unaccounted_ms": 0,
        "duplicated_ms": 0,
        "unclosed_calls": 0,
        "leaked_slots": 0,
        "rss_mb_per_min": 0.12,
        "leaked_tasks": 0,
        "leaked_fds": 0,
    }


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True),
        ({"found": Account(audio_ms=80, unaccounted_ms=80)}, False),
        ({"found": Account(80, 80, duplicated_ms=80)}, False),
        ({"found": Account(80, 80, problems=("final repeated",))}, False),
        ({"unclosed_calls": 1}, False),
        ({"leaked_slots": 1}, False),
        ({"leaked_tasks": 1}, False),
        ({"leaked_fds": 1}, False),
        ({"rss_mb_per_min": 3.0}, False),
        ({"rss_mb_per_min": 3.0, "seconds": 60}, True),  # too short to measure growth
        ({"calls": 0}, False),  # no call was made
    ],
)
def test_soak_fails_on_lost_audio_and_leaks(changed: dict[str, Any], kept: bool) -> None:
    assert outcome(**changed).kept is kept


@given(st.integers(0, 1000), st.integers(0, 20_000))
def test_audio_depends_only_on_the_seed(seed: int, length_ms: int) -> None:
    """The audio has whole frames, so that none is padded."""
    made = tracks(seed, length_ms)
    assert made == tracks(seed, length_ms)
    assert {len(audio) for audio in made.values()} == {length_ms // 20 * 160}
    if length_ms >= 20:
        assert made["inbound"] != made["outbound"]


def test_speech_has_pauses() -> None:
    audio = speech(1, 60_000)
    silent = audio.count(b"\xff" * 800)  # 100 ms
    assert 20 < silent < 400


def test_ctrl_c_leaves_nothing_behind() -> None:
    command = sys.executable, "-P", "-m", "cli", "soak", "--calls", "2"
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603 (ours)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("2 calls at once"):
                break
        parts = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert len(parts) == 5
    assert not any(part.is_running() for part in parts)
