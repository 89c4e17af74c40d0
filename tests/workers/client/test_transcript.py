"""Events fold into a transcript as the contract of docs/events.md promises."""

from hypothesis import given
from hypothesis import strategies as st

from tests.workers.client.stories import ended, event, words
from workers.client import AnyEvent, CallTranscript


def fold(*events: AnyEvent) -> CallTranscript:
    call = CallTranscript("CA1")
    for each in events:
        call.apply(each)
    return call


def texts(call: CallTranscript) -> list[tuple[str, bool]]:
    return [(segment.text, segment.final) for segment in call.segments]


def test_deltas_concatenate_and_the_final_replaces_them() -> None:
    started = event("stream.started", 1)
    deltas = words("transcript.delta", 2, "It was"), words("transcript.delta", 3, " the best")
    assert texts(fold(started, *deltas)) == [("It was the best", False)]
    final = words("transcript.final", 4, "It was the best.")
    assert texts(fold(started, *deltas, final)) == [("It was the best.", True)]


def test_a_higher_revision_starts_the_segment_over() -> None:
    call = fold(
        words("transcript.delta", 1, "It was"),
        words("transcript.delta", 2, "It is", rev=1),
        words("transcript.delta", 3, " what it is", rev=1),
        words("transcript.delta", 4, " stale", rev=0),
    )
    assert texts(call) == [("It is what it is", False)]


def test_segments_are_ordered_by_time_across_tracks() -> None:
    call = fold(
        words("transcript.final", 1, "two", segment=1, start_ms=900),
        words("transcript.final", 2, "one", segment=1, start_ms=100, track="outbound"),
        words("transcript.final", 3, "three", segment=2, start_ms=900),
    )
    assert [segment.text for segment in call.segments] == ["one", "two", "three"]


def test_a_call_is_over_when_every_stream_has_ended() -> None:
    call = fold(event("stream.started", 1), event("stream.started", 1, stream="MZ2"), ended(2))
    assert (call.over, call.status) == (False, "live")
    call.apply(ended(2, "failed", stream="MZ2", duration_ms=3000, reason="socket-lost"))
    assert (call.over, call.status, call.reason) == (True, "failed", "socket-lost")
    assert (call.duration_ms, call.gap_ms) == (3000, 80)


def test_gap_in_numbers_counts_as_missing_events() -> None:
    assert fold(event("stream.started", 1), ended(2)).missing == 0
    assert fold(event("stream.started", 1), ended(5)).missing == 3
    assert fold(ended(2)).missing == 1


def test_numbers_restart_at_takeover() -> None:
    call = fold(event("stream.started", 1), event("stream.x", 2), ended(1, "lost", epoch=2))
    assert (call.missing, call.status) == (0, "lost")


def test_resumed_stream_continues_its_open_segment() -> None:
    call = fold(
        event("stream.started", 1),
        words("transcript.final", 2, "one"),
        words("transcript.delta", 3, "two", segment=2),
        ended(1, "lost", epoch=2),
    )
    assert (call.over, call.status) == (True, "lost")
    call.apply(event("stream.started", 1, epoch=3, resumes=1))
    assert (call.over, call.status) == (False, "live")
    call.apply(words("transcript.delta", 2, " and a half", segment=2, epoch=3))
    assert texts(call) == [("one", True), ("two and a half", False)]
    call.apply(ended(3, epoch=3))
    assert (call.over, call.status, call.missing) == (True, "completed", 0)


def test_segments_of_a_takeover_are_separate() -> None:
    """Symptom: its segments, numbered from 1 again, overwrote those of the first gateway."""
    call = fold(
        event("stream.started", 1),
        words("transcript.final", 2, "one"),
        event("stream.started", 1, epoch=2),
        words("transcript.final", 2, "two", epoch=2, start_ms=80),
    )
    assert texts(call) == [("one", True), ("two", True)]


def test_unknown_event_types_are_only_counted() -> None:
    call = fold(event("stream.started", 1), event("stream.something-new", 2))
    assert (call.events, call.missing, call.segments) == (2, 0, [])


@given(st.lists(st.integers(0, 9)))
def test_repeated_events_change_nothing(replays: list[int]) -> None:
    """A reader that reconnects may read from an earlier id; the transcript is the same."""
    story = [event("stream.started", 1)]
    story += [words("transcript.delta", n, f" w{n}") for n in range(2, 8)]
    story += [words("transcript.final", 8, "all of it"), ended(9)]
    once, often = CallTranscript("CA1"), CallTranscript("CA1")
    for n, each in enumerate(story):
        once.apply(each)
        often.apply(each)
        for back in replays:
            often.apply(story[max(0, n - back)])
    assert once == often
