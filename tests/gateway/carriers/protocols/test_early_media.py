"""Media that arrive before the start of their stream, for every carrier."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from gateway.carriers.adapter import Adapter
from gateway.carriers.events import AudioReceived, CallStarted, CarrierEvent
from gateway.carriers.protocols.early_media import EarlyMedia
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.registry import CARRIERS
from gateway.carriers.vendors import (
    bandwidth,
    browser,
    exotel,
    freeswitch,
    jambonz,
    plivo,
    ringcx,
    signalwire,
    talkdesk,
    telnyx,
    twilio,
    vonage,
)
from gateway.carriers.vendors.acs import AcsAdapter
from gateway.carriers.vendors.asterisk import AsteriskAdapter
from gateway.carriers.vendors.asterisk import StreamQuery as AsteriskQuery
from gateway.carriers.vendors.audiocodes import AudioCodesAdapter
from gateway.carriers.vendors.cxone import CxoneAdapter
from gateway.carriers.vendors.genesys.adapter import AudioHookAdapter
from gateway.errors import CarrierError

SECONDS: Final = 4  # of 50 frames


@dataclass(frozen=True)
class Sender:
    """A carrier that sends 20 ms per message, and its message formats."""

    adapter: Callable[[], Adapter]
    start: object  # a text, or an object
    frame_bytes: int = 160
    write: Callable[[int, bytes], object] | None = (
        None  # builds a message from number and audio; None: binary
    )


def twilio_media(number: int, audio: bytes) -> dict[str, Any]:
    media = {"track": "inbound", "chunk": str(number), "timestamp": str(20 * (number - 1))}
    return {"event": "media", "media": media | {"payload": base64.b64encode(audio).decode()}}


def plivo_media(number: int, audio: bytes) -> dict[str, Any]:
    message = twilio_media(number, audio)
    message["media"]["timestamp"] = str(1_705_312_200_000 + 20 * (number - 1))
    return message


def twilio_start(encoding: str = "audio/x-mulaw", rate_hz: int = 8000) -> dict[str, Any]:
    form = {"encoding": encoding, "sampleRate": rate_hz, "channels": 1}
    body = {"callSid": "c1", "streamSid": "s1", "tracks": ["inbound"], "mediaFormat": form}
    return {"event": "start", "start": body}


def flat_media(**names: str) -> Callable[[int, bytes], object]:
    def write(_: int, audio: bytes) -> object:
        text = base64.b64encode(audio).decode()
        return {name: text if value == "AUDIO" else value for name, value in names.items()}

    return write


OPEN: Final = {
    "version": "2",
    "id": "s1",
    "type": "open",
    "seq": 1,
    "serverseq": 0,
    "parameters": {
        "organizationId": "o1",
        "conversationId": "c1",
        "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
    },
}
METADATA: Final = {"subscriptionId": "s1", "encoding": "PCM", "sampleRate": 24000, "channels": 1}

SENDERS: Final = {
    "twilio": Sender(lambda: JsonMediaAdapter(twilio.DIALECT), twilio_start(), write=twilio_media),
    "signalwire": Sender(
        lambda: JsonMediaAdapter(signalwire.DIALECT),
        twilio_start("audio/x-L16", 24000),
        960,
        twilio_media,
    ),
    "talkdesk": Sender(
        lambda: JsonMediaAdapter(talkdesk.DIALECT), twilio_start(), write=twilio_media
    ),
    "telnyx": Sender(
        lambda: JsonMediaAdapter(telnyx.DIALECT),
        {"event": "start", "stream_id": "s1", "start": {"call_control_id": "c1"}},
        write=twilio_media,
    ),
    "plivo": Sender(
        lambda: JsonMediaAdapter(plivo.DIALECT),
        {"event": "start", "start": {"callId": "c1", "streamId": "s1", "tracks": ["inbound"]}},
        write=plivo_media,
    ),
    "exotel": Sender(
        lambda: JsonMediaAdapter(exotel.DIALECT),
        {"event": "start", "stream_sid": "s1", "start": {"call_sid": "c1"}},
        320,
        twilio_media,
    ),
    "bandwidth": Sender(
        lambda: JsonMediaAdapter(bandwidth.DIALECT),
        {"eventType": "start", "metadata": {"callId": "c1", "streamId": "s1"}},
        write=flat_media(eventType="media", track="inbound", payload="AUDIO"),
    ),
    "ringcx": Sender(
        lambda: JsonMediaAdapter(ringcx.DIALECT),
        {"event": "Start", "metadata": {"callId": "c1", "sessionId": "s1"}},
        write=flat_media(event="Media", perspective="Participant", media="AUDIO"),
    ),
    "acs": Sender(
        lambda: AcsAdapter({"x-ms-call-correlation-id": "c1"}, {}),
        {"kind": "AudioMetadata", "audioMetadata": METADATA},
        960,
        lambda _, audio: {
            "kind": "AudioData",
            "audioData": {"timestamp": None, "data": base64.b64encode(audio).decode()},
        },
    ),
    "audiocodes": Sender(
        lambda: AudioCodesAdapter("s1", ["caller"]),
        {"type": "session.initiate", "conversationId": "c1"},
        640,
        flat_media(type="userStream.chunk", audioChunk="AUDIO"),
    ),
    "genesys": Sender(lambda: AudioHookAdapter("s1", "o1"), OPEN),
    "vonage": Sender(
        lambda: vonage.new_adapter("s1"),
        {"event": "websocket:connected", "content-type": "audio/l16;rate=24000", "call_id": "c1"},
        960,
    ),
    "jambonz": Sender(
        lambda: jambonz.new_adapter("s1"), {"sampleRate": 24000, "callSid": "c1"}, 960
    ),
    "freeswitch": Sender(
        lambda: freeswitch.new_adapter("s1", freeswitch.StreamQuery("mono", "24k")),
        {"call_id": "c1", "queue": "sales"},
        960,
    ),
    "asterisk": Sender(
        lambda: AsteriskAdapter(AsteriskQuery()),
        "MEDIA_START connection_id:stt channel:WebSocket/stt/1 channel_id:c1 format:slin24",
        960,
    ),
    "browser": Sender(
        browser.new_adapter,
        {"type": "start", "call_id": "c1", "stream_id": "s1", "rate": 24000},
        960,
    ),
    "cxone": Sender(
        lambda: CxoneAdapter("s1"),
        {"executionInfo": {"contactId": "c1"}, "streamPerspective": "RX"},
    ),
}


def send_text(adapter: Adapter, message: object) -> list[CarrierEvent]:
    text = message if isinstance(message, str) else json.dumps(message)
    return [*adapter.receive_text(text.encode())]


def send(sender: Sender, adapter: Adapter, number: int, audio: bytes) -> list[CarrierEvent]:
    if sender.write is None:
        return [*adapter.receive_binary(audio)]
    return send_text(adapter, sender.write(number, audio))


def audio_of(sender: Sender, number: int) -> bytes:
    return number.to_bytes(2, "little") * (sender.frame_bytes // 2)


def test_senders_cover_every_carrier() -> None:
    assert {carrier.name for carrier in CARRIERS} == set(SENDERS)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        (name, count)
        for name in SENDERS
        for count in (1, 75, 50 * SECONDS)
        # Its text is optional: at most 2 s of audio are held for it (test_freeswitch.py).
        if name != "freeswitch" or count <= 100
    ],
)
def test_media_before_the_start_are_delivered_after_it(name: str, count: int) -> None:
    """Symptom: one frame before the metadata closed the stream as `media-before-start`."""
    sender = SENDERS[name]
    adapter = sender.adapter()
    sound = [audio_of(sender, number) for number in range(1, count + 2)]
    for number, audio in enumerate(sound[:-1], start=1):
        assert send(sender, adapter, number, audio) == []
    events = send_text(adapter, sender.start)
    events += send(sender, adapter, count + 1, sound[-1])
    [start] = [event for event in events if isinstance(event, CallStarted)]
    assert start.call_id == "c1"
    track = start.tracks[0].track
    events += adapter.flush_held(track)
    frames = [event for event in events if isinstance(event, AudioReceived)]
    assert events.index(start) < events.index(frames[0])
    assert b"".join(frame.payload for frame in frames) == b"".join(sound)
    assert {frame.track for frame in frames} == {track}


@pytest.mark.parametrize("name", [name for name in SENDERS if name != "freeswitch"])
def test_held_media_are_limited(name: str) -> None:
    sender = SENDERS[name]
    adapter = sender.adapter()

    def send_without_end() -> None:
        for number in range(1, 2000):
            send(sender, adapter, number, audio_of(sender, number))

    with pytest.raises(CarrierError, match="media-before-start"):
        send_without_end()


def test_held_messages_without_audio_are_limited() -> None:
    early = EarlyMedia()
    for _ in range(1000):
        early.hold(b"")
    with pytest.raises(CarrierError, match="media-before-start"):
        early.hold(b"")


def test_drain_clears_the_held_messages() -> None:
    early = EarlyMedia(bytes_per_ms=1)
    early.hold(bytes(5000))
    assert early.drain() == [bytes(5000)]
    early.hold(bytes(5000))
    with pytest.raises(CarrierError, match="media-before-start"):
        early.hold(b"x")
