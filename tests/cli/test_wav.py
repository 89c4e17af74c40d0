"""Any recording is converted to telephone audio."""

import audioop
import struct
from pathlib import Path

import numpy as np
import pytest

from cli.callers.call import RATE_HZ
from cli.errors import CommandError
from cli.recordings import read_mulaw, read_parties
from tests.cli.audio.files import level_db, tone, wav


def test_stereo_at_another_rate_is_mixed_and_resampled(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    pcm = (tone(440, 48000) * 16000).astype("<i2")
    path.write_bytes(wav(np.repeat(pcm, 2).tobytes(), channels=2, rate_hz=48000, bits=16))
    samples = np.frombuffer(audioop.ulaw2lin(read_mulaw(path), 2), "<i2") / 32768
    assert len(samples) == RATE_HZ
    assert level_db(samples) == pytest.approx(20 * np.log10(16000 / 32768), abs=0.2)


def test_each_channel_becomes_one_party(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav(struct.pack("<4h", 8031, -8031, 8031, -8031), channels=2, bits=16))
    assert read_parties(path) == [b"\xa0\xa0", b"\x20\x20"]


def test_mulaw_file_at_8_khz_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "ulaw.wav"
    audio = bytes(set(range(256)) - {0x7F})  # negative zero decodes to 0, like positive zero
    path.write_bytes(wav(audio, kind=7, bits=8))
    assert read_mulaw(path) == audio


def test_missing_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*none\.wav: No such file"):
        read_mulaw(tmp_path / "none.wav")
