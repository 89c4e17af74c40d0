"""The segments of a call, as the model receives them."""

from tests.workers.client.stories import ended, event, words
from tests.workers.wrapup.calls import conversation, read
from workers.wrapup.conversation import Position


def test_segments_are_numbered_in_the_order_of_time() -> None:
    call = conversation("one", "two", "three")
    assert [(each.number, each.segment.speaker, each.text) for each in call.said()] == [
        (1, "agent", "one"),
        (2, "customer", "two"),
        (3, "agent", "three"),
    ]
    assert (call.route, call.tenant, call.is_over) == ("sales", "default", True)


def test_streams_are_ordered_by_when_they_began() -> None:
    call = read(
        [
            event("stream.started", 1, stream="B", at="2026-11-21T10:10:00Z"),
            words("transcript.final", 2, "later", stream="B", start_ms=0),
            event("stream.started", 1, stream="A", at="2026-11-21T10:00:00Z"),
            words("transcript.final", 2, "first", stream="A", start_ms=50),
            words("transcript.final", 3, "second", stream="A", start_ms=5000, segment=2),
        ]
    )
    assert [each.text for each in call.said()] == ["first", "second", "later"]


def test_times_of_two_sockets_of_a_call_are_compared_in_milliseconds() -> None:
    call = read(
        [
            event("stream.started", 1, stream="A", at="2026-11-21T10:00:00.000Z"),
            event("stream.started", 1, stream="B", at="2026-11-21T10:00:01.000Z"),
            words("transcript.final", 2, "third", stream="A", start_ms=1020),
            words("transcript.final", 2, "second", stream="B", start_ms=10),
            words("transcript.final", 3, "first", stream="A", start_ms=1005, segment=2),
        ]
    )
    assert [each.text for each in call.said()] == ["first", "second", "third"]


def test_partial_text_counts_and_silence_does_not() -> None:
    call = read(
        [
            event("stream.started", 1),
            words("transcript.final", 2, " ", segment=1),
            words("transcript.delta", 3, " not", segment=2),
            words("transcript.delta", 4, " final", segment=2),
            words("transcript.delta", 5, " revised", segment=2, rev=1),
        ]
    )
    assert [each.text for each in call.said()] == ["revised"]
    assert call.transcript.latencies_ms == [], "a list that would grow with the call"
    assert not call.is_over


def test_call_is_over_when_all_streams_have_ended() -> None:
    events = [event("stream.started", 1), event("stream.started", 1, stream="MZ2"), ended(2)]
    assert not read(events).is_over
    events.append(ended(2, stream="MZ2"))
    call = read(events)
    assert call.is_over
    assert call.last_end == call.last == Position("MZ2", 1, 2)
    events.append(event("stream.started", 1, epoch=2, resumes=1))  # MZ1 was lost, and continues
    assert not read(events).is_over


def test_position_of_a_redacted_copy_is_that_of_the_original() -> None:
    call = read([event("stream.started", 1, source_n=1), ended(2, source_n=7)])
    assert (call.last.n, call.source_n) == (2, 7)
    call.apply(ended(2, source_n=7))  # a repetition
    assert call.transcript.events == 2
