"""Vonage's texts: the first one with our NCCO's headers in it, and what comes between audio."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers import vonage
from gateway.carriers.events import CallStarted, DtmfReceived, MessageIgnored
from gateway.errors import CarrierError
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

CONNECTED = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}
DTMF = {"event": "websocket:dtmf", "digit": "5", "duration": 260}


def text(message: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(message | changes).encode()


def start(upgrade: dict[str, str] | None = None, **headers: Any) -> CallStarted:
    [event] = vonage.new_adapter("s1", upgrade).receive_text(text(CONNECTED, **headers))
    assert isinstance(event, CallStarted)
    return event


class TestStart:
    def test_without_headers_it_is_a_call_of_its_own(self) -> None:
        assert start() == CallStarted(
            "s1", "s1", (TrackFormat("mix", Encoding.L16LE, 16000),), roles={"mix": "mix"}
        )

    def test_headers_stand_at_the_top_or_nested(self) -> None:
        found = start(headers={"tok": "nested", "queue": "sales"}, tok="9f", address={"city": "x"})
        assert found.params == {"tok": "9f", "queue": "sales"}
        assert "9f" not in repr(found)

    @pytest.mark.parametrize("call_id", ["CON-1", 7])
    def test_the_call_is_named_by_a_header(self, call_id: object) -> None:
        assert (start(call_id=call_id).call_id, start().stream_id) == (str(call_id), "s1")

    @pytest.mark.parametrize(
        ("headers", "track", "roles"),
        [
            ({}, "mix", {"mix": "mix"}),
            ({"role": "customer"}, "inbound", {"inbound": "customer"}),
            ({"role": "agent"}, "outbound", {"outbound": "agent"}),
            ({"track": "inbound"}, "inbound", {}),
            ({"track": "outbound", "role": "customer"}, "outbound", {"outbound": "customer"}),
            ({"track": "sideways", "role": "supervisor"}, "mix", {"mix": "mix"}),
            ({"track": None, "role": ["agent"]}, "mix", {"mix": "mix"}),
        ],
    )
    def test_who_is_heard(self, headers: Any, track: str, roles: dict[str, str]) -> None:
        found = start(**headers)
        assert ([form.track for form in found.tracks], found.roles) == ([track], roles)

    def test_the_upgrade_outweighs_headers(self) -> None:
        found = start({"call_id": "c1", "role": "agent"}, call_id="c2", role="customer")
        assert (found.call_id, found.roles) == ("c1", {"outbound": "agent"})
        assert start({"call_id": ""}).call_id == "s1"

    @pytest.mark.parametrize(
        ("content_type", "rate_hz"),
        [
            ("audio/l16;rate=8000", 8000),
            ("audio/L16; rate=24000", 24000),
            ("audio/l16;RATE=16000;channels=1", 16000),
        ],
    )
    def test_content_types(self, content_type: Any, rate_hz: int) -> None:
        [form] = start(**{"content-type": content_type}).tracks
        assert form == TrackFormat("mix", Encoding.L16LE, rate_hz)

    @pytest.mark.parametrize(
        "content_type",
        ["audio/l16;rate=44100", "audio/l16;rate=x", "audio/l16", "audio/opus;rate=8000", "", None],
    )
    def test_others_are_refused_with_what_to_ask_for(self, content_type: Any) -> None:
        with pytest.raises(CarrierError, match=r"audio/l16;rate=16000") as caught:
            start(**{"content-type": content_type})
        assert caught.value.reason == "unsupported-encoding"


class TestOtherTexts:
    def test_a_key_is_of_no_known_track_and_its_digit_nowhere(self) -> None:
        events = vonage.new_adapter("s1").receive_text(text(DTMF))
        assert [*events] == [DtmfReceived(None)]
        assert "5" not in repr(events)

    @pytest.mark.parametrize(
        ("event", "kind"),
        [
            ("websocket:cleared", "websocket:cleared"),
            ("websocket:notify", "websocket:notify"),
            ("websocket:sparkle", "unknown"),
        ],
    )
    def test_ignored(self, event: str, kind: str) -> None:
        message = text({"event": event, "payload": {"k": "v"}})
        assert [*vonage.new_adapter("s1").receive_text(message)] == [MessageIgnored(kind)]

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff", b"{}", b'{"event":7}'])
    def test_malformed(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            vonage.new_adapter("s1").receive_text(message)


shaped = st.builds(
    lambda event, name, value: text({"event": event, name: value}),
    st.sampled_from(["websocket:connected", "websocket:dtmf", "other"]),
    st.sampled_from(["content-type", "headers", "track", "role", "call_id", "digit"]),
    JSON_VALUES,
)


@given(dialogue=dialogues(shaped | damaged(text(CONNECTED)) | st.just(text(CONNECTED))))
def test_any_messages_give_events_or_a_documented_error(dialogue: list[tuple[bool, bytes]]) -> None:
    endure(vonage.new_adapter("s1"), dialogue)
