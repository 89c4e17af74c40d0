"""What the record of a call has, and whether its events are proved complete."""

import gzip
from collections.abc import Callable
from itertools import permutations

import pytest

from tests.workers.archive.calls import Fields, Story, alert, evidence, whole, wrapup
from workers.archive.record import CallRecord, Segment, Text


def record(events: list[Fields]) -> CallRecord:
    return evidence(events).fold.record()


def without(events: list[Fields], *numbers: int) -> list[Fields]:
    return [each for number, each in enumerate(events, start=1) if number not in numbers]


def resumed() -> list[Fields]:
    """Return a call whose gateway was suspended, as docs/events.md shows it."""
    story = Story().start().say("inbound", "hello there")
    story.next_epoch(2).end("lost")
    story.next_epoch(3).start(resumes=1).say("inbound", "again")
    return story.end().events


def taken_over() -> list[Fields]:
    story = Story().start().say("inbound", "hello there")
    other = Story(epoch=7).start().say("inbound", "from the start").end()
    return story.events + other.events


def lost() -> list[Fields]:
    story = Story().start().say("inbound", "hello there")
    return story.next_epoch(2).end("lost", reason="gateway-lost").events


@pytest.mark.parametrize(
    ("make", "problems"),
    [
        (whole, []),
        (resumed, []),
        (list, ["there are no events"]),
        (lambda: without(whole(), 3), ["stream MZ1 epoch 1: events 3 to 3 are missing"]),
        (
            lambda: without(whole(), 1, 2),
            [
                "stream MZ1 epoch 1: events 1 to 2 are missing",
                "stream MZ1 epoch 1: its start is missing",
            ],
        ),
        (
            lambda: without(whole(), 4),
            [
                "stream MZ1 epoch 1: events 4 to 4 are missing",
                "stream MZ1 epoch 1: 2 finals instead of the 3 that its end counts",
            ],
        ),
        (lambda: whole()[:-1], ["stream MZ1 epoch 1: it has not ended"]),
        (
            lost,
            ["stream MZ1 epoch 1: its gateway was lost, so its end is not proved"],
        ),
        (
            taken_over,
            ["stream MZ1 epoch 1: another gateway took it over, so its end is not proved"],
        ),
        (
            lambda: [*whole(), {"v": "1", "type": "transcript.final"}],
            ["1 entries are not events of version 1"],
        ),
    ],
)
def test_what_is_missing_is_named(make: Callable[[], list[Fields]], problems: list[str]) -> None:
    assert [str(each) for each in evidence(make()).fold.problems()] == problems


@pytest.mark.parametrize(
    ("make", "status", "is_over"),
    [
        (whole, "completed", True),
        (lambda: whole()[:-1], "live", False),
        (lost, "lost", True),
        (resumed, "completed", True),
        (lambda: resumed()[:-1], "live", False),  # a stream that was lost continues
        (taken_over, "completed", True),
        (lambda: whole() + Story(stream="MZ2").start().events, "live", False),
        (lambda: whole() + Story(stream="MZ2").start().end("failed").events, "failed", True),
        (list, "live", False),
    ],
)
def test_call_is_over_when_every_stream_has_ended(
    make: Callable[[], list[Fields]], status: str, is_over: bool
) -> None:
    fold = evidence(make()).fold
    assert (fold.record().status, fold.is_over) == (status, is_over)


def test_event_written_after_the_end_does_not_open_the_call() -> None:
    """A dead letter of redaction that was retried is the newest event of the copy."""
    late = Story().start().say("inbound", "a").end().say("inbound", "late")
    fold = evidence(late.events, Text.REDACTED).fold
    assert fold.is_over
    assert [each.text for each in fold.record().streams[0].segments] == ["a", "late"]


def segments(events: list[Fields]) -> list[tuple[str, int, str, bool]]:
    return [
        (each.track, each.rev, each.text, each.final)
        for stream in record(events).streams
        for each in stream.segments
    ]


