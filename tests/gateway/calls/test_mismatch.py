"""A payload that is not in the announced encoding: log line, metric, admin API and event."""

import audioop
import base64

from structlog.testing import capture_logs

from gateway.audio.encodings import Encoding
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import AudioSettings
from gateway.carriers.vendors.twilio import DIALECT
from tests.gateway.calls.stream_harness import StreamHarness, running_stream
from tests.gateway.scripted import settle
from tests.speech import recording

FRAME = 160  # bytes: 20 ms
SPEECH = recording("two_cities.wav", 8000)[: 10 * 8000].tobytes()
ALAW = audioop.lin2alaw(SPEECH, 2)


def speak(harness: StreamHarness, payload: bytes, track: str = "inbound") -> None:
    for begin in range(0, len(payload), FRAME):
        frame = base64.b64encode(payload[begin : begin + FRAME]).decode()
        harness.feed("media", media={"track": track, "payload": frame})


def counted(harness: StreamHarness) -> float | None:
    labels = {"carrier": "twilio", "announced": "pcmu", "found": "pcma"}
    name = "callscribe_codec_mismatches_total"
    return harness.metrics.registry.get_sample_value(name, labels)


async def test_alaw_announced_as_pcmu_is_reported_once() -> None:
    """Symptom: `completed`, no gap, hundreds of deltas, and an empty transcript."""
    with capture_logs() as logs:
        async with running_stream() as (harness, task):
            harness.start("inbound", "outbound")
            await settle()
            speak(harness, ALAW)
            speak(harness, audioop.lin2ulaw(SPEECH, 2), "outbound")
            snapshot = harness.stream.snapshot()
            harness.feed("stop")
            await settle()
            harness.finish_all()
            await task
    assert [line for line in logs if line["event"] == "codec-mismatch"] == [
        {
            "event": "codec-mismatch",
            "log_level": "warning",
            "carrier": "twilio",
            "track": "inbound",
            "announced": "pcmu",
            "found": "pcma",
            "set": 'GATEWAY_TWILIO_ENCODING=pcma, or encoding = "pcma" of its route',
        }
    ]
    assert counted(harness) == 1
    assert snapshot is not None
    suspected = {track.track: track.suspected_encoding for track in snapshot.tracks}
    assert suspected == {"inbound": "pcma", "outbound": None}
    assert harness.ended.suspected_encoding == {"inbound": "pcma"}


async def test_setting_named_in_the_log_corrects_the_mismatch() -> None:
    settings = AudioSettings(_env_file=None, encoding=Encoding.PCMA)
    adapter = settings.inform(JsonMediaAdapter(DIALECT))
    async with running_stream(adapter=adapter) as (harness, task):
        harness.start("inbound")
        await settle()
        speak(harness, ALAW)
        harness.feed("stop")
        await settle()
        harness.finish_all()
        await task
    assert counted(harness) is None
    assert harness.ended.suspected_encoding == {}
    assert harness.ended.duration_ms == 10_000
