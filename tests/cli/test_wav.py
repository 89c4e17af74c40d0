"""Any WAV becomes telephone audio: formats, rates, and what a low-pass owes the ear."""

import audioop
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import CommandError
from cli.wav import RATE_HZ, Samples, decode, encode_pcm16, read_mulaw, resample


def wav(data: bytes, *, kind: int = 1, channels: int = 1, rate_hz: int = 8000, bits: int) -> bytes:
    block = channels * bits // 8
    fields = struct.pack("<HHIIHH", kind, channels, rate_hz, rate_hz * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", len(fields)) + fields
    chunks += b"LIST" + struct.pack("<I", 3) + b"odd\0"  # an odd chunk has a byte of padding
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tone(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> Samples:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def level_db(samples: Samples) -> float:
    """Against a sine of full scale, without the edges."""
    inner = samples[400:-400]
    return float(10 * np.log10(2 * np.mean(inner**2) + 1e-20))


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 8, bytes([0, 64, 128, 192])),
        (1, 16, struct.pack("<4h", -32768, -16384, 0, 16384)),
        (1, 24, b"\x00\x00\x80\x00\x00\xc0\x00\x00\x00\x00\x00\x40"),
        (1, 32, struct.pack("<4i", -(1 << 31), -(1 << 30), 0, 1 << 30)),
        (3, 32, struct.pack("<4f", -1, -0.5, 0, 0.5)),
        (3, 64, struct.pack("<4d", -1, -0.5, 0, 0.5)),
    ],
)
def test_each_sample_format(kind: int, bits: int, data: bytes) -> None:
    samples, rate_hz = decode(wav(data, kind=kind, bits=bits, rate_hz=44100))
    assert samples.tolist() == [-1, -0.5, 0, 0.5]
    assert rate_hz == 44100


def test_channels_are_averaged_and_a_cut_last_frame_is_dropped() -> None:
    data = struct.pack("<5h", 16384, 0, -16384, -16384, 999)
    samples, _ = decode(wav(data, channels=2, bits=16))
    assert samples.tolist() == [0.25, -0.5]


def test_the_extensible_format_names_the_real_one() -> None:
    body = struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 16000, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    body += struct.pack("<H", 1) + bytes(14)
    content = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(body)) + body
    content += b"data" + struct.pack("<Ih", 2, 16384)
    assert decode(content)[0].tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a WAV"),
        (b"ID3 an mp3 file", "not a WAV"),
        (b"RIFF\0\0\0\0WAVE", "no format or no data"),
        (wav(b"", bits=16).replace(b"data", b"junk"), "no format or no data"),
        (wav(b"\0\0", bits=12), "12-bit"),
        (wav(b"\0\0", kind=0x0055, bits=16), "0x0055"),
        (wav(b"\0\0", channels=0, bits=16), "0 channels"),
        (wav(b"\0\0", rate_hz=0, bits=16), "0 Hz"),
    ],
)
def test_what_it_refuses(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        decode(content)


@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_bytes_give_samples_or_a_value_error(junk: bytes, at: int) -> None:
    content = wav(bytes(20), bits=16)
    for candidate in (junk, content[:at] + junk, content[:at] + junk + content[at + len(junk) :]):
        try:
            samples, _ = decode(candidate)
        except ValueError:
            continue
        assert samples.ndim == 1


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11025, 16000, 22050, 44100, 48000])
def test_speech_passes_whole_and_nothing_folds_back(rate_hz: int) -> None:
    for frequency_hz in (300, 1000, 3400):
        if frequency_hz < 0.45 * rate_hz:
            passed = level_db(resample(tone(frequency_hz, rate_hz), rate_hz, RATE_HZ))
            assert passed == pytest.approx(0, abs=0.1)
    for frequency_hz in (4300, 5000, 7000):
        if frequency_hz < rate_hz / 2:
            assert level_db(resample(tone(frequency_hz, rate_hz), rate_hz, RATE_HZ)) < -70


@pytest.mark.parametrize("rate_hz", [11025, 16000, 44100, 48000])
def test_there_is_no_delay(rate_hz: int) -> None:
    """The output is the tone itself at the new rate, sample for sample."""
    out = resample(tone(1000, rate_hz), rate_hz, RATE_HZ)
    assert len(out) == RATE_HZ
    assert np.allclose(out[400:-400], tone(1000, RATE_HZ)[400:-400], atol=1e-3)


@given(st.integers(0, 50), st.sampled_from([7350, 8000, 16000, 22050]))
def test_any_length_converts(length: int, rate_hz: int) -> None:
    out = resample(np.zeros(length), rate_hz, RATE_HZ)
    assert len(out) == -(-length * RATE_HZ // rate_hz)


def test_loud_audio_saturates() -> None:
    assert encode_pcm16(np.array([2.0, -2.0, 0.0])) == struct.pack("<3h", 32767, -32768, 0)


def test_a_file_of_another_rate_and_two_channels(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    pcm = (tone(440, 48000) * 16000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 48000, 0, "NONE", ""))
        file.writeframes(np.repeat(pcm, 2).tobytes())
    heard = np.frombuffer(audioop.ulaw2lin(read_mulaw(path), 2), "<i2") / 32768
    assert len(heard) == RATE_HZ
    assert level_db(heard) == pytest.approx(20 * np.log10(16000 / 32768), abs=0.2)


def test_a_missing_file_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*none\.wav: No such file"):
        read_mulaw(tmp_path / "none.wav")
