"""Recordings of every header and sample format are read, one party per channel."""

import audioop
import itertools
import os
import struct
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.audio.recording import Recording
from cli.errors import CommandError
from tests.cli.audio.files import (
    LIST,
    UNKNOWN,
    chunk,
    extensible,
    fmt,
    level_db,
    riff,
    tone,
    wav,
)

PCM = struct.pack("<4h", -32768, -16384, 0, 16384)
AS_READ = (-32768, -16384, 0, 16384)
FORMAT = chunk(b"fmt ", fmt(1, 1, 8000, 16))
DATA = chunk(b"data", PCM)


def read(path: Path, *, rate_hz: int = 8000, mono: bool = False) -> list[tuple[int, ...]]:
    """Return each channel's samples."""
    with Recording.open(path) as recording:
        parts = list(recording.pcm16(rate_hz, mono=mono))
    channels = (b"".join(part) for part in zip(*parts, strict=True))
    return [struct.unpack(f"<{len(pcm) // 2}h", pcm) for pcm in channels]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "call.wav"


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 8, bytes([0, 64, 128, 192])),
        (1, 16, PCM),
        (1, 24, b"\x00\x00\x80\x00\x00\xc0\x00\x00\x00\x00\x00\x40"),
        (1, 32, struct.pack("<4i", -(1 << 31), -(1 << 30), 0, 1 << 30)),
        (3, 32, struct.pack("<4f", -1, -0.5, 0, 0.5)),
        (3, 64, struct.pack("<4d", -1, -0.5, 0, 0.5)),
    ],
)
@pytest.mark.parametrize("header", [fmt, extensible])
def test_linear_format_is_decoded(
    file: Path, kind: int, bits: int, data: bytes, header: Callable[..., bytes]
) -> None:
    file.write_bytes(riff(chunk(b"fmt ", header(kind, 1, 8000, bits)), chunk(b"data", data)))
    assert read(file) == [AS_READ]


@pytest.mark.parametrize("header", [fmt, extensible])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("kind", "decode"), [(6, audioop.alaw2lin), (7, audioop.ulaw2lin)], ids=["alaw", "ulaw"]
)
def test_g711_is_decoded(
    file: Path, kind: int, decode: Callable[..., bytes], header: Callable[..., bytes], channels: int
) -> None:
    """Symptom: `8-bit samples of format 0x0007` for recordings of telephone systems."""
    data = bytes(range(256))
    body = header(kind, channels, 8000, 8)
    file.write_bytes(riff(chunk(b"fmt ", body), chunk(b"fact", bytes(4)), chunk(b"data", data)))
    samples = struct.unpack("<256h", decode(data, 2))
    assert read(file) == [samples[channel::channels] for channel in range(channels)]


def test_g711_with_decoded_width_in_header(file: Path) -> None:
    body = struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 16)
    file.write_bytes(riff(chunk(b"fmt ", body), chunk(b"data", b"\xff\x00")))
    assert read(file) == [(0, -32124)]


def test_24_bits_in_a_container_of_32(file: Path) -> None:
    body = struct.pack("<HHIIHH", 1, 1, 8000, 32000, 4, 24)
    file.write_bytes(riff(chunk(b"fmt ", body), chunk(b"data", b"\x00\x00\x00\x40")))
    assert read(file) == [(16384,)]


def test_wrong_block_size_is_ignored(file: Path) -> None:
    body = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 4, 16)
    file.write_bytes(riff(chunk(b"fmt ", body), chunk(b"data", PCM)))
    assert read(file) == [AS_READ]


def test_20_bits_are_the_upper_bits_of_24(file: Path) -> None:
    body = struct.pack("<HHIIHH", 1, 1, 8000, 24000, 3, 20)
    file.write_bytes(riff(chunk(b"fmt ", body), chunk(b"data", b"\x00\x00\x40")))
    assert read(file) == [(16384,)]


def test_channels_are_mixed_only_with_mono(file: Path) -> None:
    """Symptom: both parties of a stereo recording were mixed into one track."""
    file.write_bytes(wav(struct.pack("<5h", 16384, 0, -16384, -16384, 999), channels=2, bits=16))
    assert read(file) == [(16384, -16384), (0, -16384)]
    assert read(file, mono=True) == [(8192, -16384)]


