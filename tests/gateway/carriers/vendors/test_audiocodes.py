"""AudioCodes: sessions, participants, and resumed conversations."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.events import (
    AudioLost,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    Reply,
)
from gateway.carriers.vendors.audiocodes import AudioCodes, AudioCodesAdapter
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import OPEN, SECRET, upgrade
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

BOTH = ("caller", "callee")


def text(name: Any, **fields: Any) -> bytes:
    return json.dumps({"type": name, **fields}).encode()


def initiate(**changes: Any) -> bytes:
    fields = {"conversationId": "c1", "supportedMediaFormats": ["raw/lpcm16"], "botName": "stt"}
    return text("session.initiate", **fields | changes)


def chunk(participant: Any = None, audio: Any = "AAEC") -> bytes:
    return text("userStream.chunk", audioChunk=audio, participant=participant)


def started(*participants: str) -> AudioCodesAdapter:
    adapter = AudioCodesAdapter("s1", participants or BOTH)
    adapter.receive_text(initiate())
    return adapter


def only(adapter: AudioCodesAdapter, message: bytes) -> CarrierEvent:
    [event] = adapter.receive_text(message)
    return event


def replied(event: CarrierEvent) -> Any:
    assert isinstance(event, Reply)
    return json.loads(event.message)


def begun(message: bytes, *participants: str) -> tuple[CallStarted, Any]:
    start, reply = AudioCodesAdapter("s1", participants or BOTH).receive_text(message)
    assert isinstance(start, CallStarted)
    return start, replied(reply)


class TestSession:
    @pytest.mark.parametrize(
        ("offered", "chosen", "rate_hz"),
        [
            (["raw/lpcm16"], "raw/lpcm16", 16000),
            (["raw/lpcm16_24", "raw/lpcm16"], "raw/lpcm16", 16000),
            (["raw/mulaw", 7, "raw/lpcm16_24"], "raw/lpcm16_24", 24000),
        ],
    )
    def test_preferred_offered_format_is_chosen(
        self, offered: list[Any], chosen: str, rate_hz: int
    ) -> None:
        start, reply = begun(initiate(supportedMediaFormats=offered))
        assert {form.rate_hz for form in start.tracks} == {rate_hz}
        assert reply == {"type": "session.accepted", "mediaFormat": chosen}

    @pytest.mark.parametrize(
        ("offered", "reason"),
        [
            (
                ["raw/mulaw", "raw/opus"],
                "unsupported-encoding: configure the platform to offer raw/lpcm16",
            ),
            ([], "unsupported-encoding"),
            ("raw/mulaw", "unsupported-encoding"),
        ],
    )
    def test_session_without_supported_format_is_rejected(self, offered: Any, reason: str) -> None:
        with pytest.raises(CarrierError, match=reason):
            begun(initiate(supportedMediaFormats=offered))

    def test_resumed_conversation_is_a_new_stream_of_its_call(self) -> None:
        start, reply = begun(text("session.resume", conversationId="c1"))
        assert (start.call_id, start.stream_id) == ("c1", "s1")
        assert {form.rate_hz for form in start.tracks} == {16000}
        assert reply["type"] == "session.accepted"

    def test_each_socket_has_its_own_stream_id(self) -> None:
        carrier = AudioCodes(AudioCodes.Settings(**OPEN))
        request = upgrade("audiocodes", Authorization=f"Bearer {SECRET}")
        starts = [carrier.upgrade(request).adapter.receive_text(initiate())[0] for _ in range(2)]
        assert len({start.stream_id for start in starts if isinstance(start, CallStarted)}) == 2

    @pytest.mark.parametrize("name", ["session.initiate", "session.resume"])
    def test_repeated_session_is_accepted_and_another_rejected(self, name: str) -> None:
        reply = replied(only(started(), text(name, conversationId="c1")))
        assert reply["type"] == "session.accepted"
        with pytest.raises(CarrierError, match="second-start"):
            only(started(), text(name, conversationId="c2"))

    @pytest.mark.parametrize("conversation", [None, "", ["c1"]])
    def test_session_without_conversation_id_is_rejected(self, conversation: Any) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            begun(initiate(conversationId=conversation))

    def test_number_of_the_caller_is_not_published(self) -> None:
        start, _ = begun(initiate(caller="+15550100"))
        assert start.params == {"botName": "stt"}
        assert "+15550100" not in repr(start)

    def test_session_end_stops_the_call(self) -> None:
        adapter = started()
        assert only(adapter, text("session.end", reasonCode="x")) == CallStopped()
        for message in (chunk(), initiate(), text("session.end")):
            assert only(adapter, message) == MessageIgnored("after-stop")

    def test_too_big_text_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="message-too-big"):
            begun(initiate(big="x" * 70_000))

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff"])
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            only(started(), message)

    def test_binary_message_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="binary-message"):
            started().receive_binary(b"")


class TestUserStreams:
    @pytest.mark.parametrize(
        ("participants", "tracks"),
        [
            (("caller",), ["inbound"]),
            (("callee",), ["outbound"]),
            (BOTH, ["inbound", "outbound"]),
        ],
    )
    def test_participants_become_tracks(
        self, participants: tuple[str, ...], tracks: list[str]
    ) -> None:
        start, _ = begun(initiate(), *participants)
        assert [form.track for form in start.tracks] == tracks

    @pytest.mark.parametrize(
        ("query", "tracks"),
        [("", ["inbound"]), ("participants=callee,caller", ["outbound", "inbound"])],
    )
    def test_url_names_the_participants(self, query: str, tracks: list[str]) -> None:
        carrier = AudioCodes(AudioCodes.Settings(**OPEN))
        request = upgrade("audiocodes", query=query, Authorization=f"Bearer {SECRET}")
        start, _ = carrier.upgrade(request).adapter.receive_text(initiate())
        assert isinstance(start, CallStarted)
        assert [form.track for form in start.tracks] == tracks

    @pytest.mark.parametrize("participants", ["supervisor", "caller,", ","])
    def test_unknown_participants_in_the_url_are_rejected(self, participants: str) -> None:
        carrier = AudioCodes(AudioCodes.Settings(**OPEN))
        query = f"participants={participants}"
        with pytest.raises(CarrierError, match="unknown-track: name the participants"):
            carrier.upgrade(upgrade("audiocodes", query=query, Authorization=f"Bearer {SECRET}"))

    @pytest.mark.parametrize(("what", "done"), [("start", "started"), ("stop", "stopped")])
    def test_user_stream_start_and_stop_are_confirmed(self, what: str, done: str) -> None:
        reply = replied(only(started(), text(f"userStream.{what}", participant="callee")))
        assert reply == {"type": f"userStream.{done}", "participant": "callee"}
        reply = replied(only(started(), text(f"userStream.{what}")))
        assert reply == {"type": f"userStream.{done}"}

    @pytest.mark.parametrize(
        ("participant", "track"),
        [("caller", "inbound"), ("callee", "outbound"), (None, "inbound"), ("", "inbound")],
    )
    def test_chunk_is_assigned_to_its_participant(
        self, participant: str | None, track: str
    ) -> None:
        expected = AudioReceived(track, b"\0\1\2", None, None)
        assert only(started(), chunk(participant)) == expected
        assert only(started(), chunk(participant, "AA\nEC")) == expected

    @pytest.mark.parametrize(
        ("audio", "kind"),
        [
            ("%" * 4000, "undecodable-payload"),
            (None, "malformed-media"),
            (7, "malformed-media"),
            (["AAEC"], "malformed-media"),
        ],
    )
    def test_undecodable_audio_is_lost(self, audio: Any, kind: str) -> None:
        lost, why = started().receive_text(chunk(audio=audio))
        size = 3000 if isinstance(audio, str) else 640  # estimated by its text, or 20 ms
        assert lost == AudioLost("inbound", bytes(size), None, None)
        assert why == MessageIgnored(kind)

    @pytest.mark.parametrize("name", ["start", "chunk", "stop"])
    @pytest.mark.parametrize("participant", ["callee", "supervisor", 7])
    def test_user_stream_of_an_unnamed_participant_is_rejected(
        self, name: str, participant: Any
    ) -> None:
        message = text(f"userStream.{name}", participant=participant, audioChunk="AAEC")
        with pytest.raises(CarrierError, match=r"unknown-track: .*participants=caller,callee"):
            only(started("caller"), message)

    def test_user_streams_before_the_session_are_held(self) -> None:
        adapter = AudioCodesAdapter("s1", BOTH)
        for early in (text("userStream.start"), chunk(), text("userStream.stop")):
            assert adapter.receive_text(early) == ()
        start, *events = adapter.receive_text(initiate())
        assert isinstance(start, CallStarted)
        assert [type(event) for event in events] == [Reply, Reply, AudioReceived, Reply]


class TestActivities:
    def test_dtmf_activities_are_reported_without_the_digit(self) -> None:
        keys = [{"type": "event", "name": name, "value": "7"} for name in ("DTMF", "dtmf")]
        events = started().receive_text(text("activities", activities=[*keys, {"name": "start"}]))
        assert [*events] == [DtmfReceived(None)] * 2
        assert "7" not in repr(events)

    @pytest.mark.parametrize(
        "activities", [[], [{"name": "start"}], [7, {"name": []}], None, {}, "start"]
    )
    def test_other_activities_are_ignored(self, activities: Any) -> None:
        message = text("activities", activities=activities)
        assert only(started(), message) == MessageIgnored("activities")

    @pytest.mark.parametrize("name", ["userStream.sparkle", 7, None, []])
    def test_unknown_type_is_ignored(self, name: Any) -> None:
        assert only(started(), text(name)) == MessageIgnored("unknown")

    def test_connection_validation_is_confirmed(self) -> None:
        adapter = AudioCodesAdapter("s1", ["caller"])
        reply = only(adapter, text("connection.validate"))
        assert isinstance(reply, Reply)
        assert json.loads(reply.message) == {"type": "connection.validated", "success": True}


names = st.sampled_from(
    [
        *("session.initiate", "session.resume", "session.end", "activities"),
        *("userStream.start", "userStream.chunk", "userStream.stop"),
    ]
)
fields = st.sampled_from(
    ["conversationId", "supportedMediaFormats", "participant", "audioChunk", "activities"]
)
shaped = st.builds(
    lambda name, given: text(name, **{"conversationId": "c1", **given}),
    names,
    st.dictionaries(fields, JSON_VALUES | st.sampled_from(["caller", "AAEC"]), max_size=2),
)


@given(
    dialogue=dialogues(shaped | damaged(initiate()) | damaged(chunk())),
    before=st.sampled_from([[], [(True, initiate())]]),
)
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]], before: list[tuple[bool, bytes]]
) -> None:
    endure(AudioCodesAdapter("s1", BOTH), before + dialogue)
