"""Azure Communication Services: keys in any case, wall-clock times, and participants."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.carriers.events import (
    AudioHeld,
    AudioLost,
    AudioReceived,
    CallStarted,
    CarrierEvent,
    MessageIgnored,
)
from gateway.carriers.vendors.acs import Acs, AcsAdapter
from gateway.errors import CarrierError
from tests.gateway.carriers.asking import NOW_S, OPEN, link, upgrade_of
from tests.gateway.carriers.hostile import JSON_VALUES, damaged, dialogues, endure

METADATA = {"subscriptionId": "s1", "encoding": "PCM", "sampleRate": 16000, "channels": 1}
UNMIXED = {"customer": "4:", "agent": "8:acs:"}
NOON = "2024-11-15T12:00:00Z"


def start(**changes: Any) -> bytes:
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": METADATA | changes}).encode()


def audio(participant: Any = None, timestamp: Any = NOON, data: Any = "AAEC") -> bytes:
    frame = {"participantRawID": participant, "timestamp": timestamp, "data": data}
    return json.dumps({"kind": "AudioData", "audioData": frame}).encode()


def respelt(message: bytes, spell: Callable[[str], str]) -> bytes:
    """Change the case of a message's keys."""

    def each(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {spell(name): each(inner) for name, inner in value.items()}

    return json.dumps(each(json.loads(message))).encode()


def made(query: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> AcsAdapter:
    return AcsAdapter(CIMultiDict(headers or {}), query or {})


def started(query: dict[str, str] | None = None) -> AcsAdapter:
    adapter = made(query)
    adapter.receive_text(start())
    return adapter


def only(adapter: AcsAdapter, message: bytes) -> CarrierEvent:
    [event] = adapter.receive_text(message)
    return event


def begun(adapter: AcsAdapter, **changes: Any) -> CallStarted:
    event = only(adapter, start(**changes))
    assert isinstance(event, CallStarted)
    return event


def only_audio(adapter: AcsAdapter, message: bytes) -> AudioReceived:
    event = only(adapter, message)
    assert isinstance(event, AudioReceived)
    return event


class TestStart:
    @pytest.mark.parametrize(
        ("headers", "call_id", "params"),
        [
            (
                {"X-MS-Call-Correlation-Id": "c1", "x-ms-call-connection-id": "n1"},
                "c1",
                {"callConnectionId": "n1"},
            ),
            ({"x-ms-call-connection-id": "n1"}, "n1", {"callConnectionId": "n1"}),
            ({}, "s1", {}),
        ],
    )
    def test_call_id_comes_from_the_upgrade_headers(
        self, headers: dict[str, str], call_id: str, params: dict[str, str]
    ) -> None:
        event = begun(made(headers=headers))
        assert (event.call_id, event.stream_id, event.params) == (call_id, "s1", params)

    @pytest.mark.parametrize("rate", [16000, 24000, "24000"])
    def test_supported_rates_are_accepted(self, rate: Any) -> None:
        form = TrackFormat("mix", Encoding.L16LE, int(rate))
        assert begun(made(), sampleRate=rate).tracks == (form,)

    @pytest.mark.parametrize(
        "changes",
        [{"sampleRate": 48000}, {"sampleRate": None}, {"encoding": "Opus"}, {"channels": 2}],
    )
    def test_unsupported_format_is_rejected_with_a_hint(self, changes: dict[str, Any]) -> None:
        with pytest.raises(CarrierError, match="unsupported-encoding: set audioFormat"):
            only(made(), start(**changes))

    @pytest.mark.parametrize("subscription", [None, "", ["s1"], True])
    def test_start_without_subscription_id_is_rejected(self, subscription: Any) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            only(made(), start(subscriptionId=subscription))

    def test_repeated_start_is_ignored_and_another_rejected(self) -> None:
        assert only(started(), start()) == MessageIgnored("repeated-start")
        with pytest.raises(CarrierError, match="second-start"):
            only(started(), start(subscriptionId="s2"))

    def test_too_big_start_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="message-too-big"):
            only(made(), start(big="x" * 70_000))

    def test_binary_message_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="binary-message"):
            started().receive_binary(b"")


