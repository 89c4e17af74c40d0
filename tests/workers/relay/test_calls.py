"""The state of calls, the list of calls, and timelines, from events."""

from typing import Any

import pytest

from tests.workers.client.stories import ended, event, words
from workers.client import AnyEvent
from workers.relay.call_summary import CallState, LastWords
from workers.relay.directory import Directory, Removed
from workers.relay.sign_in.viewer import Scope
from workers.relay.timeline import TrackTimes, timeline

_TRACKS = (
    '[{"track":"inbound","role":"customer","encoding":"mulaw","rate":8000},'
    '{"track":"outbound","role":"agent","encoding":"mulaw","rate":8000}]'
)


def started(n: int = 1, **more: Any) -> AnyEvent:
    return event("stream.started", n, tracks=_TRACKS, route="support", **more)


def final(n: int, text: str, segment: int = 1, **more: Any) -> AnyEvent:
    return words("transcript.final", n, text, segment=segment, **more)


def gap(n: int, from_ms: int, to_ms: int, cause: str = "reconnect") -> AnyEvent:
    return event("transcript.gap", n, track="inbound", from_ms=from_ms, to_ms=to_ms, cause=cause)


def state(*events: AnyEvent) -> CallState:
    call = CallState.begin("CA1")
    for each in events:
        call.apply(each)
    return call


def test_call_is_summarized() -> None:
    said = words("transcript.delta", 2, " hello", role="customer")
    call = state(started(), said, gap(3, 500, 700))
    row = call.summarize()
    assert (row.state, row.carrier, row.route, row.roles) == (
        "live",
        "twilio",
        "support",
        ["customer", "agent"],
    )
    assert (row.gaps, row.gap_ms, row.duration_ms, row.events, row.missing) == (1, 200, 700, 3, 0)
    assert row.last == LastWords("customer", "hello", final=False)
    assert row.ended is None
    assert not call.apply(gap(3, 500, 700)), "a repetition counts once"
    call.apply(ended(6, "failed"))
    row = call.summarize(with_text=False)
    assert (row.state, row.reason, row.duration_ms, row.missing) == ("failed", "stopped", 1000, 2)
    assert row.ended == row.started
    assert row.last is None


def test_latencies_of_a_long_call_are_not_kept() -> None:
    call = state(started(), *(words("transcript.delta", n, "x") for n in range(2, 100)))
    assert call.transcript.latencies_ms == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("INVOICE", "the Invoice of May"),
        ("of may", "the Invoice of May"),
        ("refund", None),
        ("ca1", "CA1"),
        ("goodbye", "goodbye"),
    ],
)
def test_words_are_found_regardless_of_case(query: str, found: str | None) -> None:
    call = state(started(), final(2, "the Invoice of May"), final(3, "goodbye", segment=2))
    assert call.find(query) == found


def test_snippet_of_a_long_segment_is_short() -> None:
    call = state(started(), final(2, "a " * 500 + "needle" + " b" * 500))
    snippet = call.find("needle")
    assert snippet
    assert "needle" in snippet
    assert len(snippet) < 140


def test_scope_admits_by_tenant_and_route() -> None:
    call = state(started())
    assert call.is_in(Scope(call_id=None, route="support", tenant="default"))
    assert not call.is_in(Scope(call_id=None, route="sales", tenant="default"))


def test_viewers_learn_what_has_changed_since_they_looked() -> None:
    directory = Directory(keep_s=10, silent_s=100)
    for call_id in ("CA1", "CA2", "CA3"):
        directory.put(CallState.begin(call_id), now_s=0)
    version = directory.version
    assert directory.changes(version) == (version, [], [])
    directory.apply(event("stream.started", 1, call="CA2"), now_s=1)
    directory.apply(event("stream.started", 1, call="CA2"), now_s=1)
    changes = directory.changes(version)
    assert changes
    assert [call.call_id for call in changes.calls] == ["CA2"]
    assert [call.call_id for call in directory.calls()] == ["CA2", "CA3", "CA1"]


def test_ended_and_silent_calls_leave_the_list() -> None:
    directory = Directory(keep_s=10, silent_s=100)
    directory.put(state(started(), ended(2)), now_s=0)
    live = CallState.begin("CA2")
    directory.put(live, now_s=1)
    version = directory.version
    directory.expire(now_s=9)
    assert len(directory) == 2
    directory.expire(now_s=11)
    removed = Removed("CA1", "support", "default")
    assert directory.changes(version) == (version + 1, [], [removed])
    assert directory.get("CA2") is live
    directory.expire(now_s=101)
    assert len(directory) == 0


def test_number_of_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.relay.directory._MAX_CALLS", 2)
    directory = Directory(keep_s=10, silent_s=100)
    for number in range(5):
        directory.put(CallState.begin(f"CA{number}"), now_s=number)
    assert [call.call_id for call in directory.calls()] == ["CA4", "CA3"]


def test_timeline_has_times_and_no_content() -> None:
    events = [
        started(at="2026-11-21T10:00:00Z"),
        words("transcript.delta", 2, "", at="2026-11-21T10:00:00.5Z"),
        words("transcript.delta", 3, "he", role="customer", at="2026-11-21T10:00:01.25Z"),
        event("stream.paused", 4, at_ms=900),
        words("transcript.delta", 5, "hey", rev=1, start_ms=100),
        final(6, "hey", rev=1, start_ms=100, reason="rollover", at="2026-11-21T10:00:02Z"),
        event("stream.resumed", 7, at_ms=1500),
        gap(8, 500, 700),
        event("stream.paused", 9, at_ms=2000),
        started(10, at="2026-11-21T10:00:09Z"),
        ended(11),
    ]
    (times,) = timeline(events)
    assert (times.carrier, times.status, times.reason, times.duration_ms) == (
        "twilio",
        "completed",
        "stopped",
        1000,
    )
    assert times.pauses == [(900, 1500), (2000, None)]
    customer, agent = times.tracks
    assert customer == TrackTimes(
        "inbound",
        "customer",
        first_delta_ms=1250,
        first_final_ms=2000,
        segments=[(100, 480)],
        gaps=[(500, 700, "reconnect")],
        reconnects=[100],
        rollovers=[480],
        latency=[(240, 503), (400, 505)],
    )
    assert agent == TrackTimes("outbound", "agent")
    assert "hey" not in repr(times)


def test_latency_of_a_long_call_is_thinned_to_its_peaks() -> None:
    events = [started()]
    events += [words("transcript.delta", n, "x", latency_ms=n % 100) for n in range(2, 5002)]
    (times,) = timeline(events)
    points = times.tracks[0].latency
    assert len(points) <= 600
    assert max(value for _, value in points) == 99


def test_events_before_a_streams_start_are_skipped() -> None:
    assert timeline([final(2, "x"), ended(3)]) == []
