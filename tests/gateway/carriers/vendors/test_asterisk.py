"""Asterisk: events in both formats, audio formats, and the query of the URL."""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
)
from gateway.carriers.vendors.asterisk import Asterisk, AsteriskAdapter, StreamQuery
from gateway.errors import CarrierError, Fault
from tests.gateway.carriers.asking import NOW_S, OPEN, basic, link, upgrade
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

FRAME = bytes(range(160))
CHANNEL = "1700000000.1"
START = {
    "event": "MEDIA_START",
    "connection_id": "stt",
    "channel": "WebSocket/stt/0x55",
    "channel_id": CHANNEL,
    "format": "ulaw",
    "optimal_frame_size": 160,
    "ptime": 20,
}
STARTED = CallStarted(CHANNEL, f"stt-{CHANNEL}", (TrackFormat("inbound", Encoding.PCMU, 8000),))


def plain(fields: dict[str, Any]) -> bytes:
    pairs = (f" {name}:{value}" for name, value in fields.items() if name != "event")
    return "".join([fields["event"], *pairs]).encode()


def as_json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


type Write = Callable[[dict[str, Any]], bytes]

FORMS = pytest.mark.parametrize("write", [plain, as_json])


def new_adapter(**query: str) -> AsteriskAdapter:
    return AsteriskAdapter(StreamQuery.parse(query))


def start(adapter: Adapter, **changes: Any) -> CallStarted:
    [event] = adapter.receive_text(as_json(START | changes))
    assert isinstance(event, CallStarted)
    return event


def started(**query: str) -> AsteriskAdapter:
    adapter = new_adapter(**query)
    start(adapter)
    return adapter


@FORMS
class TestEvents:
    def test_start_and_audio_of_any_length(self, write: Write) -> None:
        adapter = new_adapter()
        assert adapter.receive_text(write(START)) == (STARTED,)
        for size in (1, 159, 160, 480, 4000, 65_500):
            payload = bytes(size)
            assert [*adapter.receive_binary(payload)] == [
                AudioReceived("inbound", payload, None, None)
            ]

    def test_dtmf_belongs_to_the_track_of_the_socket(self, write: Write) -> None:
        key = write({"event": "DTMF_END", "digit": "7", "channel_id": CHANNEL})
        events = started(track="outbound").receive_text(key)
        assert events == (DtmfReceived("outbound"),)
        assert "7" not in repr(events)

    @pytest.mark.parametrize(
        "fields",
        [
            {"event": "MEDIA_XOFF"},
            {"event": "MEDIA_XON"},
            {"event": "QUEUE_DRAINED"},
            {"event": "STATUS", "queue_length": 43, "queue_full": "false"},
            {"event": "ERROR", "error_text": "it went wrong"},
            {"event": "MEDIA_BUFFERING_COMPLETED", "correlation_id": "x"},
            {"event": "MEDIA_MARK_PROCESSED", "correlation_id": "x"},
        ],
    )
    def test_playback_events_are_ignored(self, write: Write, fields: dict[str, Any]) -> None:
        assert started().receive_text(write(fields)) == (MessageIgnored(fields["event"]),)

    def test_unknown_event_is_ignored(self, write: Write) -> None:
        assert started().receive_text(write({"event": "NEW"})) == (MessageIgnored("unknown"),)

    def test_repeated_start_is_ignored_and_another_rejected(self, write: Write) -> None:
        adapter = started()
        assert adapter.receive_text(write(START)) == (MessageIgnored("repeated-start"),)
        with pytest.raises(CarrierError, match="second-start"):
            adapter.receive_text(write(START | {"channel_id": "1700000000.2"}))

    def test_start_without_format_is_rejected(self, write: Write) -> None:
        fields = {key: value for key, value in START.items() if key != "format"}
        with pytest.raises(CarrierError, match="malformed-message: no format"):
            new_adapter().receive_text(write(fields))

    def test_start_without_connection_id_is_accepted(self, write: Write) -> None:
        fields = {key: value for key, value in START.items() if key != "connection_id"}
        [event] = new_adapter().receive_text(write(fields))
        assert isinstance(event, CallStarted)
        assert (event.call_id, event.stream_id) == (CHANNEL, CHANNEL)

    def test_audio_before_the_start_is_delivered_after_it(self, write: Write) -> None:
        adapter = new_adapter()
        assert adapter.receive_binary(FRAME) == ()
        assert adapter.receive_binary(FRAME[:7]) == ()
        assert adapter.receive_text(write(START)) == (
            STARTED,
            AudioReceived("inbound", FRAME + FRAME[:7], None, None),
        )
        assert [*adapter.receive_binary(b"x")] == [AudioReceived("inbound", b"x", None, None)]