@pytest.mark.parametrize("kind", [32, 64])
def test_inf_and_nan_are_silence(file: Path, kind: int) -> None:
    """Symptom: one Inf made the output full scale for the length of the filter."""
    bad = (float("inf"), float("-inf"), float("nan"), 0.5)
    data = struct.pack("<4f" if kind == 32 else "<4d", *bad)
    file.write_bytes(wav(data, kind=3, bits=kind))
    assert read(file) == [(0, 0, 0, 16384)]


def test_samples_far_beyond_full_scale_are_clipped(file: Path) -> None:
    file.write_bytes(wav(struct.pack("<3d", 1e308, -1e308, 0.5), kind=3, bits=64))
    assert read(file) == [(32767, -32768, 16384)]
    assert all(abs(sample) <= 32768 for sample in read(file, rate_hz=16_000)[0])


def ds64(data_bytes: int, riff_bytes: int = 0) -> bytes:
    return chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, 4, 0))


@pytest.mark.parametrize(
    "content",
    [
        riff(FORMAT, LIST, DATA, LIST),
        riff(FORMAT, chunk(b"JUNK", bytes(29)), DATA),
        riff(FORMAT, DATA, size=0),
        riff(FORMAT, DATA, size=UNKNOWN),
        riff(FORMAT, chunk(b"data", PCM, 0), size=0),
        riff(FORMAT, chunk(b"data", PCM, 0), size=36),
        riff(FORMAT, chunk(b"data", PCM, 0), size=UNKNOWN),
        riff(FORMAT, chunk(b"data", PCM, UNKNOWN), size=UNKNOWN),
        riff(FORMAT, chunk(b"data", PCM, UNKNOWN)),
        riff(FORMAT, chunk(b"data", PCM, 0x7FFFFFFF)),
        riff(FORMAT, chunk(b"data", PCM + b"\x01", 1000))[:-1],
        riff(ds64(8), FORMAT, chunk(b"data", PCM, UNKNOWN), LIST, magic=b"RF64", size=UNKNOWN),
        riff(ds64(8), FORMAT, chunk(b"data", PCM, UNKNOWN), LIST, magic=b"BW64", size=UNKNOWN),
        riff(ds64(0), FORMAT, chunk(b"data", PCM, UNKNOWN), magic=b"RF64", size=UNKNOWN),
        riff(FORMAT, chunk(b"data", PCM, UNKNOWN), magic=b"RF64", size=UNKNOWN),
        riff(ds64(8), FORMAT, DATA, magic=b"RF64"),
    ],
)
def test_headers_of_streaming_recorders_and_large_files_are_read(
    file: Path, content: bytes
) -> None:
    """Symptom: `no audio` for a recording whose sizes were never filled in."""
    file.write_bytes(content)
    assert read(file) == [AS_READ]


def test_wav_is_read_from_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = riff(FORMAT, LIST, chunk(b"data", PCM, 0), size=0)
    writing = threading.Thread(target=pipe.write_bytes, args=(content,))
    writing.start()
    assert read(pipe) == [AS_READ]
    writing.join()


