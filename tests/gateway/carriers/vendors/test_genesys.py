"""AudioHook: cases that the recordings do not cover."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import (
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    Reply,
    StreamResumed,
)
from gateway.carriers.vendors.genesys.adapter import AudioHookAdapter
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.errors import CarrierError
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

SESSION = "e160e428-53e2-487c-977d-96989bf5c99d"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
CONVERSATION = "090eaa2f-72fa-480a-83e0-8667ff89c0ec"
NIL_UUID = "00000000-0000-0000-0000-000000000000"


def offer(*channels: Any, **changes: Any) -> dict[str, Any]:
    return {"type": "audio", "format": "PCMU", "channels": list(channels), "rate": 8000} | changes


STEREO = offer("external", "internal")
CUSTOMER = offer("external")
AGENT = offer("internal")


def open_(*media: Any, **changes: Any) -> dict[str, Any]:
    return {
        "organizationId": ORGANIZATION,
        "conversationId": CONVERSATION,
        "participant": {"id": "p", "ani": "+15555551234", "aniName": "Doe", "dnis": "+18005556789"},
        "media": list(media) or [STEREO, CUSTOMER, AGENT],
    } | changes


class Client:
    """Sends messages, numbered like those of AudioHook's client."""

    def __init__(self) -> None:
        self.adapter = AudioHookAdapter(SESSION, ORGANIZATION, send_transcripts=True)
        self.seq = 0

    def spell(self, type_: str, parameters: Any = None, **changes: Any) -> bytes:
        self.seq += 1
        message = {
            "version": "2",
            "id": SESSION,
            "type": type_,
            "seq": self.seq,
            "serverseq": 0,
            "position": "PT0S",
            "parameters": {} if parameters is None else parameters,
        }
        return json.dumps(message | changes).encode()

    def send_text(self, type_: str, parameters: Any = None, **changes: Any) -> list[CarrierEvent]:
        return list(self.adapter.receive_text(self.spell(type_, parameters, **changes)))

    def send_audio(self, audio: bytes) -> list[CarrierEvent]:
        return list(self.adapter.receive_binary(audio))


def in_call(*media: Any) -> Client:
    client = Client()
    client.send_text("open", open_(*media))
    return client


def started(events: list[CarrierEvent]) -> CallStarted:
    [start] = [event for event in events if isinstance(event, CallStarted)]
    return start


def read(reply: CarrierEvent) -> dict[str, Any]:
    assert isinstance(reply, Reply)
    message: dict[str, Any] = json.loads(reply.message)
    return message