class TestStart:
    def test_channel_name_replaces_a_missing_channel_id(self) -> None:
        message = b"MEDIA_START connection_id:stt channel:WebSocket/stt/0x7f format:ulaw"
        [event] = new_adapter(call="c1").receive_text(message)
        assert isinstance(event, CallStarted)
        assert (event.call_id, event.stream_id) == ("c1", "stt-WebSocket/stt/0x7f")

    def test_channel_id_may_contain_colons(self) -> None:
        [event] = new_adapter().receive_text(plain(START | {"channel_id": "a:b:c"}))
        assert isinstance(event, CallStarted)
        assert event.call_id == "a:b:c"

    @pytest.mark.parametrize(
        ("name", "encoding", "rate_hz"),
        [
            ("ulaw", Encoding.PCMU, 8000),
            ("alaw", Encoding.PCMA, 8000),
            ("slin", Encoding.L16LE, 8000),
            ("slin16", Encoding.L16LE, 16000),
            ("slin24", Encoding.L16LE, 24000),
        ],
    )
    def test_supported_formats_are_accepted(
        self, name: str, encoding: Encoding, rate_hz: int
    ) -> None:
        event = start(new_adapter(), format=name)
        assert event.tracks == (TrackFormat("inbound", encoding, rate_hz),)

    @pytest.mark.parametrize(
        "name", ["g722", "opus", "g729", "gsm", "slin12", "slin48", "slin192", "speex16", "none"]
    )
    def test_unsupported_formats_are_rejected_with_a_hint(self, name: str) -> None:
        with pytest.raises(CarrierError, match=r"unsupported-encoding: .*c\(ulaw\)"):
            start(new_adapter(), format=name)

    @pytest.mark.parametrize("variables", [None, [], "x", {"B": None, "C": {}}])
    def test_channel_variables_of_a_wrong_type_are_ignored(self, variables: Any) -> None:
        assert start(new_adapter(), channel_variables=variables).params == {}


class TestQuery:
    def test_two_sockets_are_two_streams_of_one_call(self) -> None:
        caller = start(new_adapter(call="c1", role="customer"))
        callee = start(
            new_adapter(call="c1", track="outbound", role="agent"), channel_id="1700000000.2"
        )
        assert caller.call_id == callee.call_id == "c1"
        assert caller.stream_id != callee.stream_id
        assert [form.track for form in callee.tracks] == ["outbound"]
        assert (caller.roles, callee.roles) == ({"inbound": "customer"}, {"outbound": "agent"})

    def test_query_parameters_override_channel_variables(self) -> None:
        event = start(
            new_adapter(call="c1", queue="sales", tok="9f"),
            channel_variables={"queue": "none", "campaign": "7"},
        )
        assert event.params == {"queue": "sales", "tok": "9f", "campaign": "7"}

    def test_empty_query_values_count_as_missing(self) -> None:
        assert StreamQuery.parse({"call": "", "track": "", "role": ""}) == StreamQuery()

    @pytest.mark.parametrize("query", [{"track": "both"}, {"role": "boss"}])
    def test_unknown_track_or_role_is_rejected(self, query: dict[str, str]) -> None:
        with pytest.raises(CarrierError, match="unknown-track"):
            StreamQuery.parse(query)

    def test_repr_contains_no_parameters(self) -> None:
        query = StreamQuery.parse({"tok": "9fsecret"})
        assert "9fsecret" not in repr(query)


