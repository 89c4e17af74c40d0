"""Properties of all PCM sockets, tested with FreeSWITCH and jambonz."""

import itertools
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.events import AudioReceived, CallStarted, CarrierEvent, MessageIgnored
from gateway.carriers.protocols.pcm_socket import PcmSocketAdapter, texts
from gateway.carriers.vendors import freeswitch, jambonz
from gateway.carriers.vendors.freeswitch import StreamQuery
from gateway.errors import CarrierError, Fault

START = {"sampleRate": 8000, "mixType": "stereo", "callSid": "c1"}


def started(mix: str = "stereo") -> PcmSocketAdapter:
    adapter = freeswitch.new_adapter("s1", StreamQuery(mix))
    adapter.receive_text(b"{}")
    return adapter


def text(**changes: object) -> bytes:
    return json.dumps(START | changes).encode()


def receive_all(adapter: PcmSocketAdapter, messages: list[bytes]) -> dict[str, bytes]:
    """Return each track's audio, joined."""
    audio: dict[str, bytes] = {}
    for message in messages:
        for event in adapter.receive_binary(message):
            assert isinstance(event, AudioReceived)
            assert (event.timestamp_ms, event.sequence) == (None, None)
            audio[event.track] = audio.get(event.track, b"") + event.payload
    return audio


class TestAudio:
    def test_stereo_is_split_into_tracks(self) -> None:
        assert started().receive_binary(struct.pack("<4h", 1, -10, 2, -20)) == [
            AudioReceived("inbound", struct.pack("<2h", 1, 2), None, None),
            AudioReceived("outbound", struct.pack("<2h", -10, -20), None, None),
        ]

    @pytest.mark.parametrize("size", [0, 1])
    def test_partial_sample_is_held(self, size: int) -> None:
        adapter = started("mono")
        assert adapter.receive_binary(bytes(size)) == []
        assert receive_all(adapter, [bytes(2 - size)]) == {"inbound": bytes(2)}

    @pytest.mark.parametrize("size", [159, 320, 640, 4000, 65_536])
    @pytest.mark.parametrize("mix", ["mono", "mixed"])
    def test_mono_message_may_have_any_length(self, mix: str, size: int) -> None:
        [event] = started(mix).receive_binary(bytes(range(256)) * 256 + b"x" * size)
        assert isinstance(event, AudioReceived)
        assert len(event.payload) == 65_536 + size // 2 * 2

    @given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=8))
    def test_message_boundaries_do_not_matter(self, audio: bytes, cuts: list[int]) -> None:
        edges = [0, *sorted(cuts), 64]
        pieces = [audio[a:b] for a, b in itertools.pairwise(edges)]
        for mix in ("mono", "stereo"):
            assert receive_all(started(mix), pieces) == receive_all(started(mix), [audio])

    @given(
        st.lists(st.tuples(st.binary(min_size=2, max_size=2), st.binary(min_size=2, max_size=2)))
    )
    def test_every_sample_arrives_once_on_its_track(self, pairs: list[tuple[bytes, bytes]]) -> None:
        audio = b"".join(left + right for left, right in pairs)
        found = receive_all(started(), [audio])
        assert found.get("inbound", b"") == b"".join(left for left, _ in pairs)
        assert found.get("outbound", b"") == b"".join(right for _, right in pairs)


class TestStart:
    def test_repeated_start_is_ignored(self) -> None:
        adapter = jambonz.new_adapter("s1")
        adapter.receive_text(text())
        adapter.receive_binary(b"abc")
        again: list[CarrierEvent] = [MessageIgnored("repeated-start")]
        assert [*adapter.receive_text(text())] == again
        assert receive_all(adapter, [b"d"]) == {"inbound": b"ab", "outbound": b"cd"}

    def test_start_of_another_call_is_rejected(self) -> None:
        adapter = jambonz.new_adapter("s1")
        adapter.receive_text(text())
        with pytest.raises(CarrierError, match="second-start"):
            adapter.receive_text(text(callSid="c2"))

    def test_too_big_start_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="message-too-big"):
            jambonz.new_adapter("s1").receive_text(text(big="x" * 70_000))

    @pytest.mark.parametrize("rate", [8000, "16000", 24000, 8e3])
    def test_supported_rates_are_accepted(self, rate: float | str) -> None:
        [event] = jambonz.new_adapter("s1").receive_text(text(sampleRate=rate))
        assert isinstance(event, CallStarted)
        assert {form.rate_hz for form in event.tracks} == {int(rate)}

    @pytest.mark.parametrize("rate", [48000, 64000, 11025, 0, -8000, "x", True, 8000.5])
    def test_unsupported_rates_are_rejected_with_a_hint(self, rate: object) -> None:
        with pytest.raises(CarrierError, match="sampleRate to 8000, 16000 or 24000") as caught:
            jambonz.new_adapter("s1").receive_text(text(sampleRate=rate))
        assert caught.value.reason == "unsupported-encoding"
        assert caught.value.fault is Fault.CARRIER


def test_texts_skips_nested_and_empty_values() -> None:
    message = {
        "a": "b",
        "n": 1,
        "f": 1.5,
        "t": True,
        "e": "",
        "null": None,
        "l": [1],
        "o": {"x": 1},
    }
    assert texts(message) == {"a": "b", "n": "1", "f": "1.5", "t": "True"}
    assert texts(message, nested="o") == texts(message) | {"x": "1"}
    assert texts({"x": "outer", "o": {"x": 1}}, nested="o") == {"x": "outer"}
    assert texts({"x": None, "o": {"x": 1}}, nested="o") == {"x": "1"}
