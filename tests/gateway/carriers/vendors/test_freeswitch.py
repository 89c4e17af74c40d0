"""FreeSWITCH: the format in the URL, and texts of any content."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import AudioReceived, CallStarted, MessageIgnored
from gateway.carriers.vendors import freeswitch
from gateway.carriers.vendors.freeswitch import FreeSwitch, StreamQuery
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, link, upgrade, upgrade_of
from tests.gateway.carriers.hostile import JSON_VALUES, dialogues, endure

STEREO = StreamQuery("stereo")


def start(query: StreamQuery, **metadata: object) -> CallStarted:
    message = json.dumps(metadata).encode()
    [event] = freeswitch.new_adapter("s1", query).receive_text(message)
    assert isinstance(event, CallStarted)
    return event


class TestUrl:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"mix": "stereo"}, STEREO),
            ({"mix": "mono", "rate": "", "call_id": ""}, StreamQuery("mono", "8k")),
            (
                {"mix": "mixed", "rate": "16k", "call_id": "f1", "queue": "sales"},
                StreamQuery("mixed", "16k", "f1", {"queue": "sales"}),
            ),
        ],
    )
    def test_query_is_parsed(self, query: dict[str, str], expected: StreamQuery) -> None:
        assert StreamQuery.parse(query) == expected

    @pytest.mark.parametrize(
        ("mix", "tracks", "roles"),
        [
            ("mono", ["inbound"], {}),
            ("mixed", ["mix"], {"mix": "mix"}),
            ("stereo", ["inbound", "outbound"], {}),
        ],
    )
    def test_mix_determines_tracks_and_roles(
        self, mix: str, tracks: list[str], roles: dict[str, str]
    ) -> None:
        found = start(StreamQuery(mix))
        assert ([form.track for form in found.tracks], found.roles) == (tracks, roles)

    @pytest.mark.parametrize(
        ("rate", "rate_hz"), [("8k", 8000), ("16k", 16000), ("16000", 16000), ("24k", 24000)]
    )
    def test_supported_rates_are_accepted(self, rate: str, rate_hz: int) -> None:
        [form] = start(StreamQuery("mono", rate)).tracks
        assert form == TrackFormat("inbound", Encoding.L16LE, rate_hz)

    @pytest.mark.parametrize(
        "query", [{}, {"mix": "both"}, {"mix": "mono", "rate": "48k"}, {"mix": "mono", "rate": "k"}]
    )
    def test_unsupported_formats_are_rejected_before_the_upgrade(
        self, query: dict[str, str]
    ) -> None:
        with pytest.raises(CarrierError, match=r"\?mix=stereo&rate=16k") as caught:
            freeswitch.new_adapter("s1", StreamQuery.parse(query))
        assert caught.value.reason == "unsupported-encoding"


class TestStart:
    def test_stream_starts_with_audio_if_there_is_no_text(self) -> None:
        query = StreamQuery("mono", call_id="f1", params={"queue": "sales"})
        adapter = freeswitch.new_adapter("s1", query)
        assert adapter.receive_binary(b"abc") == ()
        started, audio = adapter.begin()
        assert started == CallStarted(
            "f1", "s1", (TrackFormat("inbound", Encoding.L16LE, 8000),), {"queue": "sales"}
        )
        assert audio == AudioReceived("inbound", b"ab", None, None)
        assert adapter.begin() == ()

    def test_stream_does_not_start_without_audio(self) -> None:
        assert freeswitch.new_adapter("s1", STEREO).begin() == ()

    @pytest.mark.parametrize(("mix", "rate"), [("mono", "8k"), ("stereo", "8k"), ("stereo", "24k")])
    def test_up_to_two_seconds_of_audio_are_held_for_a_text(self, mix: str, rate: str) -> None:
        """Symptom: one frame before the metadata, and the call lost its id and parameters."""
        query = StreamQuery(mix, rate)
        frame = bytes(range(40)) * (int(rate[:-1]) * (2 if mix == "stereo" else 1))
        for count in (1, 50, 99):
            adapter = freeswitch.new_adapter("s1", query)
            assert [adapter.receive_binary(frame) for _ in range(count)] == [()] * count
            found, *audio = adapter.receive_text(b'{"call_id":"m","queue":"sales"}')
            assert isinstance(found, CallStarted)
            assert (found.call_id, found.params) == ("m", {"queue": "sales"})
            sizes = [len(each.payload) for each in audio if isinstance(each, AudioReceived)]
            assert sum(sizes) == count * len(frame)
        adapter = freeswitch.new_adapter("s1", query)
        events = [event for _ in range(100) for event in adapter.receive_binary(frame)]
        assert isinstance(events[0], CallStarted)
        sizes = [len(each.payload) for each in events[1:] if isinstance(each, AudioReceived)]
        assert sum(sizes) == 100 * len(frame)

    def test_call_id_comes_from_metadata_then_url_then_connection(self) -> None:
        assert start(StreamQuery("mono", call_id="u"), call_id="m").call_id == "m"
        assert start(StreamQuery("mono", call_id="u"), call_id="").call_id == "u"
        assert start(STEREO).call_id == "s1"

    def test_metadata_are_added_to_the_url_parameters(self) -> None:
        query = StreamQuery("mono", params={"queue": "sales", "lang": "en"})
        found = start(query, tok="9f", lang="de", nested={"x": 1})
        assert found.params == {"queue": "sales", "lang": "de", "tok": "9f"}
        assert "9f" not in repr(found)


class TestOtherTexts:
    @pytest.mark.parametrize("message", [b"hello", b"", b"[1]", b"7", b"\xff", b"{", b"[" * 60_000])
    def test_texts_that_are_not_metadata_are_ignored(self, message: bytes) -> None:
        adapter = freeswitch.new_adapter("s1", STEREO)
        assert [*adapter.receive_text(message)] == [MessageIgnored("text")]
        assert adapter.receive_binary(bytes(4)) == ()
        assert [*adapter.receive_text(message)] == [MessageIgnored("text")]
        assert isinstance(adapter.begin()[0], CallStarted)
        assert [*adapter.receive_text(message)] == [MessageIgnored("text")]

    @pytest.mark.parametrize("message", [b"{}", b'{"call_id":"another"}'])
    def test_objects_after_the_start_are_ignored(self, message: bytes) -> None:
        adapter = freeswitch.new_adapter("s1", STEREO)
        adapter.receive_binary(bytes(4))
        adapter.begin()
        assert [*adapter.receive_text(message)] == [MessageIgnored("text")]


class TestAuthentication:
    carrier = FreeSwitch(FreeSwitch.Settings(**OPEN), lambda: "s1")
    bearer = f"Bearer {OPEN['secret']}"

    def test_query_determines_the_format(self) -> None:
        query = "mix=stereo&rate=16k&call_id=f1&queue=sales&tok="
        request = upgrade("freeswitch", query=query, Authorization=self.bearer)
        adapter = self.carrier.upgrade(request).adapter
        adapter.receive_binary(bytes(4))
        [found, *_] = adapter.begin()
        assert isinstance(found, CallStarted)
        assert (found.call_id, found.stream_id, len(found.tracks)) == ("f1", "s1", 2)
        assert found.params.items() >= {"queue": "sales"}.items()

    @pytest.mark.parametrize("query", ["", "mix=", "mix=both", "mix=stereo&rate=44100"])
    def test_upgrade_with_unsupported_format_is_rejected(self, query: str) -> None:
        request = upgrade("freeswitch", query=query, Authorization=self.bearer)
        with pytest.raises(CarrierError, match="unsupported-encoding"):
            self.carrier.upgrade(request)

    @pytest.mark.parametrize("query", ["", "mix=both"])
    def test_query_errors_are_reported_only_after_authentication(self, query: str) -> None:
        with pytest.raises(CarrierError, match="token-missing"):
            self.carrier.upgrade(upgrade("freeswitch", query=query))

    @pytest.mark.parametrize("call_id", ["f1", "f2"])
    def test_token_is_checked_against_the_call_id_of_the_first_text(self, call_id: str) -> None:
        url = self.carrier.authenticator.url_with_token(link("freeswitch"), "f1", NOW_S)
        admitted = self.carrier.upgrade(upgrade_of(f"{url}?mix=mono&call_id=f1"))
        [found] = admitted.adapter.receive_text(json.dumps({"call_id": call_id}).encode())
        assert isinstance(found, CallStarted)
        if call_id == "f1":
            admitted.authorize(found)
            return
        with pytest.raises(CarrierError, match="token-invalid"):
            admitted.authorize(found)

    def test_each_socket_has_its_own_stream_id(self) -> None:
        carrier = FreeSwitch(FreeSwitch.Settings(**OPEN))
        request = upgrade("freeswitch", query="mix=mono", Authorization=self.bearer)
        found = [carrier.upgrade(request).adapter.receive_text(b"{}")[0] for _ in range(2)]
        assert len({start.stream_id for start in found if isinstance(start, CallStarted)}) == 2


texts = JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.builds(
    lambda value: json.dumps({"call_id": value}).encode(), JSON_VALUES
)


@given(dialogue=dialogues(texts))
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]],
) -> None:
    endure(freeswitch.new_adapter("s1", STEREO), dialogue)