def test_other_formats_are_not_read_from_a_pipe(tmp_path: Path) -> None:
    """Symptom to prevent: a command waits forever to open the pipe a second time."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=(b"fLaC" + bytes(60),))
    writing.start()
    with pytest.raises(CommandError, match="only WAV can be read from a pipe"):
        read(pipe)
    writing.join()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        riff(FORMAT, chunk(b"data", b"")),
        riff(FORMAT, chunk(b"data", b""), LIST),
        riff(FORMAT, chunk(b"data", b"", UNKNOWN)),
        riff(FORMAT, chunk(b"data", b"\x01")),
        riff(ds64(0), FORMAT, chunk(b"data", b"", UNKNOWN), magic=b"RF64", size=UNKNOWN),
    ],
)
def test_file_without_audio_is_reported(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(CommandError, match="it holds no audio"):
        read(file)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"ID", "no format that can be read"),
        (b"just some text, which is no audio\n", "no format that can be read"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "M4A or MP4 cannot be read; convert it first: ffmpeg -i"),
        (b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0", "WebM"),
        (b"#!AMR\n" + bytes(20), "AMR"),
        (b"RIFF\0\0\0\0AVI ", "not a WAV"),
        (b"RIFF\0\0\0\0WAVE", "no format or no data"),
        (wav(b"", bits=16).replace(b"data", b"junk"), "no format or no data"),
        (wav(b"\0\0", bits=12), "12-bit"),
        (wav(b"\0\0", kind=0x0094, bits=16), "0x0094; convert it first"),
        (wav(b"\0\0", channels=0, bits=16), "0 channels"),
        (wav(b"\0\0", rate_hz=0, bits=16), "0 Hz"),
    ],
)
def test_unsupported_file_is_reported_in_one_line(file: Path, content: bytes, what: str) -> None:
    file.write_bytes(content)
    with pytest.raises(CommandError, match=what) as refusal:
        read(file)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["none.wav", "."])
def test_unreadable_file_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*: (No such file|Is a directory)"):
        read(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_bytes_give_samples_or_a_command_error(file: Path, junk: bytes, at: int) -> None:
    content = wav(bytes(20), bits=16)
    for candidate in (junk, content[:at] + junk, content[:at] + junk + content[at + len(junk) :]):
        file.write_bytes(candidate)
        try:
            channels = read(file)
        except CommandError:
            continue
        assert len({len(channel) for channel in channels}) == 1


@pytest.mark.parametrize(
    ("name", "form", "subtype", "loss_db"),
    [
        ("call.flac", "FLAC", None, 0.1),
        ("call.mp3", "MP3", None, 1),
        ("call.ogg", "OGG", "VORBIS", 1),
        ("call.opus", "OGG", "OPUS", 1),
        ("call.au", "AU", "ULAW", 0.5),
        ("call.aiff", "AIFF", "PCM_16", 0.1),
        ("gsm.wav", "WAV", "GSM610", 3),
        ("adpcm.wav", "WAV", "IMA_ADPCM", 0.5),
        ("call.w64", "W64", "PCM_16", 0.1),
    ],
)
def test_compressed_recording_is_decoded(
    tmp_path: Path, name: str, form: str, subtype: str | None, loss_db: float
) -> None:
    path = tmp_path / name
    audio = tone(440, 8000, 2.0) / 4
    soundfile.write(path, audio, 8000, format=form, subtype=subtype)
    (samples,) = read(path)
    decoded = np.array(samples) / 32768
    assert len(decoded) == pytest.approx(16_000, abs=1200)  # codecs pad
    assert level_db(decoded) == pytest.approx(level_db(audio), abs=loss_db)


@pytest.mark.parametrize("form", ["FLAC", "MP3", "OGG"])
def test_truncated_compressed_recording_is_read_up_to_the_cut(tmp_path: Path, form: str) -> None:
    path = tmp_path / "cut"
    noise = np.random.default_rng(1).normal(0, 0.1, 64_000)
    soundfile.write(path, noise, 8000, format=form)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (samples,) = read(path)
    assert len(samples) >= 16_000


def test_compressed_stereo_has_two_channels(tmp_path: Path) -> None:
    path = tmp_path / "call.flac"
    both = np.stack([tone(440, 8000) / 2, np.zeros(8000)], axis=1)
    soundfile.write(path, both, 8000)
    left, right = read(path)
    assert max(left) > 16_000
    assert not any(right)


def test_memory_use_does_not_grow_with_length(file: Path) -> None:
    """Symptom: 2.7 GiB for half an hour of 44.1 kHz stereo before the first output."""
    half_an_hour = 1800 * 44_100 * 4
    with file.open("wb") as sparse:
        sparse.write(riff(chunk(b"fmt ", fmt(1, 2, 44_100, 16)), chunk(b"data", b"", half_an_hour)))
        sparse.truncate(half_an_hour + 44)
    tracemalloc.start()
    with Recording.open(file) as recording:
        read_bytes = 0
        for channels in itertools.islice(recording.pcm16(16_000), 60):
            read_bytes += len(channels[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read_bytes > 32_000 * 80
    assert peak < 20 << 20