class TestOpen:
    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            ([STEREO, CUSTOMER, AGENT], 0),
            ([CUSTOMER, AGENT, STEREO], 2),
            ([AGENT, CUSTOMER], 0),
            ([offer("internal", "external"), STEREO], 0),
            ([offer("external", "internal", format="L16"), AGENT], 1),
            ([offer("external", rate=16000), AGENT], 1),
            ([offer("external", "external"), AGENT], 1),
            ([offer("external", "supervisor"), AGENT], 1),
            ([offer(), AGENT], 1),
            ([offer(type="video"), AGENT], 1),
            ([7, None, "PCMU", {}, AGENT], 4),
            ([offer("internal", codecs=["x", {"ptime": 20.5}], id=10**30)], 0),
        ],
    )
    def test_chosen_media_are_returned_unchanged(self, offered: list[Any], chosen: int) -> None:
        reply, start = Client().send_text("open", open_(*offered))
        opened = read(reply)
        assert (opened["type"], opened["seq"], opened["clientseq"]) == ("opened", 1, 1)
        assert opened["parameters"] == {"startPaused": False, "media": [offered[chosen]]}
        assert isinstance(start, CallStarted)
        assert start.tracks == tuple(
            TrackFormat(channel, Encoding.PCMU, 8000) for channel in offered[chosen]["channels"]
        )

    def test_channels_follow_the_order_of_the_chosen_media(self) -> None:
        client = in_call(offer("internal", "external"))
        assert client.send_audio(b"\x01\x02\x03\x04") == [
            AudioReceived("internal", b"\x01\x03", 0, None),
            AudioReceived("external", b"\x02\x04", 0, None),
        ]

    def test_custom_and_call_parameters_are_published(self) -> None:
        parameters = open_(
            customConfig={"route": "sales", "n": 1, "deep": {"x": "y"}, "language": "tlh"},
            inputVariables={"tier": "gold"},
            language="en-US",
            continuedSessions=[{"id": "s1", "serverseq": 3, "clientseq": 4}, {"id": "s2"}],
        )
        start = started(Client().send_text("open", parameters))
        assert start.params == {
            "route": "sales",
            "tier": "gold",
            "participant_id": "p",
            "language": "en-US",
            "continued_sessions": "s1 s2",
        }
        assert start.called == "+18005556789"
        assert start.roles == {"external": "customer", "internal": "agent"}
        assert "5555551234" not in repr(start)
        assert "8005556789" not in repr(start)

    @pytest.mark.parametrize(
        "name", ["participant", "language", "customConfig", "inputVariables", "continuedSessions"]
    )
    def test_null_fields_count_as_missing(self, name: str) -> None:
        assert started(Client().send_text("open", open_(**{name: None}))).call_id == CONVERSATION

    @pytest.mark.parametrize(
        "changes",
        [
            {"participant": []},
            {"participant": "x"},
            {"participant": {"id": 7, "dnis": ["x"]}},
            {"language": 7},
            {"customConfig": {"x": {"y": "\ud83d"}}},
            {"inputVariables": [1]},
            {"continuedSessions": "s1"},
            {"continuedSessions": [7, {"id": None}, {"id": {}}]},
            {"media": [offer("external", rate="8000", format="pcmu")]},
            {"media": [offer("external", name="\ud83d")]},
            {"media": [offer("external"), offer("external", name="\ud83d")]},
        ],
    )
    def test_optional_fields_of_a_wrong_type_do_not_reject_the_call(
        self, changes: dict[str, Any]
    ) -> None:
        events = Client().send_text("open", open_(**changes))
        assert started(events).call_id == CONVERSATION

    def test_conversation_id_may_be_a_number_or_long(self) -> None:
        for conversation, call_id in ((7, "7"), ("x" * 300, "x" * 300)):
            events = Client().send_text("open", open_(conversationId=conversation))
            assert started(events).call_id == call_id

    @pytest.mark.parametrize("changes", [{"version": 2}, {"serverseq": None}, {"x": "\ud83d"}])
    def test_envelope_variants_are_accepted(self, changes: dict[str, Any]) -> None:
        events = Client().send_text("open", open_(), **changes)
        assert started(events).call_id == CONVERSATION

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"organizationId": NIL_UUID}, "identity-mismatch"),
            ({"media": []}, "unsupported-encoding"),
            ({"media": [offer("external", format="OPUS")]}, "unsupported-encoding"),
            ({"media": None}, "malformed-message"),
            ({"conversationId": ""}, "malformed-message"),
            ({"conversationId": None}, "malformed-message"),
        ],
    )
    def test_invalid_open_is_rejected(self, changes: dict[str, Any], reason: str) -> None:
        with pytest.raises(CarrierError) as caught:
            Client().send_text("open", open_(**changes))
        assert caught.value.reason == reason

    def test_repeated_open_is_ignored(self) -> None:
        assert in_call().send_text("open", open_()) == [MessageIgnored("repeated-start")]

    def test_probe_is_answered_without_starting_a_call(self) -> None:
        client = Client()
        [opened] = client.send_text("open", open_(conversationId=NIL_UUID))
        assert read(opened)["parameters"]["media"] == [STEREO]
        assert client.send_audio(bytes(320)) == [MessageIgnored("unwanted-audio")]
        assert client.send_text("close", {"reason": "end"}) == [CallStopped()]
        [closed] = client.adapter.farewell("carrier-stopped")
        assert read(closed)["type"] == "closed"

    def test_a_probe_may_offer_no_media(self) -> None:
        client = Client()
        [opened] = client.send_text("open", open_(conversationId=NIL_UUID, media=[]))
        assert read(opened)["parameters"]["media"] == []
        assert client.send_audio(bytes(320)) == [MessageIgnored("unwanted-audio")]

    @pytest.mark.parametrize("custom", ["", "queue=sales", None, []])
    def test_custom_config_that_is_not_an_object_is_ignored(self, custom: object) -> None:
        events = Client().send_text("open", open_(customConfig=custom))
        [start] = [event for event in events if isinstance(event, CallStarted)]
        assert "queue" not in start.params


