"""Where a replay begins, what counts as progress, and which gaps are declared."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls.replay_state import PROGRESS_MS, GapLedger, ReplayState
from gateway.transcript.events import GapCause, TranscriptGap
from gateway.upstream.dialects.voxtral import TOKEN_MS
from tests.gateway.calls.answers import assumed

LOST = GapCause.RECONNECT
CHUNK_MS = 100
END_MS = 10_000
SILENT_MS = 2000  # loud audio answered this long ago without a word holds none
LEAD_IN_MS = 800


def state_of(
    *loud: tuple[int, int], answered_ms: int | None = None, start_ms: int = 0
) -> ReplayState:
    """Return the state of audio from `start_ms` to `END_MS`, of which these stretches are loud."""
    state = ReplayState("inbound")
    for at_ms in range(start_ms, END_MS, CHUNK_MS):
        is_loud = any(from_ms <= at_ms < to_ms for from_ms, to_ms in loud)
        state.add_audio(at_ms, at_ms + CHUNK_MS, is_loud=is_loud)
    if answered_ms is not None:
        state.answer(answered_ms)
    return state


def spans(gaps: list[TranscriptGap]) -> list[tuple[int, int]]:
    return [(gap.from_ms, gap.to_ms) for gap in gaps]


class TestReplayFrom:
    @pytest.mark.parametrize(
        ("state", "open_from_ms", "expected_ms"),
        [
            pytest.param(ReplayState("inbound"), None, 0, id="no audio"),
            pytest.param(state_of((1000, 1500)), None, 0, id="nothing answered"),
            pytest.param(
                state_of((6000, 6500), start_ms=5000),
                None,
                5000,
                id="nothing answered, track begins later",
            ),
            pytest.param(
                state_of(answered_ms=4000), None, 4000 - LEAD_IN_MS, id="nothing loud: lead-in"
            ),
            pytest.param(
                state_of((6000, 6500), answered_ms=4000),
                None,
                4000 - LEAD_IN_MS,
                id="loud audio after the answered",
            ),
            pytest.param(
                state_of((3000, 3500), answered_ms=4000),
                None,
                3000 - LEAD_IN_MS,
                id="answered beyond loud audio",
            ),
            pytest.param(
                state_of((2500, 2600), (3000, 3500), answered_ms=4000),
                None,
                2500 - LEAD_IN_MS,
                id="first of several loud stretches",
            ),
            pytest.param(
                state_of((1000, 1500), answered_ms=4000),
                None,
                4000 - LEAD_IN_MS,
                id="loud audio older than the silent span",
            ),
            pytest.param(
                state_of((1000, 3000), answered_ms=4000),
                None,
                4000 - SILENT_MS - LEAD_IN_MS,
                id="loud audio partly older than the silent span",
            ),
            pytest.param(state_of(answered_ms=4000), 1500, 1500 - LEAD_IN_MS, id="open segment"),
            pytest.param(
                state_of((2500, 2600), answered_ms=4000),
                3000,
                2500 - LEAD_IN_MS,
                id="open segment after loud audio",
            ),
            pytest.param(state_of(answered_ms=500), None, 0, id="lead-in before the first audio"),
        ],
    )
    def test_replay_begins_before_the_first_audio_that_may_have_words(
        self, state: ReplayState, open_from_ms: int | None, expected_ms: int
    ) -> None:
        assert state.replay_from_ms(open_from_ms, SILENT_MS) == expected_ms

    @pytest.mark.parametrize("settle", [ReplayState.settle, ReplayState.settle_words])
    def test_replay_does_not_begin_before_settled_audio(
        self, settle: Callable[[ReplayState, int], None]
    ) -> None:
        state = state_of((3000, 3900), answered_ms=4000)
        settle(state, 3500)
        assert state.replay_from_ms(None, SILENT_MS) == 3500
        assert state.replay_from_ms(1000, SILENT_MS) == 3500
        settle(state, 3400)
        assert state.replay_from_ms(None, SILENT_MS) == 3500, "settled audio stays settled"

    def test_loud_audio_up_to_240_ms_after_final_words_belongs_to_them(self) -> None:
        state = state_of((3000, 3600), answered_ms=4000)
        state.settle_words(3000)
        assert (state.loud_ms, state.has_wordless_speech) == (360, True)
        state.settle_words(3360)
        assert (state.loud_ms, state.has_wordless_speech) == (0, False)
        assert state.loud_end_ms == 3600

    def test_replay_from_ms_has_no_side_effects(self) -> None:
        state = state_of((1000, 1500), (3000, 3500), answered_ms=4000)
        state.declare(200, 300, LOST)
        before = state.gap_ms, state.loud_ms
        expected_ms = state.replay_from_ms(None, SILENT_MS)
        assert state.replay_from_ms(None, 0) == 4000 - LEAD_IN_MS
        assert state.replay_from_ms(None, SILENT_MS) == expected_ms
        assert state.replay_from_ms(None, END_MS) == 1000 - LEAD_IN_MS
        assert (state.gap_ms, state.loud_ms) == before
        assert state.declare(200, 300, LOST) == []


class TestAnswer:
    def test_progress_is_reported_once_per_progress_ms(self) -> None:
        state = state_of()
        ends_ms = range(TOKEN_MS, 3 * PROGRESS_MS + 1, TOKEN_MS)
        reported = [end_ms for end_ms in ends_ms if state.answer(end_ms)]
        assert reported == [PROGRESS_MS, 2 * PROGRESS_MS, 3 * PROGRESS_MS]

    def test_progress_is_counted_from_the_first_audio(self) -> None:
        state = state_of(start_ms=5000)
        assert not state.answer(5000 + PROGRESS_MS - TOKEN_MS)
        assert state.answer(5000 + PROGRESS_MS)

    def test_replay_behind_the_furthest_answer_is_no_progress(self) -> None:
        state = state_of()
        assert state.answer(2 * PROGRESS_MS)
        replayed_ms = range(TOKEN_MS, 2 * PROGRESS_MS + 1, TOKEN_MS)
        assert not any(state.answer(end_ms) for end_ms in replayed_ms)
        assert not state.answer(3 * PROGRESS_MS - TOKEN_MS)
        assert state.answer(3 * PROGRESS_MS)

    def test_keep_furthest_restores_the_furthest_answer(self) -> None:
        state = state_of(answered_ms=2000)
        state.answer(500)
        assert state.answered_ms == 500
        state.keep_furthest()
        assert state.answered_ms == 2000
        state.answer(2500)
        state.keep_furthest()
        assert state.answered_ms == 2500

    def test_keep_furthest_before_the_first_audio_has_no_effect(self) -> None:
        state = ReplayState("inbound")
        state.keep_furthest()
        assert state.answered_ms is None

    @pytest.mark.parametrize(
        ("answered_ms", "is_all_answered", "is_far_behind"),
        [
            (END_MS - PROGRESS_MS, False, True),
            (END_MS - PROGRESS_MS + 1, False, False),
            (END_MS, True, False),
        ],
    )
    def test_track_is_far_behind_if_progress_ms_or_more_is_unanswered(
        self, answered_ms: int, *, is_all_answered: bool, is_far_behind: bool
    ) -> None:
        state = state_of(answered_ms=answered_ms)
        assert (state.is_all_answered, state.is_far_behind) == (is_all_answered, is_far_behind)

    def test_track_without_audio_is_all_answered(self) -> None:
        state = ReplayState("inbound")
        assert (state.is_all_answered, state.is_far_behind) == (True, False)

    @pytest.mark.parametrize(
        ("start_ms", "end_ms", "is_settled"),
        [(2920, 3000, True), (2960, 3040, False), (3000, 3000, False), (3000, 3080, False)],
    )
    def test_token_is_settled_if_it_ends_in_settled_audio(
        self, start_ms: int, end_ms: int, *, is_settled: bool
    ) -> None:
        state = state_of(answered_ms=4000)
        state.settle(3000)
        assert state.is_settled(start_ms, end_ms) is is_settled


class TestAbandon:
    def test_only_unanswered_audio_is_declared_once(self) -> None:
        state = state_of(answered_ms=1000)
        assert state.abandon(1000, LOST) == []
        assert state.abandon(2000, LOST) == [TranscriptGap("inbound", 1000, 2000, LOST)]
        assert state.abandon(2000, LOST) == state.abandon(1500, LOST) == []
        assert spans(state.abandon(3000, LOST)) == [(2000, 3000)]
        assert (state.answered_ms, state.gap_ms) == (3000, 2000)

    def test_audio_declared_before_is_not_declared_again(self) -> None:
        state = state_of(answered_ms=1000)
        state.declare(1200, 1400, GapCause.CARRIER_LOSS)
        assert spans(state.abandon(2000, LOST)) == [(1000, 1200), (1400, 2000)]

    def test_abandoned_audio_is_not_replayed(self) -> None:
        state = state_of((1000, 1500), answered_ms=1000)
        state.abandon(2000, LOST)
        assert state.replay_from_ms(1000, SILENT_MS) == 2000

    def test_keep_furthest_does_not_go_back_before_abandoned_audio(self) -> None:
        state = state_of(answered_ms=1000)
        state.abandon(2000, LOST)
        state.keep_furthest()
        assert state.answered_ms == 2000

    def test_nothing_is_declared_before_the_first_audio(self) -> None:
        assert ReplayState("inbound").abandon(2000, LOST) == []


class TestDrop:
    def test_adjacent_chunks_become_one_gap(self) -> None:
        state = state_of()
        for start_ms in (1000, 1100, 1200):
            assert state.drop(start_ms, start_ms + CHUNK_MS, LOST) == []
        assert state.declare_dropped(LOST) == [TranscriptGap("inbound", 1000, 1300, LOST)]
        assert state.declare_dropped(LOST) == []
        assert (state.dropped_ms, state.gap_ms) == (300, 300)

    def test_interrupted_run_is_declared_with_the_next_chunk(self) -> None:
        state = state_of()
        state.drop(1000, 1100, LOST)
        state.drop(1100, 1200, LOST)
        assert spans(state.drop(1500, 1600, LOST)) == [(1000, 1200)]
        assert spans(state.declare_dropped(LOST)) == [(1500, 1600)]
        assert state.dropped_ms == 300

    def test_answered_audio_is_not_declared(self) -> None:
        state = state_of(answered_ms=1050)
        assert state.drop(900, 1000, LOST) == state.drop(1000, 1100, LOST) == []
        assert spans(state.declare_dropped(LOST)) == [(1050, 1100)]
        assert state.dropped_ms == 50

    def test_cleared_run_is_not_declared(self) -> None:
        state = state_of()
        state.drop(1000, 1100, LOST)
        state.clear_dropped()
        assert state.declare_dropped(LOST) == []


def test_pauses_and_padding_are_stored_by_position() -> None:
    state = state_of()
    assert not state.was_paused_at(END_MS)
    assert not state.is_padded(END_MS)
    state.pause(END_MS)
    state.pad(END_MS)
    assert state.was_paused_at(END_MS)
    assert state.is_padded(END_MS)
    assert not state.was_paused_at(END_MS + CHUNK_MS)
    assert not state.is_padded(END_MS + CHUNK_MS)


TIMES_MS = st.integers(0, 6000)
OPEN_FROM_MS = st.none() | TIMES_MS
AUDIO = st.tuples(st.just("audio"), st.integers(0, 500), st.booleans())  # after a jump of this long
STEPS = st.lists(
    AUDIO
    | st.tuples(st.just("answer"), TIMES_MS, st.just(False))
    | st.tuples(st.just("settle"), TIMES_MS, st.just(False))
    | st.tuples(st.just("trim"), OPEN_FROM_MS, st.just(False)),
    max_size=60,
)
SILENT_SPANS_MS = st.integers(0, 3000)

type Step = tuple[str, int | None, bool]


def apply(state: ReplayState, step: Step, *, is_monotonic: bool = False) -> None:
    """Apply a step other than "trim"; with `is_monotonic`, answers never go back."""
    kind, number, is_loud = step
    assert number is not None
    if kind == "audio":
        start_ms = state.end_ms + number
        state.add_audio(start_ms, start_ms + CHUNK_MS, is_loud=is_loud)
    elif kind == "answer":
        state.answer(max(number, (state.answered_ms or 0) if is_monotonic else 0))
    else:
        state.settle_words(number)


def test_trim_drops_records_of_audio_before_the_replay() -> None:
    state = state_of((1000, 1500), (3000, 3500), answered_ms=4000)
    state.declare(200, 300, LOST)
    state.declare(2500, 2600, LOST)
    state.trim(state.replay_from_ms(None, SILENT_MS), SILENT_MS)
    assert state.loud_ms == 500
    assert len(state._gaps) == 1  # noqa: SLF001 - only its state shows it
    assert state.gap_ms == 200


@given(STEPS, SILENT_SPANS_MS)
def test_trim_never_changes_where_a_replay_begins(steps: list[Step], silent_ms: int) -> None:
    state = ReplayState("inbound")
    for kind, number, is_loud in steps:
        if kind == "trim":
            from_ms = state.replay_from_ms(number, silent_ms)
            state.trim(from_ms, silent_ms)
            assert state.replay_from_ms(number, silent_ms) == from_ms
        else:
            apply(state, (kind, number, is_loud))


@given(STEPS, SILENT_SPANS_MS, OPEN_FROM_MS)
def test_trims_do_not_change_later_replays_while_answers_advance(
    steps: list[Step], silent_ms: int, open_from_ms: int | None
) -> None:
    trimmed, untrimmed = ReplayState("inbound"), ReplayState("inbound")
    for step in steps:
        if step[0] == "trim":
            trimmed.trim(trimmed.replay_from_ms(step[1], silent_ms), silent_ms)
        else:
            apply(trimmed, step, is_monotonic=True)
            apply(untrimmed, step, is_monotonic=True)
        from_ms = untrimmed.replay_from_ms(open_from_ms, silent_ms)
        assert trimmed.replay_from_ms(open_from_ms, silent_ms) == from_ms


def test_speech_is_owed_until_it_is_answered() -> None:
    state = state_of((1000, 1400), (6000, 6300), answered_ms=1000)
    assert [state.has_speech_before(ms) for ms in (1000, 1100)] == [False, True]
    state.answer(1400)
    assert [state.has_speech_before(ms) for ms in (6000, 6300)] == [False, True]


def test_an_empty_final_does_not_settle_doubtful_audio() -> None:
    """Symptom: a session's last word was refused, as padding had closed an empty segment."""
    state = state_of((1000, 1400), answered_ms=1000)
    state.settle_words(1000, has_words=False)
    state.doubtful.assume(assumed(8000), 1000)
    state.settle_words(8000, has_words=False)
    assert not state.is_settled(1000, 1400)
    assert spans(state.declare_all(state.doubtful.pop(END_MS), LOST)) == [(1000, 1400)]