@pytest.mark.parametrize(
    "message", [b"", b" x", b"\xff\xfe", b"{}", b'{"event":7}', b'{"event":["DTMF_END"]}']
)
def test_text_without_an_event_is_ignored(message: bytes) -> None:
    assert new_adapter().receive_text(message) == (MessageIgnored("unknown"),)


class TestRejected:
    @pytest.mark.parametrize(
        "message",
        [
            b"{",
            b'{"event":"MEDIA_START"}',
            b"MEDIA_START",
            b'{"event":' * 7_000,
        ],
    )
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message") as caught:
            new_adapter().receive_text(message)
        assert caught.value.fault is Fault.CARRIER

    def test_too_big_text_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="message-too-big"):
            start(new_adapter(), channel_variables={"big": "x" * 70_000})

    def test_audio_held_before_the_start_is_limited(self) -> None:
        adapter = new_adapter()
        for _ in range(1000):
            assert adapter.receive_binary(FRAME) == ()
        with pytest.raises(CarrierError, match="media-before-start"):
            adapter.receive_binary(FRAME)


class TestAuthentication:
    carrier = Asterisk(Asterisk.Settings(**OPEN))

    def test_secret_as_basic_password_is_accepted(self) -> None:
        query = "call=c1&track=outbound&role=agent&queue=sales"
        request = upgrade("asterisk", query=query, Authorization=basic(OPEN["secret"]))
        found = start(self.carrier.upgrade(request).adapter)
        assert (found.call_id, found.roles) == ("c1", {"outbound": "agent"})
        assert found.params == {"queue": "sales"}

    @pytest.mark.parametrize("call_id", ["c1", "c2", ""])
    def test_token_in_the_dial_string_is_bound_to_its_call(self, call_id: str) -> None:
        made = self.carrier.authenticator.url_with_token(link("asterisk"), "c1", NOW_S).rpartition(
            "/"
        )[2]
        query = f"call={call_id}&tok={made}"
        admitted = self.carrier.upgrade(upgrade("asterisk", route="support", query=query))
        found = start(admitted.adapter)
        if call_id == "c1":
            admitted.authorize(found)
            return
        with pytest.raises(CarrierError, match="token-invalid"):
            admitted.authorize(found)

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [({"Authorization": basic(OPEN["secret"])}, "unknown-track"), ({}, "token-missing")],
    )
    def test_invalid_query_is_reported_only_after_authentication(
        self, headers: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(CarrierError, match=reason):
            self.carrier.upgrade(upgrade("asterisk", query="track=sideways", **headers))


shaped = st.builds(
    lambda event, changes: as_json(START | changes | {"event": event}),
    st.sampled_from(["MEDIA_START", "DTMF_END", "STATUS", "OTHER"]),
    st.dictionaries(st.sampled_from([*START, "channel_variables"]), JSON_VALUES, max_size=2),
)


@given(
    dialogue=dialogues(shaped | damaged(plain(START)) | damaged(as_json(START))),
    before=st.sampled_from([[], [(True, plain(START))]]),
)
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]], before: list[tuple[bool, bytes]]
) -> None:
    endure(new_adapter(), before + dialogue)


@given(cuts=st.lists(st.integers(0, 320), max_size=6), before=st.integers(0, 6))
def test_message_boundaries_and_early_audio_do_not_matter(cuts: list[int], before: int) -> None:
    sound = FRAME + FRAME
    edges = [0, *sorted(cuts), len(sound)]
    pieces = [sound[a:b] for a, b in itertools.pairwise(edges)]
    adapter = new_adapter()
    events: list[CarrierEvent] = []
    for count, piece in enumerate(pieces):
        if count == min(before, len(pieces) - 1):
            events += adapter.receive_text(plain(START))
        events += adapter.receive_binary(piece)
    assert joined_audio(events) == sound


def joined_audio(events: Sequence[CarrierEvent]) -> bytes:
    return b"".join(event.payload for event in events if isinstance(event, AudioReceived))
