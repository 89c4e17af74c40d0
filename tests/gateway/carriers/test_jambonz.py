"""jambonz' texts: the first one with format, attributes and metadata, and what comes later."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers import jambonz
from gateway.carriers.events import CallStarted, DtmfReceived, MessageIgnored
from gateway.carriers.pcm_socket import PcmSocketAdapter
from gateway.errors import CarrierError
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

START = {
    "sampleRate": 8000,
    "mixType": "stereo",
    "callSid": "c1",
    "parentCallSid": "c0",
    "direction": "outbound",
    "from": "+15550001111",
    "to": "+15550002222",
    "callerId": "+15550001111",
    "callerName": "Jane Roe",
}
DTMF = {"event": "dtmf", "dtmf": "2", "duration": "1600"}


def text(message: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(message | changes).encode()


def start(**changes: Any) -> CallStarted:
    [event] = jambonz.new_adapter("s1").receive_text(text(START, **changes))
    assert isinstance(event, CallStarted)
    return event


def started(**changes: Any) -> PcmSocketAdapter:
    adapter = jambonz.new_adapter("s1")
    adapter.receive_text(text(START, **changes))
    return adapter


class TestStart:
    def test_ids(self) -> None:
        found = start()
        assert (found.call_id, found.stream_id) == ("c1", "s1")

    @pytest.mark.parametrize(
        ("mix_type", "tracks", "roles"),
        [
            ("mono", ["inbound"], {}),
            ("", ["inbound"], {}),
            ("mixed", ["mix"], {"mix": "mix"}),
            ("stereo", ["inbound", "outbound"], {}),
        ],
    )
    def test_tracks(self, mix_type: str, tracks: list[str], roles: dict[str, str]) -> None:
        found = start(mixType=mix_type)
        assert ([form.track for form in found.tracks], found.roles) == (tracks, roles)

    def test_an_unknown_mix_is_refused_with_what_to_ask_for(self) -> None:
        with pytest.raises(CarrierError, match=r"unsupported-encoding: .* mixType to stereo"):
            start(mixType="quadrophonic")

    def test_numbers_and_names_are_not_passed_on(self) -> None:
        found = start()
        assert found.called == "+15550002222"
        assert found.params == {"parentCallSid": "c0", "direction": "outbound"}
        assert "555" not in repr(found)

    @pytest.mark.parametrize("nest", [False, True])
    def test_metadata_is_merged_in_or_nested(self, nest: bool) -> None:
        metadata = {"tok": "9f", "event": "fair", "type": "mark"}
        found = start(**({"metadata": metadata} if nest else metadata))
        assert metadata.items() <= found.params.items()

    def test_the_call_may_be_named_in_metadata(self) -> None:
        assert start(metadata={"callSid": "c9"}).call_id == "c1"
        assert start(callSid=None, metadata={"callSid": "c9"}).call_id == "c9"

    @pytest.mark.parametrize("call_sid", ["", None, ["c1"]])
    def test_a_call_without_an_id(self, call_sid: object) -> None:
        with pytest.raises(CarrierError, match="malformed-message: no callSid"):
            start(callSid=call_sid)


class TestOtherTexts:
    @pytest.mark.parametrize(
        ("mix_type", "track"), [("stereo", "inbound"), ("mono", "inbound"), ("mixed", None)]
    )
    def test_keys_are_the_callers(self, mix_type: str, track: str | None) -> None:
        events = started(mixType=mix_type).receive_text(text(DTMF, dtmf="7"))
        assert [*events] == [DtmfReceived(track)]
        assert "7" not in repr(events)

    def test_a_key_before_the_start(self) -> None:
        assert [*jambonz.new_adapter("s1").receive_text(text(DTMF))] == [DtmfReceived(None)]

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            ({"type": "playDone", "data": {"id": "1"}}, "playDone"),
            ({"type": "mark", "data": {"name": "m", "event": "playout"}}, "mark"),
            ({"type": ["mark"]}, "unknown"),
            ({"event": "sparkle"}, "unknown"),
            ({}, "unknown"),
        ],
    )
    def test_ignored(self, message: dict[str, Any], kind: str) -> None:
        assert [*started().receive_text(text(message))] == [MessageIgnored(kind)]

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff", b"7"])
    def test_malformed(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            started().receive_text(message)


shaped = st.builds(
    lambda name, value, other, rest: text({name: value, other: rest}),
    st.sampled_from(["sampleRate", "mixType", "event", "type"]),
    JSON_VALUES | st.sampled_from([8000, "stereo", "dtmf"]),
    st.sampled_from(["callSid", "metadata", "to", "dtmf"]),
    JSON_VALUES,
)


@given(dialogue=dialogues(shaped | damaged(text(START)) | st.just(text(START))))
def test_any_messages_give_events_or_a_documented_error(dialogue: list[tuple[bool, bytes]]) -> None:
    endure(jambonz.new_adapter("s1"), dialogue)
