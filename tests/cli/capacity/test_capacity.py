"""`./run capacity` against real Realtime servers: one that keeps up, and one that is full."""

import asyncio
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from cli.capacity.probe import word_errors
from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine
from container.cpu.settings import Settings
from tests.cli.audio.files import wav
from tests.container.cpu.dialogue import serving

NOISE = np.random.default_rng(5).integers(-9000, 9000, 32_000).astype("<i2")


async def capacity(folder: Path, url: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command in a folder; return its code and what it prints."""
    recording = folder / "noise.wav"
    recording.write_bytes(wav(NOISE.tobytes(), rate_hz=16_000, bits=16))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "capacity", "--recording", str(recording)),
        *("--realtime-url", url, *arguments),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_server_that_keeps_up_with_all(tmp_path: Path) -> None:
    async with serving(Engine(Settings(), lambda _: ChecksumTranscriber())) as url:
        code, out, err = await capacity(tmp_path, url, "--most=3", "--price=3600", "--yes")
    assert code == 0, err
    assert "at 3600 per hour" in err
    assert "kept up with all 3 sessions" in err
    assert [line.split()[1] for line in out.splitlines() if "kept up" in line] == ["1", "2", "3"]
    picture = ET.fromstring((tmp_path / "capacity.svg").read_text())
    assert len(picture.findall(".//{*}circle")) == 9


async def test_server_that_is_full_is_found(tmp_path: Path) -> None:
    engine = Engine(Settings(max_num_seqs=2), lambda _: ChecksumTranscriber())
    async with serving(engine) as url:
        code, out, err = await capacity(tmp_path, url, "--most=8", "--yes")
    assert code == 0, err
    assert "kept up with 2 sessions" in err
    assert "first delta" in " ".join(out.split())  # the third one waits for a slot


async def test_nothing_starts_without_a_yes(tmp_path: Path) -> None:
    code, _, err = await capacity(tmp_path, "ws://127.0.0.1:1/v1/realtime")
    assert code == 1
    assert "Start?" in err


async def test_server_that_is_not_there_is_reported_in_one_line(tmp_path: Path) -> None:
    code, _, err = await capacity(tmp_path, "ws://127.0.0.1:1/v1/realtime", "--yes")
    assert code == 2
    assert "sessions failed" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("texts", "share"),
    [([], 0.0), (["One two three four"], 0.0), (["one two three", "one two three four"], 0.125)],
)
def test_word_errors_are_a_mean(texts: list[str], share: float) -> None:
    assert word_errors("one two three four", texts) == share
