"""Recorded speech in real time: through the whole path, and directly to the engine."""

import asyncio
import sys

import pytest

from cli import demo, recordings
from cli.callers.twilio import Twilio
from cli.recordings import read_mulaw
from deploy.local import stack as local
from deploy.local.credentials import CREDENTIALS
from tests.speech import TWO_CITIES, plain_words, word_error_rate

pytestmark = pytest.mark.speech

TRACKS = {
    "inbound": read_mulaw(recordings.two_cities()),
    "outbound": read_mulaw(recordings.nagg_and_nell()),
}


async def transcribe(engine_port: int) -> str:
    """Transcribe the same recording with the engine directly; return the text."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "transcribe", str(recordings.two_cities())),
        *("--realtime-url", f"ws://{local.HOST}:{engine_port}/v1/realtime"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_the_path_loses_no_words() -> None:
    """Both transcriptions run at once, so that the engine has the same load."""
    settings = local.StackSettings(ports=local.Ports.free())
    async with local.running(settings) as stack:
        result, direct = await asyncio.gather(
            demo.play(stack, Twilio(CREDENTIALS), TRACKS),
            transcribe(settings.ports.engine),
        )
    report = demo.report(result)
    assert (report["status"], report["gap_ms"]) == ("completed", 0)
    transcribed = " ".join(s.text for s in result.transcript.segments if s.track == "inbound")
    through, alone = word_error_rate(TWO_CITIES, transcribed), word_error_rate(TWO_CITIES, direct)
    print(f"word error rate: {through:.1%} through the path, {alone:.1%} directly")  # noqa: T201 - shown with -s
    assert through <= 0.15
    assert through <= alone + 0.02
    assert plain_words(transcribed)[-4:] == plain_words(TWO_CITIES)[-4:]
    assert result.first_delta_ms is not None
    assert result.first_delta_ms <= 4000
    assert result.transcript.missing == 0
