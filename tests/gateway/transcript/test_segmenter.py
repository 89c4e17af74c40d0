"""Combining of deltas into segments."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import Placement

type Events = list[TranscriptDelta | TranscriptFinal]


def feed(segmenter: Segmenter, texts: list[str], *, start_ms: int = 0) -> Events:
    """Feed one delta per 80 ms."""
    events: Events = []
    for number, text in enumerate(texts):
        at_ms = start_ms + 80 * number
        events += segmenter.delta(text, Placement(at_ms, at_ms + 80, at_ms / 1000), 9.0)
    return events


def transcribe(texts: list[str], *, pause_ms: int = 1000, max_ms: int = 30_000) -> Events:
    """Return the events of a whole track."""
    segmenter = Segmenter("inbound", "customer", pause_ms=pause_ms, max_ms=max_ms)
    return [*feed(segmenter, texts), *segmenter.close(FinalReason.HANGUP)]


def summary(events: Events) -> list[str]:
    """Describe deltas by segment and text, finals by their reason, too."""
    return [
        f"{event.segment} +{event.text}"
        if isinstance(event, TranscriptDelta)
        else f"{event.segment} {event.reason}: {event.text}"
        for event in events
    ]


def finals(events: Events) -> list[TranscriptFinal]:
    return [event for event in events if isinstance(event, TranscriptFinal)]


# A pause is 240 ms from word to word (three deltas); a segment has at most 400 ms (five deltas).
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        (["", "", " "], []),
        ([" Hello", ",", " world"], ["1 +Hello", "1 +,", "1 + world", "1 hangup: Hello, world"]),
        # only deltas with words are published, and one empty delta does not end a segment
        (["", " a", "", " b"], ["1 +a", "1 + b", "1 hangup: a b"]),
        # a pause
        ([" a", "", "", "", " b"], ["1 +a", "1 pause: a", "2 +b", "2 hangup: b"]),
        # white space is published with the next word, in whatever delta it arrives
        (["a", " ", "b"], ["1 +a", "1 + b", "1 hangup: a b"]),
        (["a ", "b "], ["1 +a", "1 + b", "1 hangup: a b"]),
        (["a\n", "  ", " b"], ["1 +a", "1 +\n   b", "1 hangup: a\n   b"]),
        # white space does not keep a segment open
        (["a", " ", " ", " ", "b"], ["1 +a", "1 pause: a", "2 +b", "2 hangup: b"]),
        # beyond the length limit: ends at the start of the next word
        (
            [" a", " b", " c", " d", " e", " f", " g"],
            ["1 +a", "1 + b", "1 + c", "1 + d", "1 + e", "1 length: a b c d e",
             "2 +f", "2 + g", "2 hangup: f g"],
        ),
        # the length limit does not split a word
        (
            [" a", "b", "c", "d", "e", "f", "g", " h"],
            ["1 +a", "1 +b", "1 +c", "1 +d", "1 +e", "1 +f", "1 +g", "1 length: abcdefg",
             "2 +h", "2 hangup: h"],
        ),
        # a word boundary at the end of the previous delta
        (
            ["a ", "b ", "c ", "d ", "e ", "f"],
            ["1 +a", "1 + b", "1 + c", "1 + d", "1 + e", "1 length: a b c d e",
             "2 +f", "2 hangup: f"],
        ),
    ],
)  # fmt: skip
def test_segments_end_at_pauses_and_at_the_length_limit(
    texts: list[str], expected: list[str]
) -> None:
    assert summary(transcribe(texts, pause_ms=240, max_ms=400)) == expected


def test_events_carry_track_role_and_times() -> None:
    first, second, final = transcribe(["", " Good", "", " morning", ""])
    assert first == TranscriptDelta(
        track="inbound", role="customer", segment=1, rev=0, text="Good",
        start_ms=80, end_ms=160, audio_received_s=0.08, delta_received_s=9.0,
    )  # fmt: skip
    assert second == TranscriptDelta(
        track="inbound", role="customer", segment=1, rev=0, text=" morning",
        start_ms=240, end_ms=320, audio_received_s=0.24, delta_received_s=9.0,
    )  # fmt: skip
    assert final == TranscriptFinal(
        track="inbound", role="customer", segment=1, rev=0, text="Good morning",
        start_ms=80, end_ms=320, reason=FinalReason.HANGUP,
    )  # fmt: skip


@pytest.mark.parametrize(("gap_ms", "segments"), [(999, 1), (1000, 2), (60_000, 2)])
def test_jump_of_the_media_clock_is_a_pause(gap_ms: int, segments: int) -> None:
    segmenter = Segmenter("inbound", "customer")
    segmenter.delta(" before", Placement(0, 80, 0.0), 0.0)
    segmenter.delta(" after", Placement(80 + gap_ms - 80, 80 + gap_ms, 0.0), 0.0)
    assert segmenter.segment == segments


def test_jump_within_a_word_does_not_split_it() -> None:
    segmenter = Segmenter("inbound", "customer")
    segmenter.delta(" hel", Placement(0, 80, 0.0), 0.0)
    segmenter.delta("lo", Placement(5000, 5080, 0.0), 0.0)
    assert [final.text for final in segmenter.close(FinalReason.HANGUP)] == ["hello"]


def test_script_without_spaces_is_split_at_the_length_limit() -> None:
    events = transcribe(["好"] * 1000, max_ms=30_000)
    lengths_ms = [final.end_ms - final.start_ms for final in finals(events)]
    assert lengths_ms == [40_000, 40_000]
    assert "".join(final.text for final in finals(events)) == "好" * 1000


@pytest.mark.parametrize("reason", FinalReason)
def test_close_sets_the_reason_of_the_final(reason: FinalReason) -> None:
    segmenter = Segmenter("inbound", "customer")
    assert segmenter.close(reason) == []
    feed(segmenter, [" a"])
    assert [final.reason for final in finals(segmenter.close(reason))] == [reason]
    assert segmenter.close(reason) == []


TEXTS = st.lists(
    st.one_of(
        st.text("ab,. \n", max_size=8),  # words split anywhere
        st.text(max_size=8),
        st.just(""),
    )
)
LIMITS = st.tuples(st.integers(80, 2000), st.integers(80, 5000))


@given(TEXTS, LIMITS)
def test_deltas_concatenate_to_their_final(texts: list[str], limits: tuple[int, int]) -> None:
    events = transcribe(texts, pause_ms=limits[0], max_ms=limits[1])
    segments = [list(group) for _, group in groupby(events, key=lambda event: event.segment)]
    assert [group[0].segment for group in segments] == list(range(1, len(segments) + 1))
    for group in segments:
        *deltas, final = group
        assert isinstance(final, TranscriptFinal)
        assert all(isinstance(delta, TranscriptDelta) and delta.text for delta in deltas)
        assert final.text == "".join(delta.text for delta in deltas)
        assert final.text == final.text.strip() != ""
        assert (final.start_ms, final.end_ms) == (deltas[0].start_ms, deltas[-1].end_ms)


@given(st.lists(st.text("abc.", min_size=1, max_size=6)), st.data())
def test_every_word_is_published_once_however_the_text_is_split(
    words: list[str], data: st.DataObject
) -> None:
    """Pauses are only between words; the length limit can be anywhere."""
    texts: list[str] = []
    for word in words:
        texts += [""] * data.draw(st.integers(0, 15))
        rest = " " + word
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            texts.append(rest[:size])
            rest = rest[size:]
    max_ms = data.draw(st.integers(80, 5000))
    said = " ".join(final.text for final in finals(transcribe(texts, max_ms=max_ms)))
    assert said.split() == words


@given(TEXTS, LIMITS)
def test_no_letter_is_lost_or_repeated(texts: list[str], limits: tuple[int, int]) -> None:
    events = transcribe(texts, pause_ms=limits[0], max_ms=limits[1])
    letters = "".join("".join(final.text for final in finals(events)).split())
    assert letters == "".join("".join(texts).split())
