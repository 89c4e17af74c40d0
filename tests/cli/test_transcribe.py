"""`./run transcribe` against the checksum engine, whose text identifies the samples received."""

import asyncio
import os
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine
from container.cpu.settings import ModelName, Realtime, Settings
from tests.cli.audio.files import wav
from tests.container.cpu.dialogue import serving

CHUNK_BYTES = 2560  # 80 ms
PARTIES = np.random.default_rng(5).integers(-9000, 9000, (16_000, 2)).astype("<i2")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(Engine(Settings(), lambda _: ChecksumTranscriber())) as served:
        yield served


async def transcribe(url: str, *arguments: str) -> tuple[str, str]:
    """Run the command; return what it prints on stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "transcribe", *arguments, "--realtime-url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode(), err.decode()


def sums(samples: np.ndarray) -> list[str]:
    """Return the engine's text for these samples."""
    pcm = samples.astype("<i2").tobytes()
    chunks = (pcm[at : at + CHUNK_BYTES] for at in range(0, len(pcm), CHUNK_BYTES))
    return [f"{zlib.crc32(chunk):08x}" for chunk in chunks]


async def test_one_channel_is_printed_as_plain_text(url: str, tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    path.write_bytes(wav(PARTIES[:, 0].tobytes(), rate_hz=16_000, bits=16))
    out, err = await transcribe(url, str(path))
    assert out == " ".join(sums(PARTIES[:, 0])) + "\n"
    assert err.startswith("1.0 s of audio; first word after ")


async def test_each_channel_is_transcribed_separately(url: str, tmp_path: Path) -> None:
    """Symptom: both parties of a stereo recording were mixed, and neither was transcribed."""
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav(PARTIES.tobytes(), channels=2, rate_hz=16_000, bits=16))
    out, _ = await transcribe(url, str(path))
    assert sorted(out.splitlines()) == [
        f"00:00  channel {n + 1} {' '.join(sums(PARTIES[:, n]))}" for n in range(2)
    ]


async def test_mono_mixes_channels(url: str, tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    even = PARTIES // 2 * 2  # so that their mean is an integer
    path.write_bytes(wav(even.tobytes(), channels=2, rate_hz=16_000, bits=16))
    out, _ = await transcribe(url, str(path), "--mono")
    assert out.split() == sums(even.astype(int).sum(axis=1) // 2)


async def test_turns_are_compared_with_a_reference(tmp_path: Path) -> None:
    path, reference = tmp_path / "mono.wav", tmp_path / "reference.txt"
    samples = np.random.default_rng(6).integers(-9000, 9000, 6 * 16_000).astype("<i2")
    path.write_bytes(wav(samples.tobytes(), rate_hz=16_000, bits=16))
    said = sums(samples)
    reference.write_text(f"{' '.join(said[:-2])}, one more.")
    settings = Settings(realtime=Realtime.QWEN3_ASR, model=ModelName.CHECKSUM)
    async with serving(Engine(settings, lambda _: ChecksumTranscriber())) as url:
        options = ("--dialect", "qwen3-asr", "--reference", str(reference))
        out, err = await transcribe(url, str(path), *options)
    assert out.split()[-len(said) :] == said
    assert err.splitlines()[1:] == [
        "word error rate 2.7% of 75 words: 2 substituted, 0 missing, 0 added",
        "0.0 s of audio have no answer",
    ]


async def test_the_header_of_another_model_ends_the_command(tmp_path: Path) -> None:
    path = tmp_path / "mono.wav"
    path.write_bytes(wav(bytes(6 * 32_000), rate_hz=16_000, bits=16))
    settings = Settings(realtime=Realtime.QWEN3_ASR, model=ModelName.CHECKSUM)
    async with serving(Engine(settings, lambda _: ChecksumTranscriber())) as url:
        with pytest.raises(AssertionError, match="model-mismatch"):
            await transcribe(url, str(path))


async def test_servers_are_compared(tmp_path: Path) -> None:
    path, reference = tmp_path / "mono.wav", tmp_path / "reference.txt"
    samples = np.random.default_rng(7).integers(-9000, 9000, 2 * 16_000).astype("<i2")
    path.write_bytes(wav(samples.tobytes(), rate_hz=16_000, bits=16))
    reference.write_text(" ".join(sums(samples)))
    settings = Settings(model=ModelName.CHECKSUM)
    async with serving(Engine(settings, lambda _: ChecksumTranscriber())) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cli", "compare"),
            *(f"voxtral,{url},,3600", f"voxtral-turns,{url}", "qwen3-asr,ws://127.0.0.1:1"),
            *("--recording", str(path), "--reference", str(reference)),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "COLUMNS": "200"},
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    rows = [line.split("│")[1:-1] for line in out.decode().splitlines() if "mono.wav" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[2] for row in cells] == ["0.0%", "0.0%", "connect-refused"]
    assert cells[0][5] == "2.0000"
    assert all(cell.endswith(" s") for row in cells[:2] for cell in row[3:5])
