"""docs/schemas/ is current; the gateway's events, the readers' classes and the schemas agree."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator, ValidationError

from cli import contract
from cli.contract.schemas import EVENTS, definitions, tag_of
from gateway.audio.encodings import Encoding
from gateway.settings import Role
from gateway.transcript.encode import flatten, type_of
from gateway.transcript.events import (
    FinalReason,
    GapCause,
    Status,
    StreamDtmf,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TrackInfo,
    TranscriptDelta,
    TranscriptEvent,
    TranscriptFinal,
    TranscriptGap,
)
from gateway.transcript.keys import encode_id
from tests.contract.validation import (
    assert_valid_entry,
    assert_valid_json,
    definition,
    schema,
    validator,
)
from tests.npm import installed
from workers.client.events import KNOWN_EVENTS, PARTS, AssistAlert, AssistWrapup, Hole, read_event
from workers.redact import CallRedactor, Kind
from workers.relay.alerts import CallAlerts
from workers.relay.call_summary import CallList, CallState
from workers.relay.messages import End, Expired, Gone, named

_PAGE = contract.SCHEMAS.parent / "events.md"
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_NUMBER = st.integers(0, 2**53)
_ROLE = st.sampled_from(Role)
_ENCODING = st.sampled_from(Encoding)
_TRACK = st.builds(TrackInfo, track=_TEXT, role=_ROLE, encoding=_ENCODING, rate=_NUMBER)
_SECONDS = st.floats(0, 1e6)
_FIELDS: dict[str, Any] = {
    "role": _ROLE,
    "tracks": st.lists(_TRACK, max_size=3).map(tuple),
    "params": st.dictionaries(_TEXT, _TEXT, max_size=3),
    "suspected_encoding": st.dictionaries(_TEXT, _ENCODING, max_size=2),
    "audio_received_s": _SECONDS,
    "delta_received_s": _SECONDS,
}
_BY_TYPE = {str: _TEXT, int: _NUMBER, str | None: st.none() | _TEXT}
_KINDS: list[type[TranscriptEvent]] = [
    StreamStarted,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptGap,
    StreamPaused,
    StreamResumed,
    StreamDtmf,
    StreamEnded,
]
_ADDED = {"id", "resumes", "source_n"}  # by Redis, by append.lua, and by redaction


def _events(kind: type[TranscriptEvent]) -> st.SearchStrategy[TranscriptEvent]:
    fields = {name: _values(name, of) for name, of in kind.__annotations__.items()}
    return st.builds(kind, **fields)


def _values(name: str, of: Any) -> st.SearchStrategy[Any]:
    if name in _FIELDS:
        found: st.SearchStrategy[Any] = _FIELDS[name]
        return found
    is_enum = isinstance(of, type) and issubclass(of, StrEnum)
    return st.sampled_from(of) if is_enum else _BY_TYPE[of]


def _entry(event: TranscriptEvent, call_id: str = "CA1", now_s: float = 1e6) -> dict[str, str]:
    """Return an event as `append.lua` writes it."""
    kind, at, *own = flatten(event, 1_795_255_616.123, now_s)
    shared = {
        "v": "1",
        "type": kind,
        "call_id": encode_id(call_id),
        "stream_id": encode_id(call_id),
        "epoch": "1795255616244",
        "n": "1",
        "at": at,
        "gateway": "g1",
        "tenant": "default",
    }
    return shared | dict(zip(own[::2], own[1::2], strict=True))


@pytest.mark.parametrize("path", contract.render(), ids=lambda path: path.name)
def test_generated_file_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == contract.render()[path], "run ./run fix"


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_the_gateway_writes_is_valid(kind: type[TranscriptEvent], data: st.DataObject) -> None:
    fields = _entry(data.draw(_events(kind)), data.draw(_TEXT))
    assert_valid_entry(fields)
    assert_valid_json("1795255616265-0", fields)


_FULL: list[TranscriptEvent] = [
    StreamStarted("twilio", (TrackInfo("inbound", "customer", "pcmu", 8000),), {}, "claims"),
    TranscriptDelta("inbound", "customer", 1, 0, " hi", 80, 160, 1.0, 1.0),
    TranscriptFinal("inbound", "customer", 1, 0, "hi", 80, 160, FinalReason.PAUSE, "en"),
    TranscriptGap("inbound", 80, 160, GapCause.RECONNECT),
    StreamPaused(80),
    StreamResumed(160),
    StreamDtmf("inbound"),
    StreamEnded(Status.COMPLETED, "", 1000, 3, 0, {"inbound": "pcma"}),
]


@pytest.mark.parametrize("event", _FULL, ids=type_of)
def test_schema_has_exactly_the_fields_that_are_written(event: TranscriptEvent) -> None:
    written = _entry(event).keys()
    for name in ("entry.json", "event.json"):
        found = definition(name, type_of(event))
        documented = found["properties"].keys() - _ADDED
        resumed = {"resumes"} & found["properties"].keys()
        assert documented == written
        assert resumed == ({"resumes"} if isinstance(event, StreamStarted) else set())


def test_each_type_and_each_field_has_a_text() -> None:
    found = definitions((*EVENTS, *PARTS))
    for each in found.values():
        texts = [each["description"]]
        texts += [f["description"] for n, f in each["properties"].items() if n != "type"]
        assert all(texts)
    assert [tag_of(kind) for kind in KNOWN_EVENTS] == [type_of(event) for event in _FULL]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Role", Role),
        ("Encoding", Encoding),
        ("FinalReason", FinalReason),
        ("GapCause", GapCause),
        ("Status", Status),
    ],
)
def test_every_value_is_documented(name: str, values: type[StrEnum]) -> None:
    listed = json.dumps(list(map(str, values)), separators=(",", ":"))
    for file in ("event.json", "entry.json"):
        text = json.dumps(schema(file), separators=(",", ":"))
        assert f'"title":"{name}","anyOf":[{{"enum":{listed}}}' in text
    page = _PAGE.read_text(encoding="utf-8")
    assert [value for value in values if f"`{value}`" not in page] == []


_VALID = _entry(_FULL[1])


@pytest.mark.parametrize(
    "change",
    [{"n": "1.0"}, {"n": "-1"}, {"n": "01"}, {"at": "today"}, {"call_id": "a b"}, {"rev": None}],
)
def test_a_malformed_entry_is_refused(change: dict[str, str | None]) -> None:
    entry = {name: value for name, value in (_VALID | change).items() if value is not None}
    with pytest.raises(ValidationError):
        validator("entry.json").validate(entry)


def test_a_resumed_stream_is_valid() -> None:
    fields = _entry(_FULL[0]) | {"resumes": "1795255616244"}  # added by append.lua
    assert_valid_entry(fields)
    assert_valid_json("1-0", fields)


def test_redacted_events_are_valid() -> None:
    redactor = CallRedactor(frozenset(Kind))
    raw = [_entry(event) | {"n": str(n)} for n, event in enumerate(_FULL, start=1)]
    copies = [copy.fields for fields in raw for copy in redactor.apply(fields)]
    assert len(copies) >= len(raw) - 1  # a delta without text to publish is dropped
    for fields in copies:
        assert "source_n" in fields
        assert_valid_entry(fields)
        assert_valid_json("1-0", fields)


_STATES = [CallState.begin("CA1"), CallState.begin("CA2")]
for _n, _event in enumerate(_FULL, start=1):
    _STATES[1].apply(read_event("1-0", _entry(_event, "CA2") | {"n": str(_n)}))


@pytest.mark.parametrize(
    "message",
    [
        Hole("CA1", "MZ1", 1, 2, 3),
        End(4, 0),
        Expired(),
        Gone("CA1"),
        CallList([each.summarize() for each in _STATES]),
        _STATES[0].summarize(),
        _STATES[1].summarize("a match"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_of_the_relay_are_valid(message: msgspec.Struct) -> None:
    own = schema("relay.json")["$defs"][type(message).__name__]
    data = json.loads(named("any", message).data)
    Draft202012Validator({**own, "$defs": schema("relay.json")["$defs"]}).validate(data)
    assert data.keys() <= own["properties"].keys()


_ALERT = {
    "alert": "refund:1:MZ1:inbound:3",
    "state": "raised",
    "rule": "refund",
    "rule_version": "1",
    "severity": "warning",
    "title": "A refund is asked for",
}
_WRAPUP = {
    "wrapup": "ended:1",
    "made_from": "redacted",
    "trigger": "ended",
    "model": "m",
    "summary": json.dumps(
        [
            {
                "text": "Hi.",
                "citations": [
                    {
                        "stream_id": "MZ1",
                        "track": "inbound",
                        "segment": 1,
                        "start_ms": 80,
                        "end_ms": 160,
                    }
                ],
            }
        ]
    ),
    "follow_ups": "[]",
}
_CITED = {
    "track": "inbound",
    "role": "customer",
    "segment": "3",
    "rev": "0",
    "start_ms": "80",
    "end_ms": "160",
}


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("assist.alert", _ALERT),
        ("assist.alert", _ALERT | _CITED),
        ("assist.alert", _ALERT | _CITED | {"cited_stream_id": "MZ2"}),
        ("assist.wrapup", _WRAPUP),
        ("assist.wrapup", _WRAPUP | {"disposition": "sale", "route": "claims"}),
    ],
)
def test_derived_events_are_valid(kind: str, own: dict[str, str]) -> None:
    fields = _entry(_FULL[7]) | {"type": kind} | own
    for name in ("status", "reason", "duration_ms", "segments", "gap_ms", "suspected_encoding"):
        del fields[name]
    assert_valid_entry(fields)
    assert_valid_json("1-0", fields)
    assert tag_of(type(read_event("1-0", fields))) == kind


def test_repr_of_a_wrapup_has_no_content() -> None:
    event = read_event("1-0", _entry(_FULL[7]) | {"type": "assist.wrapup"} | _WRAPUP)
    assert "Hi." not in repr(event)
    assert isinstance(event, AssistWrapup)
    assert "Hi." not in repr(event.summary)


def test_new_types_and_new_values_are_valid() -> None:
    validator("entry.json").validate(_VALID | {"type": "assist.mood"})
    validator("entry.json").validate(_VALID | {"role": "supervisor", "mood": "good"})
    other = read_event("1-0", _VALID | {"type": "assist.mood"})
    validator("event.json").validate(json.loads(named("", other).data))


def test_asyncapi_document_is_valid() -> None:
    """Its official schema is in an npm package; the schemas it names are in the files beside it."""
    schemas = installed("@asyncapi/specs", "6.11.1") / "schemas"
    official = json.loads((schemas / "3.1.0.json").read_text(encoding="utf-8"))
    document = schema("asyncapi.json")
    Draft7Validator(official).validate(document)
    with pytest.raises(ValidationError):
        Draft7Validator(official).validate(document | {"channels": {"call": {"address": 1}}})


def test_asyncapi_document_refers_to_what_exists() -> None:
    document = schema("asyncapi.json")

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [str(value["$ref"])] if "$ref" in value else []
            return own + [ref for each in value.values() for ref in references(each)]
        return (
            [ref for each in value for ref in references(each)] if isinstance(value, list) else []
        )

    found = references(document)
    assert len(found) > 50
    for reference in found:
        file, _, path = reference.partition("#/")
        target: Any = schema(file.removeprefix("./") or "asyncapi.json")
        for part in path.split("/"):
            target = target[part]


def test_row_of_a_call_with_alerts_is_valid() -> None:
    alerts = CallAlerts()
    alert = read_event("1-0", _entry(_FULL[5]) | {"type": "assist.alert"} | _ALERT)
    assert isinstance(alert, AssistAlert)
    alerts.apply(alert)
    row = _STATES[1].summarize(alerts=alerts)
    test_messages_of_the_relay_are_valid(row)
    assert json.loads(named("call", row).data)["severity"] == "warning"