class TestSequence:
    @pytest.mark.parametrize("changes", [{"seq": "2", "serverseq": "1"}, {"serverseq": 0}])
    def test_numbers_may_be_strings_and_lag_behind(self, changes: dict[str, Any]) -> None:
        [pong] = in_call().send_text("ping", **changes)
        assert (read(pong)["seq"], read(pong)["clientseq"]) == (2, 2)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"seq": 1}, "out-of-sequence"),
            ({"seq": 3}, "out-of-sequence"),
            ({"seq": -2}, "out-of-sequence"),
            ({"seq": 10**30}, "out-of-sequence"),
            ({"serverseq": 2}, "out-of-sequence"),
            ({"id": NIL_UUID}, "identity-mismatch"),
            ({"version": "3"}, "malformed-message"),
            ({"seq": None}, "malformed-message"),
            ({"type": 7}, "malformed-message"),
        ],
    )
    def test_wrong_sequence_or_identity_is_rejected(
        self, changes: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(CarrierError) as caught:
            in_call().send_text("ping", **changes)
        assert caught.value.reason == reason

    def test_messages_without_reply_are_numbered(self) -> None:
        client = in_call()
        assert client.send_text("sparkle", {"x": 1}) == [MessageIgnored("unknown")]
        assert client.send_text("playback_started") == [MessageIgnored("playback_started")]
        assert client.send_text("dtmf", {"digit": "7"}) == [DtmfReceived(None)]
        [pong] = client.send_text("ping")
        assert (read(pong)["seq"], read(pong)["clientseq"]) == (2, 5)


class TestPosition:
    def test_position_counts_samples_independently_of_message_boundaries(self) -> None:
        client = in_call()
        sizes = [3, 0, 1597, 1, 3199]
        audio = [event for size in sizes for event in client.send_audio(bytes(size))]
        external = [e for e in audio if isinstance(e, AudioReceived) and e.track == "external"]
        assert [(len(e.payload), e.timestamp_ms) for e in external] == [
            (1, 0),
            (0, 0),
            (799, 0),
            (0, 100),
            (1600, 100),
        ]

    @pytest.mark.parametrize(
        ("start", "discarded", "timestamp_ms"),
        [
            ("PT0.2S", "PT8S", 8200),
            ("PT.2S", "PT8.S", 8200),
            ("PT0.2S", "PT0S", 200),
            ("PT0.300S", "PT0.5S", 800),  # the announced end is later than the received audio
            ("PT0S", "PT0.1S", 200),  # the received audio is later than the announced end
        ],
    )
    @pytest.mark.parametrize("type_", ["resumed", "discarded"])
    def test_discarded_audio_advances_the_position(
        self, type_: str, start: str, discarded: str, timestamp_ms: int
    ) -> None:
        client = in_call(CUSTOMER)
        client.send_audio(bytes(1600))
        events = client.send_text(type_, {"start": start, "discarded": discarded})
        assert events == ([StreamResumed(timestamp_ms)] if type_ == "resumed" else [])
        assert client.send_audio(b"\xff") == [
            AudioReceived("external", b"\xff", timestamp_ms, None)
        ]

    @pytest.mark.parametrize(
        "duration", ["", "PTS", "PT-1S", "PT1e9S", "PT1S\n", "8", 8, None, "PT9999999999S", "PT1M"]
    )
    def test_invalid_duration_is_rejected(self, duration: Any) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            in_call().send_text("resumed", {"start": "PT0S", "discarded": duration})

    def test_audio_during_a_pause_is_ignored(self) -> None:
        client = in_call(CUSTOMER)
        client.send_text("paused")
        assert client.send_audio(bytes(1600)) == [MessageIgnored("unwanted-audio")]
        client.send_text("resumed", {"start": "PT0S", "discarded": "PT0.2S"})
        assert client.send_audio(b"\xff") == [AudioReceived("external", b"\xff", 200, None)]


class TestEnd:
    @pytest.mark.parametrize(
        ("reason", "parameters"),
        [
            ("max-duration", {"reason": "completed", "info": "max-duration"}),
            ("draining", {"reason": "error", "info": "draining"}),
            ("out-of-sequence", {"reason": "error", "info": "out-of-sequence"}),
            ("identity-mismatch", {"reason": "unauthorized", "info": "identity-mismatch"}),
        ],
    )
    def test_farewell_before_close_disconnects(
        self, reason: str, parameters: dict[str, str]
    ) -> None:
        [reply] = in_call().adapter.farewell(reason)
        assert read(reply)["type"] == "disconnect"
        assert read(reply)["parameters"] == parameters

    def test_close_after_disconnect_is_answered_with_closed(self) -> None:
        client = in_call()
        assert not client.adapter.awaits_answer
        client.adapter.farewell("draining")
        assert client.adapter.awaits_answer
        client.send_audio(bytes(320))
        [closed] = client.send_text("close", {"reason": "disconnect"})
        assert read(closed)["type"] == "closed"
        assert not client.adapter.awaits_answer

    def test_messages_after_close_are_ignored(self) -> None:
        client = in_call()
        assert client.send_text("close", {"reason": "end"}) == [CallStopped()]
        assert client.send_text("close") == [MessageIgnored("after-stop")]
        with pytest.raises(CarrierError, match="out-of-sequence"):
            client.send_audio(bytes(320))

    @pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff", b"{}", b'{"version":' * 5000])
    def test_malformed_text_is_rejected(self, message: bytes) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            in_call().adapter.receive_text(message)

    def test_a_text_may_have_65535_characters(self) -> None:
        client = in_call()
        message = client.spell("sparkle")
        longest = message.decode().ljust(65_535, "\n").encode()
        with pytest.raises(CarrierError, match="message-too-big"):
            client.adapter.receive_text(longest + b" ")
        assert client.adapter.receive_text(longest) == (MessageIgnored("unknown"),)


class TestTranscript:
    def test_final_transcript_is_sent_as_an_event(self) -> None:
        client = in_call()
        [reply] = client.adapter.transcript("internal", 3, 'say "hé"', start_ms=1200, end_ms=2600)
        message = read(reply)
        assert (message["type"], message["seq"], message["clientseq"]) == ("event", 2, 1)
        [entity] = message["parameters"]["entities"]
        assert entity["type"] == "transcript"
        assert uuid.UUID(entity["data"].pop("id")).version == 5
        assert entity["data"] == {
            "channelId": 1,
            "isFinal": True,
            "offset": "PT1.2S",
            "duration": "PT1.4S",
            "alternatives": [
                {
                    "confidence": 1.0,
                    "interpretations": [
                        {"type": "display", "transcript": 'say "hé"', "tokens": []}
                    ],
                }
            ],
        }
        assert "say" not in repr(reply)

    def test_channel_id_follows_the_chosen_media(self) -> None:
        client = in_call(AGENT)
        [reply] = client.adapter.transcript("internal", 1, "x", start_ms=0, end_ms=0)
        assert read(reply)["parameters"]["entities"][0]["data"]["channelId"] == 0

    def test_no_transcript_is_sent_after_the_farewell(self) -> None:
        client = in_call()
        client.send_text("close", {"reason": "end"})
        for expected in (1, 0):
            replies = client.adapter.transcript("internal", 1, "x", start_ms=0, end_ms=0)
            assert len(replies) == expected
            client.adapter.farewell("carrier-stopped")

    def test_no_transcript_is_sent_unless_configured(self) -> None:
        adapter = AudioHookAdapter(SESSION, ORGANIZATION)
        assert adapter.transcript("internal", 1, "x", start_ms=0, end_ms=0) == ()

    def test_transcript_ids_are_unique_and_stable(self) -> None:
        def id_of(track: str, segment: int) -> str:
            [reply] = in_call().adapter.transcript(track, segment, "x", start_ms=0, end_ms=0)
            found: str = read(reply)["parameters"]["entities"][0]["data"]["id"]
            return found

        assert id_of("external", 1) == id_of("external", 1)
        assert len({id_of("external", 1), id_of("external", 2), id_of("internal", 1)}) == 3


class TestSettings:
    @pytest.mark.parametrize(
        "api_keys",
        [
            "hush",
            "[]",
            "{}",
            '{"hush": 1}',
            '{"hush": "hush"}',
            '{"hush": "aHVzaC1odXNoLWh1c2g"}',  # without padding
            '{"hush": "aHVzaA=="}',
            '{"": "aHVzaC1odXNoLWh1c2gtaHVzaA=="}',
        ],
    )
    def test_invalid_api_keys_are_rejected_without_quoting_them(self, api_keys: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Genesys.Settings(_env_file=None, api_keys=api_keys)
        assert "hush" not in str(caught.value)
        assert "aHVza" not in str(caught.value)

    def test_settings_are_read_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWAY_GENESYS_API_KEYS", json.dumps({"key": "aHVz" * 8}))
        monkeypatch.setenv("GATEWAY_GENESYS_ORGANIZATION_IDS", "one, two")
        settings = Genesys.Settings(_env_file=None)
        assert settings.organization_ids == ("one", "two")
        assert "aHVz" not in repr(settings)
        assert Genesys(settings).missing_setting is None

    def test_carrier_is_disabled_without_api_keys(self) -> None:
        closed = Genesys(Genesys.Settings(_env_file=None)).missing_setting
        assert closed == "GATEWAY_GENESYS_API_KEYS"


TYPES = ["open", "ping", "paused", "resumed", "discarded", "update", "error", "dtmf", "close", "x"]
PARAMETERS = (
    JSON_VALUES
    | st.just(open_())
    | st.builds(
        lambda value, name: open_(**{name: value}), JSON_VALUES, st.sampled_from([*open_()])
    )
    | st.fixed_dictionaries({"start": st.just("PT1S"), "discarded": JSON_VALUES | st.just("PT9S")})
)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[bool, bytes]]:
    """Generate dialogues whose texts have valid sequence numbers."""
    client = Client()
    dialogue = [(True, client.spell("open", open_()))] if draw(st.booleans()) else []
    for is_text in draw(st.lists(st.booleans(), max_size=8)):
        if is_text:
            message = client.spell(draw(st.sampled_from(TYPES)), draw(PARAMETERS))
            dialogue.append((True, draw(damaged(message) | st.just(message) | st.just(message))))
        else:
            dialogue.append((False, draw(st.binary(max_size=9))))
    return dialogue


@given(conversations() | dialogues(st.builds(Client().spell, st.sampled_from(TYPES), PARAMETERS)))
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]],
) -> None:
    adapter = AudioHookAdapter(SESSION, ORGANIZATION)
    endure(adapter, dialogue)
    assert len(adapter.farewell("terminated")) == 1
