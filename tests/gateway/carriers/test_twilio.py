"""Twilio's dialogue as playbooks: message in >> events out, by the vendor's sections."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers import twilio
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.json_media import JsonMediaAdapter
from gateway.errors import REASONS, CarrierError, Fault

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


def media(payload: str | bytes = FRAME, **changes: Any) -> dict[str, Any]:
    text = payload if isinstance(payload, str) else base64.b64encode(payload).decode()
    body = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": text}
    return {"event": "media", "sequenceNumber": "3", "media": body | changes, "streamSid": STREAM}


def new_adapter() -> JsonMediaAdapter:
    return JsonMediaAdapter(twilio.DIALECT)


def feed(adapter: JsonMediaAdapter, *messages: Any) -> list[CarrierEvent]:
    return [
        event
        for message in messages
        for event in adapter.receive_text(
            message if isinstance(message, bytes) else json.dumps(message).encode()
        )
    ]


def started() -> JsonMediaAdapter:
    adapter = new_adapter()
    feed(adapter, CONNECTED, start())
    return adapter


class TestDialogue:
    def test_a_call(self) -> None:
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

    def test_what_follows_a_stop_is_ignored(self) -> None:
        adapter = started()
        assert feed(adapter, STOP, STOP, media()) == [
            CallStopped(),
            MessageIgnored("after-stop"),
            MessageIgnored("after-stop"),
        ]

    def test_dtmf_names_its_track_otherwise_than_media_does(self) -> None:
        dtmf = {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "1"}}
        assert feed(started(), dtmf) == [DtmfReceived("inbound")]

    @pytest.mark.parametrize("body", [None, {}, {"track": None}, {"track": "both"}])
    def test_a_key_of_no_known_track(self, body: Any) -> None:
        assert feed(started(), {"event": "dtmf", "dtmf": body}) == [DtmfReceived(None)]

    def test_the_digit_is_in_no_event(self) -> None:
        dtmf = {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "7"}}
        assert "7" not in repr(feed(started(), dtmf))

    def test_marks_and_unknown_events_are_ignored(self) -> None:
        mark = {"event": "mark", "mark": {"name": "x"}}
        assert feed(started(), mark, {"event": "sparkle", "x": 1}) == [
            MessageIgnored("mark"),
            MessageIgnored("unknown"),
        ]

    def test_unknown_fields_are_ignored(self) -> None:
        assert feed(started(), media() | {"extra": {"a": [1]}}) == [
            AudioReceived("inbound", FRAME, 5, 1)
        ]

    def test_start_sent_twice(self) -> None:
        assert feed(started(), start()) == [MessageIgnored("repeated-start")]


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
    def test_tracks(self, tracks: list[str], expected: list[str]) -> None:
        [event] = feed(new_adapter(), start(tracks=tracks))
        assert isinstance(event, CallStarted)
        assert [form.track for form in event.tracks] == expected

    def test_stream_id_may_stand_at_the_top_only(self) -> None:
        message = start()
        del message["start"]["streamSid"]
        [event] = feed(new_adapter(), message)
        assert isinstance(event, CallStarted)
        assert event.stream_id == STREAM

    def test_parameters_may_be_missing_or_no_strings(self) -> None:
        [event] = feed(new_adapter(), start(customParameters={"n": 1, "none": None}))
        assert isinstance(event, CallStarted)
        assert event.params == {"n": "1", "none": ""}
        nested = {"list": [1], "object": {}, "text": "kept"}
        [event] = feed(new_adapter(), start(customParameters=nested))
        assert isinstance(event, CallStarted)
        assert event.params == {"text": "kept"}

    @pytest.mark.parametrize("name", ["tracks", "customParameters", "mediaFormat"])
    def test_what_is_null_is_absent(self, name: str) -> None:
        [event] = feed(new_adapter(), start(**{name: None}))
        assert isinstance(event, CallStarted)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"callSid": ""}, "malformed-message"),
            ({"streamSid": "MZ2"}, "second-start"),
            ({"tracks": ["sideways"]}, "unknown-track"),
            ({"mediaFormat": {"encoding": "audio/opus"}}, "unsupported-encoding"),
            ({"mediaFormat": {"sampleRate": 16000}}, "unsupported-encoding"),
            ({"mediaFormat": {"channels": "2"}}, "unsupported-encoding"),
            ({"callSid": [7]}, "malformed-message"),
            ({"customParameters": {"big": "x" * 70_000}}, "message-too-big"),
        ],
    )
    def test_refused(self, changes: dict[str, Any], reason: str) -> None:
        adapter = started() if reason == "second-start" else new_adapter()
        with pytest.raises(CarrierError) as caught:
            feed(adapter, start(**changes))
        assert caught.value.reason == reason


class TestMedia:
    @pytest.mark.parametrize("size", [0, 1, 159, 160, 480, 4000, 65_536])
    def test_any_length(self, size: int) -> None:
        assert feed(started(), media(bytes(size))) == [AudioReceived("inbound", bytes(size), 5, 1)]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("20", 20),
            (20, 20),
            ("", None),
            ("x", None),
            (None, None),
            (1.5, None),
            ([1], None),
            (10**30, None),
            ("9" * 5000, None),
        ],
    )
    def test_numbers_are_coerced_or_absent(self, value: Any, expected: int | None) -> None:
        for name in ("timestamp", "chunk"):
            [event] = feed(started(), media(**{name: value}))
            assert isinstance(event, AudioReceived)
            assert (event.timestamp_ms if name == "timestamp" else event.sequence) == expected

    @pytest.mark.parametrize("payload", ["f39/fw==", "f39/fw", " f39/\nfw== "])
    def test_base64_without_padding_or_with_white_space(self, payload: str) -> None:
        [event] = feed(started(), media(payload))
        assert isinstance(event, AudioReceived)
        assert event.payload == b"\x7f\x7f\x7f\x7f"

    @pytest.mark.parametrize("payload", ["f39_fw-=", "%%%%", "é", "A"])
    def test_what_cannot_be_decoded_is_a_lost_frame_not_a_lost_call(self, payload: str) -> None:
        adapter = started()
        assert feed(adapter, media(payload)) == [MessageIgnored("undecodable-payload")]
        assert feed(adapter, media()) == [AudioReceived("inbound", FRAME, 5, 1)]

    def test_a_repr_holds_no_audio(self) -> None:
        [event] = feed(started(), media(b"secret"))
        assert "secret" not in repr(event)


class TestRefused:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (b"", "malformed-message"),
            (b"{", "malformed-message"),
            (b"[]", "malformed-message"),
            (b'"start"', "malformed-message"),
            (b"\xff\xfe", "malformed-message"),
            (b"{}", "malformed-message"),
            (b'{"event":7}', "malformed-message"),
            (b'{"event":"start"}', "malformed-message"),
            (b'{"event":"media"}', "malformed-message"),
            (b'{"event":"media","media":{"payload":5}}', "malformed-message"),
            (b'{"event":' * 100_000, "malformed-message"),
            (b'{"event":"mark","mark":' + b"[" * 100_000, "malformed-message"),
        ],
    )
    def test_malformed(self, message: bytes, reason: str) -> None:
        with pytest.raises(CarrierError) as caught:
            feed(new_adapter(), message)
        assert caught.value.reason == reason
        assert caught.value.fault is Fault.CARRIER

    def test_media_before_start(self) -> None:
        with pytest.raises(CarrierError, match="media-before-start"):
            feed(new_adapter(), media())

    def test_undecodable_media_before_start(self) -> None:
        with pytest.raises(CarrierError, match="media-before-start"):
            feed(new_adapter(), media("%"))

    def test_media_of_a_track_that_was_not_announced(self) -> None:
        adapter = new_adapter()
        feed(adapter, start(tracks=["inbound"]))
        with pytest.raises(CarrierError, match="unknown-track"):
            feed(adapter, media(track="outbound"))

    def test_binary(self) -> None:
        with pytest.raises(CarrierError, match="binary-message"):
            started().receive_binary(b"\x00")


def damaged(message: bytes) -> st.SearchStrategy[bytes]:
    """Cut a message anywhere, or put something in its middle."""
    return st.builds(
        lambda cut, insert: message[:cut] + insert + message[cut:],
        st.integers(0, len(message)),
        st.binary(max_size=4),
    ) | st.integers(0, len(message)).map(lambda cut: message[:cut])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
shaped = st.builds(
    lambda event, name, body: json.dumps({"event": event, name: body}).encode(),
    st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "other"]),
    st.sampled_from(["start", "media", "dtmf", "stop"]),
    json_values
    | st.fixed_dictionaries({"payload": json_values, "track": json_values, "chunk": json_values})
    | st.fixed_dictionaries({"callSid": json_values, "streamSid": json_values}),
)


@given(
    messages=st.lists(
        st.binary(max_size=64)
        | shaped
        | damaged(json.dumps(media(b"abc")).encode())
        | damaged(json.dumps(start()).encode()),
        max_size=6,
    )
)
def test_any_bytes_give_events_or_a_documented_error(messages: list[bytes]) -> None:
    for adapter in (new_adapter(), started()):
        for message in messages:
            try:
                events = adapter.receive_text(message)
            except CarrierError as error:
                assert error.reason in REASONS  # noqa: PT017  # half of what this property says
                break
            assert isinstance(events, tuple)
