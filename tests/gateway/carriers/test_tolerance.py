"""Deviating start messages: spellings, types, invalid characters; and the cost of parsing."""

import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given

from gateway.carriers.events import CallStarted, MessageIgnored
from gateway.carriers.protocols.dialect import find, read
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.protocols.tolerant import mend, scrap
from gateway.carriers.vendors import exotel, freeswitch, telnyx, twilio
from gateway.errors import CarrierError
from gateway.transcript.encode import flatten, pack_event
from gateway.transcript.events import StreamStarted
from tests.gateway.carriers.hostile import JSON_VALUES
from tests.gateway.carriers.protocols.test_early_media import (
    SENDERS,
    Sender,
    send_text,
    twilio_media,
    twilio_start,
)

HALF: Final = "\ud83d"
OBJECTS: Final = {name: each for name, each in SENDERS.items() if isinstance(each.start, dict)}
# AudioHook has only one sender, whose envelope is strictly defined.
CLONED: Final = {name: each for name, each in OBJECTS.items() if name != "genesys"}

of_every_carrier = pytest.mark.parametrize("sender", OBJECTS.values(), ids=list(OBJECTS))


def snake(name: str) -> str:
    return re.sub("(?<=[a-z])([A-Z])", lambda found: "_" + found[1].lower(), name)


def camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def pascal(name: str) -> str:
    return name[:1].upper() + camel(name[1:])


