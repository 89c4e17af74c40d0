"""Entries are parsed to typed events; malformed ones raise an error that quotes no value."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript import events as published
from gateway.transcript.encode import flatten
from gateway.transcript.events import (
    FinalReason,
    GapCause,
    Status,
    TrackInfo,
    TranscriptEvent,
)
from tests.workers.client.stories import fields
from workers.client import (
    EventError,
    OtherEvent,
    StreamStarted,
    Track,
    TranscriptDelta,
    read_event,
)

_SECRET = "4111 is my secret"
_PUBLISHED: list[TranscriptEvent] = [
    published.StreamStarted(
        "twilio", (TrackInfo("inbound", "customer", "pcmu", 8000),), {"queue": "é"}, "claims"
    ),
    published.StreamStarted("twilio", (), {}),
    published.TranscriptDelta("inbound", "customer", 1, 0, " hi", 80, 160, 1.0, 1.0),
    published.TranscriptFinal("inbound", "customer", 1, 0, "hi", 80, 160, FinalReason.PAUSE),
    published.TranscriptGap("inbound", 80, 160, GapCause.RECONNECT),
    published.StreamPaused(80),
    published.StreamResumed(160),
    published.StreamDtmf("inbound"),
    published.StreamDtmf(None),
    published.StreamEnded(Status.COMPLETED, "", 1000, 3, 0, {"inbound": "pcma"}),
    published.StreamEnded(Status.LOST, "gateway-lost", 1000, 3, 0),
]


@pytest.mark.parametrize("event", _PUBLISHED, ids=lambda event: type(event).__name__)
def test_each_published_event_is_parsed_with_all_its_fields(event: TranscriptEvent) -> None:
    kind, at, *own = flatten(event, 1_795_255_616.123, 2.0)
    flat = dict(zip(own[::2], own[1::2], strict=True))
    shared = fields(kind, 7) | {"at": at}
    for name in ("carrier", "tracks", "params", "role", "latency_ms", "reason", "segments"):
        shared.pop(name, None)
    parsed = read_event("5-1", shared | flat)
    assert type(parsed).__name__ == type(event).__name__
    as_json = msgspec.to_builtins(parsed)
    assert (parsed.id, parsed.n, parsed.at.isoformat()) == (
        "5-1", 7, "2026-11-21T10:06:56.123000+00:00"
    )  # fmt: skip
    for name, value in flat.items():
        expected = json.loads(value) if value[:1] in "[{" and value else value
        found = as_json[name]
        assert (
            str(found)
            if isinstance(expected, str)
            else list(found)
            if isinstance(expected, list)
            else found
        ) == expected


def test_values_are_typed() -> None:
    tracks = '[{"track":"inbound","role":"customer","encoding":"pcmu","rate":8000}]'
    started = read_event("1-0", fields("stream.started", 1, tracks=tracks, params='{"a":"b"}'))
    assert isinstance(started, StreamStarted)
    assert started.tracks == (Track("inbound", "customer", "pcmu", 8000),)
    assert (started.params, started.route, started.resumes) == ({"a": "b"}, None, None)


def test_unknown_types_fields_and_values_are_accepted() -> None:
    other = read_event("1-0", fields("assist.mood", 3, severity="high"))
    assert isinstance(other, OtherEvent)
    assert (other.other_type, other.n) == ("assist.mood", 3)
    gap = read_event("1-0", fields("transcript.gap", 1, track="a", from_ms=0, to_ms=1, cause="new"))
    assert "cause='new'" not in repr(gap)
    assert read_event("1-0", fields("stream.dtmf", 1, color="red")).n == 1


@pytest.mark.parametrize(
    "change",
    [
        {"n": _SECRET},
        {"at": _SECRET},
        {"epoch": ""},
        {"start_ms": _SECRET},
        {"text": None},
        {"type": None, "n": None},
        {"type": "stream.started", "carrier": "x", "params": "{}", "tracks": _SECRET},
        {"type": "stream.started", "carrier": "x", "tracks": "[]", "params": '{"a": 1}'},
        {"type": "stream.started", "carrier": "x", "tracks": "[]", "params": "[" * 100_000},
        {"at": "2026-11-21T10:06:56"},
        {"type": "stream.started", "carrier": "x", "params": "{}", "tracks": f'["{_SECRET}"]'},
    ],
)
def test_malformed_entries_raise_an_error_that_quotes_no_value(
    change: dict[str, str | None],
) -> None:
    delta = fields("transcript.delta", 1, track="t", segment=1, rev=0, text=_SECRET, start_ms=0)
    changed = delta | {"end_ms": "80"} | change
    with pytest.raises(EventError) as failure:
        read_event("1-0", {name: value for name, value in changed.items() if value is not None})
    assert "4111" not in str(failure.value)
    assert failure.value.__cause__ is None


@given(st.dictionaries(st.sampled_from([*fields("x", 1), "tracks", "text"]), st.text()))
def test_any_fields_give_an_event_or_the_documented_error(some: dict[str, str]) -> None:
    with contextlib.suppress(EventError):
        read_event("1-0", some)


def test_repr_has_no_content() -> None:
    own: dict[str, Any] = {
        "track": "t",
        "segment": 1,
        "rev": 0,
        "text": _SECRET,
        "start_ms": 0,
        "end_ms": 80,
    }
    delta = read_event("1-0", fields("transcript.delta", 2, **own))
    assert isinstance(delta, TranscriptDelta)
    assert repr(delta) == "<TranscriptDelta CA1 MZ1 1:2>"
