"""Twilio's particulars; `protocols/test_dialects.py` tests what all dialects share."""

import base64
import json
from typing import Any

import pytest

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import twilio
from gateway.errors import CarrierError

STREAM = "MZ00000000000000000000000000000000"
CALL = "CA00000000000000000000000000000000"
FRAME = bytes(range(160))

CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
STOP = {
    "event": "stop",
    "sequenceNumber": "5",
    "streamSid": STREAM,
    "stop": {"accountSid": "AC0", "callSid": CALL},
}


def start(**changes: Any) -> dict[str, Any]:
    body = {
        "accountSid": "AC00000000000000000000000000000000",
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound", "outbound"],
        "customParameters": {"FirstName": "Jane", "tok": "9f"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    return {"event": "start", "sequenceNumber": "1", "start": body | changes, "streamSid": STREAM}


def media(**changes: Any) -> dict[str, Any]:
    payload = base64.b64encode(FRAME).decode()
    body = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload}
    return {"event": "media", "sequenceNumber": "3", "media": body | changes, "streamSid": STREAM}


def new_adapter() -> JsonMediaAdapter:
    return JsonMediaAdapter(twilio.DIALECT)


def feed(adapter: JsonMediaAdapter, *messages: Any) -> list[CarrierEvent]:
    return [
        event
        for message in messages
        for event in adapter.receive_text(json.dumps(message).encode())
    ]


def started() -> JsonMediaAdapter:
    adapter = new_adapter()
    feed(adapter, CONNECTED, start())
    return adapter


class TestDialogue:
    def test_call_starts_receives_audio_and_stops(self) -> None:
        adapter = new_adapter()
        assert feed(adapter, CONNECTED) == [MessageIgnored("connected")]
        assert feed(adapter, start()) == [
            CallStarted(
                call_id=CALL,
                stream_id=STREAM,
                tracks=(
                    TrackFormat("inbound", Encoding.PCMU, 8000),
                    TrackFormat("outbound", Encoding.PCMU, 8000),
                ),
                params={"FirstName": "Jane", "tok": "9f"},
            )
        ]
        assert feed(adapter, media()) == [AudioReceived("inbound", FRAME, 5, 1)]
        assert feed(adapter, media(track="outbound", chunk="7", timestamp="120")) == [
            AudioReceived("outbound", FRAME, 120, 7)
        ]
        assert feed(adapter, STOP) == [CallStopped()]

    def test_dtmf_track_name_has_another_spelling(self) -> None:
        dtmf = {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "1"}}
        assert feed(started(), dtmf) == [DtmfReceived("inbound")]

    @pytest.mark.parametrize("body", [None, {}, {"track": None}, {"track": "both"}])
    def test_dtmf_without_known_track_has_none(self, body: Any) -> None:
        assert feed(started(), {"event": "dtmf", "dtmf": body}) == [DtmfReceived(None)]


class TestStart:
    @pytest.mark.parametrize(
        ("tracks", "expected"),
        [
            (["inbound"], ["inbound"]),
            (["inbound_track", "outbound_track"], ["inbound", "outbound"]),
            (["outbound", "outbound"], ["outbound"]),
            ([], ["inbound"]),
        ],
    )
    def test_listed_tracks_are_normalized(self, tracks: list[str], expected: list[str]) -> None:
        [event] = feed(new_adapter(), start(tracks=tracks))
        assert isinstance(event, CallStarted)
        assert [form.track for form in event.tracks] == expected

    def test_stream_id_may_be_only_at_the_top_level(self) -> None:
        message = start()
        del message["start"]["streamSid"]
        [event] = feed(new_adapter(), message)
        assert isinstance(event, CallStarted)
        assert event.stream_id == STREAM

    def test_parameters_that_are_not_strings_are_converted_or_skipped(self) -> None:
        [event] = feed(new_adapter(), start(customParameters={"n": 1, "none": None}))
        assert isinstance(event, CallStarted)
        assert event.params == {"n": "1", "none": ""}
        nested = {"list": [1], "object": {}, "text": "kept"}
        [event] = feed(new_adapter(), start(customParameters=nested))
        assert isinstance(event, CallStarted)
        assert event.params == {"text": "kept"}

    @pytest.mark.parametrize("name", ["tracks", "customParameters", "mediaFormat"])
    def test_null_fields_count_as_missing(self, name: str) -> None:
        [event] = feed(new_adapter(), start(**{name: None}))
        assert isinstance(event, CallStarted)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"callSid": ""}, "malformed-message"),
            ({"tracks": ["sideways"]}, "unknown-track"),
            ({"mediaFormat": {"encoding": "audio/opus"}}, "unsupported-encoding"),
            ({"mediaFormat": {"channels": "2"}}, "unsupported-encoding"),
            ({"callSid": [7]}, "malformed-message"),
        ],
    )
    def test_invalid_start_is_rejected(self, changes: dict[str, Any], reason: str) -> None:
        with pytest.raises(CarrierError) as caught:
            feed(new_adapter(), start(**changes))
        assert caught.value.reason == reason


class TestMedia:
    def test_media_of_an_unannounced_track_are_ignored(self) -> None:
        adapter = new_adapter()
        feed(adapter, start(tracks=["inbound"]))
        assert feed(adapter, media(track="outbound")) == [MessageIgnored("unannounced-track")]
        with pytest.raises(CarrierError, match="unknown-track"):
            feed(adapter, media(track="sideways"))