def respelt(value: Any, spell: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [respelt(each, spell) for each in value]
    if isinstance(value, dict):
        return {spell(name): respelt(each, spell) for name, each in value.items()}
    return value


def with_extra(start: Any, name: str, value: Any) -> dict[str, Any]:
    """Add an unneeded value to every object."""
    return {
        key: with_extra(each, name, value) if isinstance(each, dict) else each
        for key, each in start.items()
    } | {name: value}


def begun(sender: Sender, message: object) -> CallStarted:
    [start] = [e for e in send_text(sender.adapter(), message) if isinstance(e, CallStarted)]
    return start


@pytest.mark.parametrize("sender", CLONED.values(), ids=list(CLONED))
@pytest.mark.parametrize("spell", [snake, camel, pascal, str.lower, str.upper])
def test_start_fields_are_recognized_in_other_spellings(
    sender: Sender, spell: Callable[[str], str]
) -> None:
    """Symptom: a compatible clone that writes `call_sid` for `callSid` was rejected."""
    expected, found = begun(sender, sender.start), begun(sender, respelt(sender.start, spell))
    assert (found.call_id, found.tracks) == (expected.call_id, expected.tracks)


@of_every_carrier
@pytest.mark.parametrize("name", ["extra", "customParameters", "metadata2", "language", HALF])
@pytest.mark.parametrize("value", [HALF, f"a{HALF}b", None, 7, 1.5, True, [HALF], {"x": [HALF]}])
def test_unneeded_values_do_not_reject_the_call(sender: Sender, name: str, value: Any) -> None:
    """Symptom: a lone surrogate in a custom parameter rejected the whole call."""
    expected = begun(sender, sender.start)
    found = begun(sender, with_extra(sender.start, name, value))
    assert (found.call_id, found.tracks) == (expected.call_id, expected.tracks)
    started = StreamStarted("x", (), found.public_params)
    assert pack_event(flatten(started, 0.0, 0.0))


@of_every_carrier
def test_invalid_utf8_does_not_reject_the_call(sender: Sender) -> None:
    start = with_extra(sender.start, "extra", "MARK")
    text = json.dumps(start).encode().replace(b"MARK", b"\xff\x1f")
    for message in (text, b"\xef\xbb\xbf" + text, text.replace(b'"\xff\x1f"', b"NaN")):
        events = sender.adapter().receive_text(message)
        assert any(isinstance(event, CallStarted) for event in events)


def start_of(dialect: Any, message: object) -> CallStarted:
    return begun(Sender(lambda: JsonMediaAdapter(dialect), message), message)


def changed(changes: dict[str, Any], **body: Any) -> dict[str, Any]:
    message = twilio_start()
    message["start"] = message["start"] | changes
    return message | body


class TestTwiliosFamily:
    def test_lone_surrogate_in_a_parameter_is_replaced(self) -> None:
        params = {"name": f"Zoë {HALF}", HALF: "x", "quoted": '\\ud83d "é"', "whole": "😀"}
        found = start_of(twilio.DIALECT, changed({"customParameters": params}))
        assert found.params == {"name": "Zoë ?", "?": "x", "quoted": '\\ud83d "é"', "whole": "😀"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"tracks": None},
            {"tracks": []},
            {"tracks": "inbound"},
            {"tracks": "inbound_track"},
            {"tracks": ["Inbound"]},
            {"tracks": ["inbound", "sideways", None, 7]},
            {"tracks": 7},
            {"tracks": {}},
            {"mediaFormat": None},
            {"mediaFormat": "audio/x-mulaw"},
            {"mediaFormat": []},
            {"mediaFormat": {}},
            {"mediaFormat": {"encoding": None, "sampleRate": None, "channels": None}},
            {"mediaFormat": {"encoding": 7, "sampleRate": [], "channels": {}}},
            {"mediaFormat": {"encoding": "AUDIO/X-MULAW", "sampleRate": "8000", "channels": "1"}},
            {"mediaFormat": {"encoding": "pcmu", "sampleRate": 8000.0, "channels": True}},
            {"mediaFormat": {"Encoding": "pcmu", "sample_rate": 8000}},
            {"customParameters": None},
            {"customParameters": 7},
            {"customParameters": [{"name": ["x"], "value": 1}, 7, None]},
            {"customParameters": {"x": {"y": 1}, "z": [1]}},
        ],
    )
    def test_fields_of_a_wrong_type_count_as_missing(self, changes: dict[str, Any]) -> None:
        found = start_of(twilio.DIALECT, changed(changes))
        assert found == start_of(twilio.DIALECT, twilio_start())

    @pytest.mark.parametrize(
        "body",
        [
            {"start": {"call_sid": "c1", "stream_sid": "s1"}},
            {"start": {"callId": "c1", "streamId": "s1"}},
            {"start": {"CallSid": "c1"}, "StreamSid": "s1"},
            {"start": {}, "callSid": "c1", "streamSid": "s1"},
            {"start": None, "callId": "c1", "streamId": "s1"},
        ],
    )
    def test_ids_are_found_where_clones_put_them(self, body: dict[str, Any]) -> None:
        found = start_of(twilio.DIALECT, {"event": "start"} | body)
        assert (found.call_id, found.stream_id) == ("c1", "s1")

    @pytest.mark.parametrize(
        "body",
        [
            {"start": {"streamSid": "s1"}},
            {"start": {"callSid": "c1"}},
            {"start": {"callSid": ["c1"], "streamSid": "s1"}},
            {"start": {"callSid": True, "streamSid": "s1"}},
            {},
        ],
    )
    def test_start_without_ids_is_rejected(self, body: dict[str, Any]) -> None:
        with pytest.raises(CarrierError, match="malformed-message: no start"):
            send_text(JsonMediaAdapter(twilio.DIALECT), {"event": "start"} | body)

    @pytest.mark.parametrize("spell", [str.upper, str.title, str.lower])
    def test_events_are_recognized_in_any_case(self, spell: Callable[[str], str]) -> None:
        adapter = JsonMediaAdapter(twilio.DIALECT)
        names = ("connected", "start", "media", "mark", "stop")
        media = twilio_media(1, bytes(160))
        found = []
        for name in names:
            body = media if name == "media" else twilio_start()
            found += send_text(adapter, body | {"event": spell(name)})
        kinds = ["MessageIgnored", "CallStarted", "AudioReceived", "MessageIgnored", "CallStopped"]
        assert [type(event).__name__ for event in found] == kinds
        assert found[0] == MessageIgnored("connected")  # a metric label, always in this spelling

    @pytest.mark.parametrize("spell", [str.upper, str.title])
    def test_media_fields_are_recognized_in_other_spellings(
        self, spell: Callable[[str], str]
    ) -> None:
        adapter = JsonMediaAdapter(twilio.DIALECT)
        send_text(adapter, twilio_start())
        message = respelt(twilio_media(3, bytes(160)), spell)
        message["MEDIA" if spell is str.upper else "Media"][spell("track")] = "Inbound"
        [audio] = send_text(adapter, message)
        assert audio == send_text(adapter, twilio_media(3, bytes(160)))[0]

    def test_dialled_number_may_be_a_json_number(self) -> None:
        message = {"event": "start", "stream_id": "s1"}
        body = {"call_control_id": "c1", "to": 15550100}
        assert start_of(telnyx.DIALECT, message | {"start": body}).called == "15550100"

    def test_ids_may_be_json_numbers(self) -> None:
        message = {"event": "start", "stream_sid": 7, "start": {"call_sid": 8}}
        found = start_of(exotel.DIALECT, message)
        assert (found.call_id, found.stream_id) == ("8", "7")