class TestAudio:
    @pytest.mark.parametrize("spell", [str, str.lower, str.upper, str.title])
    def test_keys_may_have_any_case(self, spell: Callable[[str], str]) -> None:
        adapter = made(UNMIXED)
        only(adapter, respelt(start(), spell))
        event = only_audio(adapter, respelt(audio("4:1"), spell))
        assert event == AudioReceived("inbound", b"\0\1\2", 0, None)

    @pytest.mark.parametrize(
        ("usual", "other"),
        [(b"participantRawID", b"participantRawId"), (b"timestamp", b"Timestamp")],
    )
    def test_single_key_may_have_another_case(self, usual: bytes, other: bytes) -> None:
        adapter = started(UNMIXED)
        only_audio(adapter, audio("8:acs:a"))
        message = audio("4:1", "2024-11-15T12:00:00.02Z").replace(usual, other)
        assert only_audio(adapter, message) == AudioReceived("inbound", b"\0\1\2", 20, None)

    def test_mixed_audio_needs_no_participant(self) -> None:
        adapter = started()
        for message in (audio(), audio().replace(b'"participantRawID": null, ', b"")):
            assert only_audio(adapter, message).track == "mix"

    @pytest.mark.parametrize(
        ("timestamp", "expected_ms"),
        [
            ("2024-11-15T12:00:00.020Z", 20),
            ("2024-11-15T12:00:00.0200000Z", 20),
            ("2024-11-15T12:00:00.02", 20),
            ("2024-11-15T13:00:00.02+01:00", 20),
            ("2024-11-15T11:59:59.980Z", 0),
            ("noon", 0),
            ("", 0),
            (None, 0),
            (1_731_672_000, 0),
            ({}, 0),
        ],
    )
    def test_times_are_relative_to_the_first_frame(self, timestamp: Any, expected_ms: int) -> None:
        adapter = started(UNMIXED)
        assert only_audio(adapter, audio("4:+1", timestamp="?")).timestamp_ms == 0
        assert only_audio(adapter, audio("4:+1")).timestamp_ms == 0
        assert (
            only_audio(adapter, audio("8:acs:1", timestamp=timestamp)).timestamp_ms == expected_ms
        )

    def test_frame_is_held_after_a_rise_of_the_time(self) -> None:
        adapter = started()
        only_audio(adapter, audio())
        later = audio(timestamp="2024-11-15T12:00:05Z")
        assert adapter.receive_text(later) == (AudioHeld("mix"),)
        assert [frame.timestamp_ms for frame in adapter.flush_held("mix")] == [5000]

    @pytest.mark.parametrize("data", ["AAECAwQ", "AAEC\nAwQ="])
    def test_base64_variants_are_decoded(self, data: str) -> None:
        assert only_audio(started(), audio(data=data)).payload == bytes(range(5))

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            (audio(data="%%%%"), "undecodable-payload"),
            (audio(data=7), "malformed-media"),
            (audio(participant=7), "malformed-media"),
            (audio(data=None), "malformed-media"),
            (audio()[:-9], "malformed-media"),
        ],
    )
    def test_undecodable_audio_is_lost(self, message: bytes, kind: str) -> None:
        lost, why = started().receive_text(message)
        assert lost == AudioLost("mix", bytes(640), 0, None)
        assert why == MessageIgnored(kind)

    @pytest.mark.parametrize("depth", [10, 900, 5000, 100_000])
    def test_deeply_nested_message_gives_events_or_a_documented_error(self, depth: int) -> None:
        """Symptom to prevent: a message passes the parser, but is too deep for later steps."""
        message = b'{"kind":"x","a":' + b'{"a":' * depth + b"1" + b"}" * (depth + 1)
        endure(started(), [(True, message)])


class TestParticipants:
    def test_mixed_audio_is_one_track(self) -> None:
        event = begun(made())
        assert ([form.track for form in event.tracks], event.roles) == (["mix"], {"mix": "mix"})
        assert only_audio(started(), audio()).track == "mix"

    def test_unmixed_audio_is_assigned_to_participants_in_the_url(self) -> None:
        adapter = made(UNMIXED)
        event = begun(adapter)
        assert [form.track for form in event.tracks] == ["inbound", "outbound"]
        assert event.roles == {"inbound": "customer", "outbound": "agent"}
        assert only_audio(adapter, audio("8:acs:a")).track == "outbound"
        assert only_audio(adapter, audio("4:+15550100")).track == "inbound"
        assert only_audio(adapter, audio("8:acs:a")).track == "outbound"

    def test_url_may_name_one_participant(self) -> None:
        adapter = made({"agent": "8:acs:a"})
        assert [form.track for form in begun(adapter).tracks] == ["outbound"]
        assert only_audio(adapter, audio("8:acs:a")).track == "outbound"

    @pytest.mark.parametrize("other", ["8:acs:b", "28:bot", "8"])
    def test_other_participants_are_ignored(self, other: str) -> None:
        adapter = started(UNMIXED)
        only_audio(adapter, audio("8:acs:a"))
        assert only(adapter, audio(other)) == MessageIgnored("other-participant")

    @pytest.mark.parametrize(
        ("query", "participants"), [({}, ["8:acs:a", "8:acs:b"]), (UNMIXED, [None])]
    )
    def test_unexpected_mixed_or_unmixed_audio_is_rejected_with_a_hint(
        self, query: dict[str, str], participants: list[str | None]
    ) -> None:
        adapter = started(query)
        *before, last = participants
        for participant in before:
            only_audio(adapter, audio(participant))
        with pytest.raises(CarrierError, match="unknown-track: set audioChannelType"):
            only(adapter, audio(last))


@pytest.mark.parametrize(("call_id", "is_admitted"), [("c1", True), ("c2", False)])
def test_minted_url_is_bound_to_its_call(call_id: str, is_admitted: bool) -> None:
    carrier = Acs(Acs.Settings(**OPEN))
    request = upgrade_of(
        carrier.authenticator.url_with_token(link("acs"), "c1", NOW_S) + "?customer=4:"
    )
    request.headers["x-ms-call-correlation-id"] = call_id  # type: ignore[index]
    request.headers["Authorization"] = "Bearer eyJ.a.b"  # type: ignore[index]
    admitted = carrier.upgrade(request)
    [event] = admitted.adapter.receive_text(start())
    assert isinstance(event, CallStarted)
    assert [form.track for form in event.tracks] == ["inbound"]
    if is_admitted:
        admitted.authorize(event)
        return
    with pytest.raises(CarrierError, match="token-invalid"):
        admitted.authorize(event)


shaped = st.builds(
    lambda name, value: start(**{name: value}), st.sampled_from([*METADATA]), JSON_VALUES
) | st.builds(
    audio,
    JSON_VALUES | st.sampled_from(["4:1", "8:acs:a"]),
    JSON_VALUES | st.datetimes().map(str),
    JSON_VALUES | st.just("AAEC"),
)


@given(
    dialogue=dialogues(shaped | damaged(start()) | damaged(audio())),
    before=st.sampled_from([[], [(True, start())]]),
    query=st.sampled_from([{}, UNMIXED]),
)
def test_arbitrary_messages_give_events_or_a_documented_error(
    dialogue: list[tuple[bool, bytes]], before: list[tuple[bool, bytes]], query: dict[str, str]
) -> None:
    endure(made(query), before + dialogue)