def test_revision_starts_a_segment_over_and_a_final_closes_it() -> None:
    story = Story().start()
    spot = {"track": "inbound", "role": "customer", "segment": 1, "start_ms": 0, "end_ms": 80}
    story.add("transcript.delta", text="hel", rev=0, **spot)
    story.add("transcript.delta", text="good", rev=1, **spot)
    story.add("transcript.delta", text="lo", rev=0, **spot)
    story.add("transcript.delta", text=" day", rev=1, **spot)
    assert segments(story.events) == [("inbound", 1, "good day", False)]
    story.add("transcript.final", text="Good day.", rev=1, language="en", **spot)
    story.add("transcript.delta", text="more", rev=2, **spot)
    assert segments(story.events) == [("inbound", 1, "Good day.", True)]


def test_stream_that_was_taken_over_is_two_entries() -> None:
    assert [(each.epoch, len(each.segments)) for each in record(taken_over()).streams] == [
        (1, 1),
        (7, 1),
    ]


def test_resumed_stream_is_one_entry() -> None:
    (stream,) = record(resumed()).streams
    assert [each.text for each in stream.segments] == ["hello there", "again"]


def test_streams_are_in_the_order_of_their_start() -> None:
    late = Story(stream="A", at="2026-11-21T11:00:00.000Z").start().end().events
    early = Story(stream="B", at="2026-11-21T10:00:00.000Z").start().end().events
    for order in permutations((late, early)):
        made = record([each for events in order for each in events])
        assert [each.stream_id for each in made.streams] == ["B", "A"]
        assert made.started == made.streams[0].started


def test_pauses_keys_and_gaps_are_recorded() -> None:
    story = Story().start().add("stream.resumed", at_ms=300)
    story.add("stream.paused", at_ms=500).add("stream.resumed", at_ms=700)
    story.add("stream.paused", at_ms=900).add("stream.dtmf", track="inbound").add("stream.dtmf")
    story.add("transcript.gap", track="inbound", from_ms=500, to_ms=700, cause="paused")
    story.add("a.new.type").end(suspected_encoding='{"inbound": "pcma"}')
    (stream,) = record(story.events).streams
    assert [(each.from_ms, each.to_ms) for each in stream.pauses] == [
        (0, 300),
        (500, 700),
        (900, None),
    ]
    assert [each.track for each in stream.keys] == ["inbound", None]
    assert [(each.from_ms, each.cause) for each in stream.gaps] == [(500, "paused")]
    assert stream.suspected_encoding == {"inbound": "pcma"}


def test_alert_has_its_last_state_and_a_wrapup_its_first() -> None:
    made = evidence(
        whole(),
        alerts=[alert(), alert(name="a2"), alert(state="withdrawn")],
        redacted_wrapups=[wrapup(), wrapup(text="Again."), wrapup(wrapup="w2")],
    ).fold.record()
    assert [(each["alert"], each["state"]) for each in made.alerts] == [
        ("a1", "withdrawn"),
        ("a2", "raised"),
    ]
    assert [(each["wrapup"], each["summary"][0]["text"]) for each in made.wrapups] == [
        ("w1", "A bill."),
        ("w2", "A bill."),
    ]


def test_redacted_folder_has_no_wrapup_of_raw_text() -> None:
    made = evidence(
        whole(), Text.REDACTED, redacted_wrapups=[wrapup(made_from="raw", text="canary")]
    )
    assert made.fold.record().wrapups == []
    assert b"canary" not in gzip.decompress(made.pack())


def test_repr_has_no_content() -> None:
    made = record(whole(words=[("inbound", "canary")]))
    assert "canary" not in f"{made!r} {made.streams!r} {made.streams[0].segments!r}"
    assert repr(Segment("inbound", "customer", 1, 0, 0, 80, "canary")) == "<Segment inbound 1>"


def test_repeated_events_change_nothing() -> None:
    """A writer without the gateway's script appends a batch twice."""
    once, twice = (evidence(each).fold for each in (whole(), [*whole(), *whole()]))
    assert twice.record() == once.record()
    assert (twice.problems(), twice.numbers.epochs) == ([], once.numbers.epochs)
    older = evidence([*resumed(), *resumed()[:3]]).fold  # of an epoch that is over
    assert (older.is_over, older.problems()) == (True, [])
    assert older.record() == record(resumed())