def test_doubtful_audio_is_replayed_unless_a_gap_covers_it() -> None:
    state = state_of((1000, 1400), (6000, 6300), answered_ms=500)
    state.doubtful.assume(assumed(8000), 500)
    state.answer(8000)
    assert state.doubtful.fail(0) == []
    assert state.replay_from_ms(None, 0) == 1000 - LEAD_IN_MS
    state.answer(3000)
    assert spans(state.abandon(9000, LOST)) == [(3000, 9000)]
    assert state.doubtful.pop(END_MS) == [(1000, 1400)]


SPANS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)))


class TestGapLedger:
    def test_only_undeclared_parts_of_a_stretch_are_declared(self) -> None:
        ledger = GapLedger("inbound")
        ledger.declare(80, 160, GapCause.CARRIER_LOSS)
        ledger.declare(400, 480, GapCause.BACKPRESSURE)
        assert ledger.declare(0, 500, GapCause.RECONNECT) == [
            TranscriptGap("inbound", start, end, GapCause.RECONNECT)
            for start, end in ((0, 80), (160, 400), (480, 500))
        ]
        assert ledger.declare(0, 500, GapCause.RECONNECT) == []
        assert ledger.total_ms == 500

    def test_empty_stretch_is_no_gap(self) -> None:
        assert GapLedger("inbound").declare(80, 80, GapCause.RECONNECT) == []

    def test_adjacent_stretches_are_merged_and_old_ones_dropped(self) -> None:
        ledger = GapLedger("inbound")
        for from_ms in (0, 160, 80):
            ledger.declare(from_ms, from_ms + 80, LOST)
        assert len(ledger) == 1
        ledger.drop_before(239)
        assert ledger.declare(0, 240, LOST) == []
        ledger.drop_before(240)
        assert (len(ledger), ledger.total_ms) == (0, 240)

    @given(SPANS)
    def test_each_millisecond_is_declared_once(self, spans: list[tuple[int, int]]) -> None:
        ledger = GapLedger("inbound")
        declared: list[int] = []
        expected: set[int] = set()
        for start, end in spans:
            for gap in ledger.declare(start, end, GapCause.RECONNECT):
                declared += range(gap.from_ms, gap.to_ms)
            expected.update(range(start, end))
        assert len(declared) == len(set(declared)) == ledger.total_ms
        assert set(declared) == expected
