"""CXone: disabled unless `experimental` is set; one stream per perspective."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import AudioReceived, CallStarted, MessageIgnored, Reply
from gateway.carriers.vendors.cxone import Cxone, CxoneAdapter
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import OPEN, SECRET, upgrade
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

INFO = {"contactId": "c1", "busNo": "b1", "skills": ["x"]}
FIRST = {
    "format": "MONO",
    "executionInfo": INFO,
    "authenticationToken": "not-to-be-told",
    "streamPerspective": "TX_RELAY",
}
SHOWN = upgrade("cxone", Authorization=f"Bearer {SECRET}")


def first(**changes: Any) -> bytes:
    return json.dumps(FIRST | changes).encode()


def begun(stream_id: str = "s1", **changes: Any) -> CallStarted:
    start, reply = CxoneAdapter(stream_id).receive_text(first(**changes))
    assert isinstance(start, CallStarted)
    assert isinstance(reply, Reply)
    assert json.loads(reply.message)["Message"] == "BEGIN AUDIO STREAM"
    return start


def started() -> CxoneAdapter:
    adapter = CxoneAdapter("s1")
    adapter.receive_text(first())
    return adapter


class TestAuthentication:
    def test_carrier_is_disabled_unless_experimental_is_set(self) -> None:
        carrier = Cxone(Cxone.Settings(**OPEN))
        assert carrier.missing_setting == "GATEWAY_CXONE_EXPERIMENTAL"
        with pytest.raises(CarrierError, match="token-missing"):
            carrier.upgrade(SHOWN)

    def test_carrier_is_disabled_without_a_secret(self) -> None:
        carrier = Cxone(Cxone.Settings(_env_file=None, experimental=True))
        assert carrier.missing_setting == "GATEWAY_CXONE_SECRET"
        with pytest.raises(CarrierError, match="token-missing"):
            carrier.upgrade(SHOWN)

    def test_socket_after_a_hold_is_a_new_stream_of_the_call(self) -> None:
        carrier = Cxone(Cxone.Settings(**OPEN, experimental=True))
        assert carrier.missing_setting is None
        assert carrier.warning == "cxone-is-experimental"
        starts = [carrier.upgrade(SHOWN).adapter.receive_text(first())[0] for _ in range(2)]
        ids = {(s.call_id, s.stream_id) for s in starts if isinstance(s, CallStarted)}
        assert len(ids) == 2
        assert {call_id for call_id, _ in ids} == {"c1"}


class TestStart:
    @pytest.mark.parametrize(
        ("perspective", "track", "roles"),
        [
            ("TX_RELAY", "tx", {"tx": "customer"}),
            ("TX", "tx", {"tx": "customer"}),
            ("RX_RELAY", "rx", {"rx": "agent"}),
            ("MIX", "mix", {"mix": "mix"}),
            (0, "perspective-0", {}),
            ("1", "perspective-1", {}),
        ],
    )
    def test_perspective_becomes_a_track(
        self, perspective: Any, track: str, roles: dict[str, str]
    ) -> None:
        start = begun(streamPerspective=perspective)
        assert start.tracks == (TrackFormat(track, Encoding.PCMU, 8000),)
        assert start.roles == roles

    @pytest.mark.parametrize("perspective", [None, "", 2, True, "SIDEWAYS", ["TX"]])
    def test_unknown_perspective_is_rejected(self, perspective: Any) -> None:
        with pytest.raises(CarrierError, match="unknown-track"):
            begun(streamPerspective=perspective)

    def test_execution_info_becomes_parameters(self) -> None:
        start = begun(executionInfo=INFO | {"contactId": 12345678901})
        assert (start.call_id, start.params) == ("12345678901", {"busNo": "b1"})

    def test_stereo_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="unsupported-encoding: configure mono"):
            begun(format="STEREO")

    @pytest.mark.parametrize("contact", [None, "", ["c1"], 1.5])
    def test_start_without_contact_id_is_rejected(self, contact: Any) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            begun(executionInfo={"contactId": contact})

    def test_repeated_start_is_ignored_and_another_rejected(self) -> None:
        assert [*started().receive_text(first())] == [MessageIgnored("repeated-start")]
        with pytest.raises(CarrierError, match="second-start"):
            started().receive_text(first(executionInfo={"contactId": "c2"}))

    @pytest.mark.parametrize("changes", [{"executionInfo": None}, {"executionInfo": []}])
    def test_texts_without_execution_info_are_ignored(self, changes: dict[str, Any]) -> None:
        assert [*CxoneAdapter("s1").receive_text(first(**changes))] == [MessageIgnored("unknown")]

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff"])
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            CxoneAdapter("s1").receive_text(message)


class TestAudio:
    @pytest.mark.parametrize("size", [1, 159, 160, 4000])
    def test_audio_may_have_any_length(self, size: int) -> None:
        expected = [AudioReceived("tx", b"\x7f" * size, None, None)]
        assert [*started().receive_binary(b"\x7f" * size)] == expected


shaped = st.builds(
    lambda changes: first(**changes),
    st.dictionaries(st.sampled_from([*FIRST]), JSON_VALUES, max_size=2),
)


@given(
    dialogue=dialogues(shaped | damaged(first())),
    before=st.sampled_from([[], [(True, first())]]),
)
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]], before: list[tuple[bool, bytes]]
) -> None:
    endure(CxoneAdapter("s1"), before + dialogue)
