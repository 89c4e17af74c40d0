"""A call plays two people who take turns, or the user's files."""

import audioop
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cli.callers.call import MULAW_SILENCE
from cli.errors import CommandError
from cli.recordings import nagg_and_nell, read_mulaw, read_tracks
from tests.cli.audio.files import wav

SILENCE = MULAW_SILENCE[0]
PITCHES_HZ = range(80, 320)


def samples(track: bytes) -> np.ndarray:
    return np.frombuffer(audioop.ulaw2lin(track, 2), "<i2") / 32768


def stretches(track: bytes) -> list[tuple[int, int]]:
    """Return the spans of speech, in ms; pauses of up to 1 s do not divide them."""
    loud = [
        at // 8
        for at in range(0, len(track), 160)
        if np.abs(samples(track[at : at + 160])).max() > 0.01
    ]
    starts = [loud[0], *(b for a, b in pairwise(loud) if b - a > 1000)]
    ends = [*(a for a, b in pairwise(loud) if b - a > 1000), loud[-1]]
    return [(start, end + 20) for start, end in zip(starts, ends, strict=True)]


def pitch_hz(track: bytes) -> float:
    """Return the pitch of a voice: the median over its louder pieces of 40 ms."""
    found = []
    audio = samples(track)
    for at in range(0, len(audio) - 320, 160):
        piece = audio[at : at + 320] - audio[at : at + 320].mean()
        if np.abs(piece).max() < 0.1:
            continue
        likeness = [float(piece[: -(8000 // hz)] @ piece[8000 // hz :]) for hz in PITCHES_HZ]
        found.append(PITCHES_HZ[int(np.argmax(likeness))])
    return float(np.median(found))


def test_default_call_is_two_people_who_take_turns() -> None:
    """Symptom: two unrelated recordings played over each other."""
    tracks = read_tracks(None, None)
    assert list(tracks) == ["inbound", "outbound"]
    assert len(set(map(len, tracks.values()))) == 1
    turns = sorted((*turn, name) for name, track in tracks.items() for turn in stretches(track))
    assert len(turns) == 14
    for (_, end, speaker), (begin, _, next_speaker) in pairwise(turns):
        assert speaker != next_speaker
        assert begin - end > 500  # they never talk at the same time
    assert turns[-1][1] < 60_000


def test_default_call_has_one_voice_per_track_and_all_audio() -> None:
    tracks = read_tracks(None, None)
    assert pitch_hz(tracks["outbound"]) > 1.3 * pitch_hz(tracks["inbound"])
    sounding = sum(len(track) - track.count(SILENCE) for track in tracks.values())
    whole = read_mulaw(nagg_and_nell())
    assert sounding == len(whole) - whole.count(SILENCE)


def write(path: Path, channels: int) -> Path:
    path.write_bytes(wav(struct.pack("<4h", 8031, -8031, 8031, -8031), channels=channels, bits=16))
    return path


def test_file_with_two_channels_fills_both_tracks(tmp_path: Path) -> None:
    stereo = write(tmp_path / "stereo.wav", 2)
    assert read_tracks(stereo, None) == {"inbound": b"\xa0\xa0", "outbound": b"\x20\x20"}


def test_party_without_file_is_silent(tmp_path: Path) -> None:
    mono = write(tmp_path / "mono.wav", 1)
    voice, silence = b"\xa0\x20\xa0\x20", MULAW_SILENCE * 4
    assert read_tracks(mono, None) == {"inbound": voice, "outbound": silence}
    assert read_tracks(None, mono) == {"inbound": silence, "outbound": voice}
    assert read_tracks(mono, mono) == {"inbound": voice, "outbound": voice}


def test_mono_mixes_channels(tmp_path: Path) -> None:
    stereo = write(tmp_path / "stereo.wav", 2)
    mixed = read_tracks(stereo, stereo, mono=True)
    assert mixed == {"inbound": MULAW_SILENCE * 2, "outbound": MULAW_SILENCE * 2}


@pytest.mark.parametrize(("inbound", "outbound"), [(2, 1), (1, 2), (3, None), (None, 2)])
def test_file_with_too_many_channels_is_rejected(
    tmp_path: Path, inbound: int | None, outbound: int | None
) -> None:
    files = [
        write(tmp_path / f"{name}.wav", channels) if channels else None
        for name, channels in (("in", inbound), ("out", outbound))
    ]
    with pytest.raises(CommandError, match=r"channels, a party each: .* --mono"):
        read_tracks(*files)
