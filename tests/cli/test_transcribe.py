"""`./run transcribe` against the checksum engine, whose text identifies the samples received."""

import asyncio
import os
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from cli.compare import Server
from cli.compare import compare as play_and_compare
from cli.errors import CommandError
from cli.transcribe import process
from container.cpu.checksum import ChecksumTranscriber
from container.cpu.server import Engine
from container.cpu.settings import ModelName, Realtime, Settings
from gateway.admission.endpoint import Access
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.voxtral import Voxtral
from gateway.upstream.transport import UpstreamStream
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
        options = ("--dialect", "qwen3-asr", "--reference", str(reference), "--language", "fr")
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


async def compare(*arguments: str, **environment: str) -> tuple[str, str]:
    """Run the command in a wide terminal; return what it prints on stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "compare", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return out.decode(), err.decode()


async def test_servers_are_compared(tmp_path: Path) -> None:
    """One has a key, which only the routes file's endpoint gets; one can't be reached."""
    path, reference = tmp_path / "mono.wav", tmp_path / "reference.txt"
    routes = tmp_path / "routes.toml"
    samples = np.random.default_rng(7).integers(-9000, 9000, 2 * 16_000).astype("<i2")
    path.write_bytes(wav(samples.tobytes(), rate_hz=16_000, bits=16))
    reference.write_text(" ".join(sums(samples)))
    settings = Settings(model=ModelName.CHECKSUM)
    locked = Settings(model=ModelName.CHECKSUM, api_key="right")
    async with (
        serving(Engine(settings, lambda _: ChecksumTranscriber())) as url,
        serving(Engine(locked, lambda _: ChecksumTranscriber())) as locked_url,
    ):
        open_url, locked_url = (each.replace("http", "ws") for each in (url, locked_url))
        routes.write_text(
            f'[endpoints.main]\nurl = "{locked_url}"\napi_key = "main"\n'
            '[[routes]]\nname = "all"\nendpoints = ["main"]\n'
        )
        out, err = await compare(
            *("main,3600", f"voxtral-turns,{open_url}", f"voxtral,{locked_url}"),
            *("qwen3-asr,ws://127.0.0.1:1", "--routes", str(routes)),
            *("--recording", str(path), "--reference", str(reference), "--language", "fr"),
            GATEWAY_REALTIME_API_KEYS='{"main": "right"}',
            GATEWAY_REALTIME_API_KEY="right",
        )
    assert err.split("run: ")[1] == (
        f"voxtral {locked_url}: access-denied; qwen3-asr ws://127.0.0.1:1: connect-refused\n"
    )
    rows = [line.split("│")[1:-1] for line in out.splitlines() if "mono.wav" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[2] for row in cells] == ["0.0%", "0.0%", "access-denied", "connect-refused"]
    assert cells[0][1::4] == ["main", "2.0000"]
    assert all(cell.endswith(" s") for row in cells[:2] for cell in row[3:5])
    assert "right" not in out + err


def test_an_unreadable_recording_ends_all_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: the other servers' sessions continued until their connections were closed."""
    path = tmp_path / "mono.wav"
    path.write_bytes(wav(bytes(32_000), rate_hz=16_000, bits=16))
    happened: list[str] = []

    class Transport:
        """Never opens a stream; the recording disappears meanwhile."""

        longest_stream_s = None

        async def open(self, *_: object) -> UpstreamStream:
            path.unlink()
            never: asyncio.Future[UpstreamStream] = asyncio.get_running_loop().create_future()
            try:
                return await never
            finally:
                happened.append("session ended")

        async def close(self) -> None:
            happened.append("closed")

    server = Server("any", Access(Transport(), Voxtral(), Options("m")), None)
    monkeypatch.setattr("cli.compare._servers", lambda *_: [server, server])
    with pytest.raises(CommandError, match="No such file"):
        play_and_compare([], [path])
    assert happened == ["session ended", "closed", "closed"]


async def test_an_unknown_server_is_refused(tmp_path: Path) -> None:
    _, err = await compare("other", "--recording", str(tmp_path / "any.wav"))
    assert "other is neither an endpoint (no routes file was passed) nor DIALECT,URL" in err


@pytest.mark.parametrize(
    ("language", "said", "text"),
    [
        (None, "It's twenty-five dollars, Mr. O'Brien.", "it is $25 mister o'brien"),
        ("en-GB", "the colour", "The color"),
        ("fr", "L'eau, d'été!", "l eau d été"),
        ("ja", "こんにちは", "こんに ちは"),
    ],
)
def test_spelling_does_not_count(language: str | None, said: str, text: str) -> None:
    assert process(said, text, language).wer == 0


def test_words_without_spaces_are_compared_by_characters() -> None:
    assert process("こんにちは", "こんばんは", "ja").wer == pytest.approx(0.4)
