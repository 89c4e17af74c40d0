"""The web page's protocol: valid messages, and rejected ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import AudioReceived, CallStarted, CallStopped, MessageIgnored
from gateway.carriers.vendors.browser import Browser, new_adapter
from gateway.errors import CarrierError, Fault
from tests.gateway.carriers.asking import NOW_S, OPEN, link, upgrade_of
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

START = {"type": "start", "call_id": "c1", "stream_id": "s1", "rate": 16000}
STOP = b'{"type":"stop"}'
BLOCK = bytes(3200)
CARRIER = Browser(Browser.Settings(**OPEN))


def start(**changes: Any) -> bytes:
    return json.dumps(START | changes).encode()


def started() -> Adapter:
    adapter = new_adapter()
    adapter.receive_text(start())
    return adapter


class TestDialogue:
    def test_stream_starts_receives_audio_and_stops(self) -> None:
        adapter = new_adapter()
        assert adapter.receive_text(start()) == (
            CallStarted("c1", "s1", (TrackFormat("inbound", Encoding.L16LE, 16000),)),
        )
        for payload in (BLOCK, b"\x01\x02"):
            assert [*adapter.receive_binary(payload)] == [
                AudioReceived("inbound", payload, None, None)
            ]
        assert adapter.receive_text(STOP) == (CallStopped(),)

    def test_start_may_set_track_rate_and_parameters(self) -> None:
        adapter = new_adapter()
        [event] = adapter.receive_text(start(track="outbound", rate=24000, params={"tok": "9f"}))
        assert isinstance(event, CallStarted)
        assert event.tracks == (TrackFormat("outbound", Encoding.L16LE, 24000),)
        assert event.params == {"tok": "9f"}
        assert "9f" not in repr(event)
        assert [*adapter.receive_binary(b"xy")] == [AudioReceived("outbound", b"xy", None, None)]

    def test_sample_split_across_messages_is_joined(self) -> None:
        adapter = started()
        assert [*adapter.receive_binary(b"\x01")] == []
        assert [*adapter.receive_binary(b"\x02\x03\x04")] == [
            AudioReceived("inbound", b"\x01\x02\x03\x04", None, None)
        ]

    def test_repeated_start_is_ignored(self) -> None:
        assert started().receive_text(start()) == (MessageIgnored("repeated-start"),)


class TestRejected:
    @pytest.mark.parametrize(
        "changes",
        [
            {"type": "begin"},
            {"type": None},
            {"call_id": ""},
            {"call_id": ["c1"]},
            {"stream_id": None},
            {"rate": None},
            {"track": "both"},
        ],
    )
    def test_start_with_invalid_values_is_rejected(self, changes: dict[str, Any]) -> None:
        with pytest.raises(CarrierError, match="malformed-message") as caught:
            new_adapter().receive_text(start(**changes))
        assert caught.value.fault is Fault.CARRIER

    @pytest.mark.parametrize("name", START)
    def test_start_without_required_fields_is_rejected(self, name: str) -> None:
        fields = {key: value for key, value in START.items() if key != name}
        with pytest.raises(CarrierError, match="malformed-message"):
            new_adapter().receive_text(json.dumps(fields).encode())

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b'"start"', b"\xff", b"[" * 8000])
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            started().receive_text(message)

    @pytest.mark.parametrize("rate", [-8000, 0, 11025, 44100, 48000, 10**30, 16000.5, True, "x"])
    def test_unsupported_rate_is_rejected_with_a_hint(self, rate: object) -> None:
        with pytest.raises(CarrierError, match="unsupported-encoding: create the AudioContext"):
            new_adapter().receive_text(start(rate=rate))

    def test_too_big_text_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="message-too-big"):
            new_adapter().receive_text(start(params={"big": "x" * 70_000}))

    def test_start_of_another_call_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="second-start"):
            started().receive_text(start(call_id="c2"))


@pytest.mark.parametrize(("call_id", "is_admitted"), [("c1", True), ("c2", False)])
def test_minted_url_is_bound_to_its_call(call_id: str, is_admitted: bool) -> None:
    url = CARRIER.authenticator.url_with_token(link("browser"), "c1", NOW_S)
    admitted = CARRIER.upgrade(upgrade_of(url))
    [event] = admitted.adapter.receive_text(start(call_id=call_id))
    assert isinstance(event, CallStarted)
    if is_admitted:
        admitted.authorize(event)
        return
    with pytest.raises(CarrierError, match="token-invalid"):
        admitted.authorize(event)


shaped = st.builds(
    lambda changes: start(**changes),
    st.dictionaries(st.sampled_from([*START, "track", "params"]), JSON_VALUES, max_size=2),
)


@given(
    dialogue=dialogues(shaped | damaged(start()) | st.just(STOP)),
    before=st.sampled_from([[], [(True, start())]]),
)
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]], before: list[tuple[bool, bytes]]
) -> None:
    endure(new_adapter(), before + dialogue)
