"""A track whose payload is not what the carrier announced: what is logged, counted, shown."""

import audioop
import base64

from structlog.testing import capture_logs

from gateway.audio.encodings import Encoding
from gateway.carriers.json_media import JsonMediaAdapter
from gateway.carriers.parts import AudioSettings
from gateway.carriers.twilio import DIALECT
from tests.gateway.calls.scene import Scene, living
from tests.gateway.scripted import settle
from tests.speech import recording

FRAME = 160  # bytes: 20 ms
SPEECH = recording("two_cities.wav", 8000)[: 10 * 8000].tobytes()
ALAW = audioop.lin2alaw(SPEECH, 2)


def speak(scene: Scene, payload: bytes, track: str = "inbound") -> None:
    for begin in range(0, len(payload), FRAME):
        frame = base64.b64encode(payload[begin : begin + FRAME]).decode()
        scene.feed("media", media={"track": track, "payload": frame})


def counted(scene: Scene) -> float | None:
    labels = {"carrier": "twilio", "announced": "pcmu", "found": "pcma"}
    name = "callscribe_codec_mismatches_total"
    return scene.metrics.registry.get_sample_value(name, labels)


async def test_alaw_called_pcmu_is_said_once_to_all_who_look() -> None:
    """Symptom: `completed`, no gap, hundreds of deltas, and a transcript that is empty."""
    with capture_logs() as logs:
        async with living() as (scene, task):
            scene.start("inbound", "outbound")
            await settle()
            speak(scene, ALAW)
            speak(scene, audioop.lin2ulaw(SPEECH, 2), "outbound")
            snapshot = scene.stream.snapshot()
            scene.feed("stop")
            await settle()
            scene.finish_all()
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
    assert counted(scene) == 1
    assert snapshot is not None
    suspected = {track.track: track.suspected_encoding for track in snapshot.tracks}
    assert suspected == {"inbound": "pcma", "outbound": None}
    assert scene.ended.suspected_encoding == {"inbound": "pcma"}


async def test_what_the_log_says_to_set_mends_it() -> None:
    settings = AudioSettings(_env_file=None, encoding=Encoding.PCMA)
    adapter = settings.inform(JsonMediaAdapter(DIALECT))
    async with living(adapter=adapter) as (scene, task):
        scene.start("inbound")
        await settle()
        speak(scene, ALAW)
        scene.feed("stop")
        await settle()
        scene.finish_all()
        await task
    assert counted(scene) is None
    assert scene.ended.suspected_encoding == {}
    assert scene.ended.duration_ms == 10_000