def test_undecodable_url_parameters_are_published_with_replacements() -> None:
    """Symptom to prevent: invalid UTF-8 in a URL ends the stream as internal-error."""
    query = freeswitch.StreamQuery("mono", params={"queue": "\udcff", "\udcfe": "x"})
    [start] = [
        event
        for event in freeswitch.new_adapter("s1", query).receive_text(b"{}")
        if isinstance(event, CallStarted)
    ]
    assert start.public_params == {"queue": "?", "?": "x"}


class TestMend:
    @given(value=JSON_VALUES)
    def test_mend_keeps_valid_json(self, value: Any) -> None:
        text = json.dumps(value, allow_nan=False, default=None) if is_finite(value) else "null"
        assert json.loads(mend(text.encode())) == json.loads(text)

    @pytest.mark.parametrize("message", [b"", b"{", b"\xff", b'{"a":1}x', b"[" * 100_000])
    def test_mend_rejects_what_is_not_json(self, message: bytes) -> None:
        with pytest.raises((ValueError, RecursionError)):
            mend(message)
        with pytest.raises(CarrierError, match="malformed-message"):
            read(message)

    def test_huge_number_is_rejected(self) -> None:
        with pytest.raises(CarrierError, match="malformed-message"):
            read(b'{"a":"\\ud83d","n":%s}' % (b"9" * 100_000))

    def test_scrap_finds_values_in_a_cut_off_message(self) -> None:
        assert scrap(b'{"event": "media","media":{"tra', "event") == "media"
        assert scrap(b'{"EVENT":"media', "event") is None
        assert scrap(b'{"x":1', "event") is None


def is_finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return False
    return True


class TestCost:
    """No message, of up to 1 MB and any content, may take long to parse."""

    @pytest.mark.parametrize(
        "message",
        [
            b'{"event":"mark"' + b',"a":"\\ud83d"' * 80_000 + b"}",
            b'{"' + b'","'.join(b'%d":"' % n for n in range(100_000)) + b'":1}',
            b'{"event"' + b" " * 1_000_000,
            b'"event"' * 140_000,
            b'{"event":"media","media":{"payload":"' + b"%" * 1_000_000 + b'"}}',
            b'{"event":"media","media":{"payload":"' + b" " * 1_000_000 + b'"}}',
            b'{"event":"media","media":{"track":"' + b"_" * 1_000_000 + b'","payload":"%"}}',
        ],
        ids=["halves", "names", "spaces", "repeated", "undecodable", "empty", "track"],
    )
    def test_parsing_time_is_linear_in_the_message_size(self, message: bytes) -> None:
        adapter = JsonMediaAdapter(twilio.DIALECT)
        send_text(adapter, twilio_start())
        began_s = time.process_time()
        try:
            adapter.receive_text(message)
        except CarrierError as error:
            assert error.reason in ("malformed-message", "unknown-track")  # noqa: PT017  # either is valid
        assert time.process_time() - began_s < 1  # about 20 ms; seconds if anything were quadratic

    def test_large_objects_are_searched_only_for_the_exact_name(self) -> None:
        names = {f"n{n}": 1 for n in range(100_000)} | {"Event": "start"}
        assert find(names, ("event",)) is None
