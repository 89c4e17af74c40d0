"""The events of a call become changes of the index."""

from typing import Any

import pytest

from tests.workers.client.stories import ended, event, words
from workers.client import AnyEvent, EventError
from workers.search.calls import CallFold, facts
from workers.search.index import (
    MAX_TEXT,
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    GapNoted,
    Said,
)

_AT_MS = 1795255616123  # of the events in `stories`


def fold(*events: AnyEvent) -> list[Change]:
    call = CallFold()
    return [change for each in events for change in call.apply(each)]


def started(n: int = 1, **own: Any) -> AnyEvent:
    return event("stream.started", n, **{"route": "berlin", **own})


def said(text: str, rev: int = 0, **own: Any) -> Said:
    values: dict[str, Any] = {"owner": 1, "segment": 1, "role": "unknown", "end_ms": 160, **own}
    return Said(
        call_id="CA1",
        stream_id="MZ1",
        track="inbound",
        rev=rev,
        at_ms=_AT_MS,
        start_ms=0,
        text=text,
        **values,
    )


def test_final_is_indexed_and_delta_is_not() -> None:
    changes = fold(
        started(),
        words("transcript.final", 2, " one two "),
        words("transcript.delta", 3, "three", segment=2),
        ended(4),
    )
    assert changes == [CallSeen("CA1", "default", "twilio", "berlin"), said("one two")]


def test_gap_is_indexed() -> None:
    gap = event("transcript.gap", 2, track="inbound", from_ms=10, to_ms=90, cause="reconnect")
    assert fold(started(), gap)[1:] == [GapNoted("CA1", "MZ1", "inbound", 10, 90, "reconnect")]


def test_event_with_a_number_that_no_index_can_store_is_refused_alone() -> None:
    """Symptom: all later events of its call became dead letters, and a rebuild failed."""
    call = CallFold()
    call.apply(started())
    for large in ({"segment": 2**63}, {"rev": 2**64}, {"start_ms": 2**70}):
        with pytest.raises(EventError, match="too large"):
            call.apply(words("transcript.final", 2, "secret", **large))
    assert call.apply(words("transcript.final", 2, "one")) == [said("one")]


def test_stream_that_is_taken_over_numbers_its_segments_anew() -> None:
    changes = fold(
        started(),
        words("transcript.final", 2, "one"),
        started(1, epoch=5),
        words("transcript.final", 2, "two", epoch=5),
        started(1, epoch=7, resumes=5),
        words("transcript.final", 2, "three", epoch=7, segment=2),
    )
    assert changes[1:] == [said("one"), said("two", owner=5), said("three", owner=5, segment=2)]


def test_second_stream_of_a_call_changes_nothing_that_is_known() -> None:
    changes = fold(started(), started(stream="MZ2", route="other", carrier="telnyx"))
    assert changes == [CallSeen("CA1", "default", "twilio", "berlin")]


def test_call_whose_beginning_is_missing_has_no_route() -> None:
    changes = fold(words("transcript.final", 2, "one"))
    assert changes == [CallSeen("CA1", "default", "", ""), said("one")]


def test_empty_final_is_not_indexed() -> None:
    assert fold(started(), words("transcript.final", 2, "  "))[1:] == []


def test_long_final_is_cut() -> None:
    (change,) = fold(started(), words("transcript.final", 2, "x" * (MAX_TEXT + 1)))[1:]
    assert isinstance(change, Said)
    assert len(change.text) == MAX_TEXT


def alert(state: str) -> AnyEvent:
    own: dict[str, Any] = {"rule": "r", "rule_version": "1", "severity": "warning", "title": "t"}
    return event("assist.alert", 2, alert="a1", state=state, **own)


def test_alert_is_raised_and_withdrawn() -> None:
    assert facts(alert("raised")) == [AlertNoted("CA1", "a1", "r", "warning", is_raised=True)]
    assert facts(alert("withdrawn")) == [AlertNoted("CA1", "a1", "r", "warning", is_raised=False)]


def test_wrapup_has_a_disposition_or_none() -> None:
    own: dict[str, Any] = {
        "wrapup": "w1",
        "made_from": "redacted",
        "trigger": "ended",
        "model": "m",
        "summary": "[]",
        "follow_ups": "[]",
    }
    with_one = event("assist.wrapup", 2, **own, disposition="sale")
    assert facts(with_one) == [DispositionNoted("CA1", "sale")]
    assert facts(event("assist.wrapup", 2, **own)) == [DispositionNoted("CA1", "")]


def test_other_events_are_no_facts() -> None:
    assert facts(started()) == []
