"""Segments whose audio is replayed: revisions, and words that a replay does not reach."""

import pytest

from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import Placement

type Event = TranscriptDelta | TranscriptFinal
type Row = tuple[int, int, str, int, int]


def segmenter_after(texts: list[str]) -> Segmenter:
    """Return a segmenter that received these deltas, one per 80 ms from 0."""
    segmenter = Segmenter("inbound", "customer", pause_ms=400)
    feed(segmenter, texts)
    return segmenter


def feed(segmenter: Segmenter, texts: list[str], *, start_ms: int = 0) -> list[Row]:
    events: list[Event] = []
    for at_ms, text in enumerate(texts):
        from_ms = start_ms + 80 * at_ms
        placement = Placement(from_ms, from_ms + 80, from_ms / 1000)
        events += segmenter.delta(text, placement, delta_received_s=9.0)
    return rows(events)


def rows(events: list[Event]) -> list[Row]:
    return [(e.segment, e.rev, e.text, e.start_ms, e.end_ms) for e in events]


def hang_up(segmenter: Segmenter) -> list[Row]:
    return rows(segmenter.close(FinalReason.HANGUP))


def test_replay_of_open_segment_has_the_next_revision() -> None:
    segmenter = segmenter_after([" a", " b "])
    segmenter.restart()
    assert feed(segmenter, [" a", " c"]) == [(1, 1, "a", 0, 80), (1, 1, " c", 80, 160)]
    assert hang_up(segmenter) == [(1, 1, "a c", 0, 160)]


def test_replay_without_open_segment_changes_nothing() -> None:
    segmenter = segmenter_after([""])
    segmenter.restart()
    assert not segmenter.is_behind
    assert feed(segmenter, [" a"]) == [(1, 0, "a", 0, 80)]


def test_second_restart_without_words_keeps_the_revision() -> None:
    segmenter = segmenter_after([" a", ""])
    segmenter.restart()
    segmenter.restart()
    assert feed(segmenter, [" a", ""]) == [(1, 1, "a", 0, 80)]


def test_replay_that_ends_before_its_first_word_repeats_all_words() -> None:
    segmenter = segmenter_after(["", " a", " b"])
    segmenter.restart()
    assert segmenter.is_behind
    [delta, final] = segmenter.close(FinalReason.HANGUP)
    assert rows([delta, final]) == [(1, 1, "a b", 80, 240)] * 2
    assert isinstance(delta, TranscriptDelta)
    assert (delta.audio_received_s, delta.delta_received_s) == (0.16, 9.0)
    assert not segmenter.is_behind


def test_replay_that_ends_early_is_replaced_by_the_words_before_it() -> None:
    segmenter = segmenter_after([" a", " b", " c"])
    segmenter.restart()
    feed(segmenter, [" x"])
    assert segmenter.is_behind
    assert hang_up(segmenter) == [(1, 2, "a b c", 0, 240)] * 2


def test_replay_that_found_more_words_is_completed_by_the_words_it_did_not_reach() -> None:
    segmenter = segmenter_after(["", " b", " c"])
    segmenter.restart()
    feed(segmenter, [" a", " b"])
    assert hang_up(segmenter) == [(1, 2, "a b c", 0, 240)] * 2


@pytest.mark.parametrize("replayed", [" a", " a "])
def test_space_separates_a_replay_from_the_words_it_did_not_reach(replayed: str) -> None:
    """Symptom: "ab", if white space was still pending when the replay ended."""
    segmenter = segmenter_after(["", " b"])  # "b" opened its segment, so its space was dropped
    segmenter.restart()
    feed(segmenter, [replayed])
    assert hang_up(segmenter) == [(1, 2, "a b", 0, 160)] * 2


def test_replay_that_reached_the_end_is_kept() -> None:
    segmenter = segmenter_after([" a", " b"])
    segmenter.restart()
    feed(segmenter, [" x", ""])
    assert not segmenter.is_behind
    assert hang_up(segmenter) == [(1, 1, "x", 0, 80)]


def test_second_failure_early_in_the_replay_keeps_the_first_revision() -> None:
    segmenter = segmenter_after([" a", " b", " c"])
    segmenter.restart()
    feed(segmenter, [" a"])
    segmenter.restart()
    assert hang_up(segmenter) == [(1, 2, "a b c", 0, 240)] * 2


def test_failure_at_the_end_of_a_replay_keeps_its_words() -> None:
    segmenter = segmenter_after([" a", " b"])
    segmenter.restart()
    feed(segmenter, [" a", " b"])
    segmenter.restart()
    assert hang_up(segmenter) == [(1, 2, "a b", 0, 160)] * 2


def test_segment_that_ends_in_the_replay_leaves_later_words_for_the_next() -> None:
    segmenter = segmenter_after([" a", "", "", "", " b", " c", " d"])
    segmenter.restart()
    assert feed(segmenter, [" a"]) == [(1, 1, "a", 0, 80)]
    assert feed(segmenter, ["", "", "", "", ""], start_ms=80) == [(1, 1, "a", 0, 80)]
    assert hang_up(segmenter) == [(2, 0, "c d", 400, 560)] * 2


def test_open_segment_has_a_start_and_a_closed_one_has_none() -> None:
    segmenter = segmenter_after([""])
    assert segmenter.open_from_ms is None
    feed(segmenter, [" a"], start_ms=80)
    assert segmenter.open_from_ms == 80
    hang_up(segmenter)
    assert segmenter.open_from_ms is None


def test_padding_before_a_restart_is_no_pause() -> None:
    segmenter = segmenter_after([" a"])
    segmenter.delta("", Placement(80, 80, 0.0, padding_ms=400), delta_received_s=9.0)
    assert segmenter.is_paused
    segmenter.restart()
    assert not segmenter.is_paused


def test_padding_counts_as_pause_once_audio_follows() -> None:
    segmenter = segmenter_after([" a"])
    assert segmenter.delta("", Placement(80, 80, 0.0, padding_ms=400), delta_received_s=9.0) == []
    assert feed(segmenter, [""], start_ms=80) == [(1, 0, "a", 0, 80)]


def test_padding_before_a_word_does_not_count_after_it() -> None:
    segmenter = segmenter_after([" a"])
    segmenter.delta("", Placement(80, 80, 0.0, padding_ms=300), delta_received_s=9.0)
    assert feed(segmenter, [" b", "", ""], start_ms=80) == [(1, 0, " b", 80, 160)]
