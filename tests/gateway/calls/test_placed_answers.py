"""Where answers are placed after audio was taken for silence."""

import pytest

from gateway.calls.placed_answers import AnswerPlacer, PlacedAnswer
from gateway.transcript.session_timeline import SessionTimeline
from gateway.upstream.dialects.dialect import Answer


@pytest.mark.parametrize(("is_assumed", "start_ms"), [(True, 160), (False, 4000)])
def test_late_text_is_where_its_speech_was_taken_for_silence(
    is_assumed: bool, start_ms: int
) -> None:
    """Symptom: words that a slow server sent after seconds were placed where it sent them."""
    placed: list[PlacedAnswer] = []
    timeline = SessionTimeline()
    placer = AnswerPlacer(timeline, placed.append, lambda: 9.0, is_current=True)
    for n in range(75):
        timeline.record_sent(80 * n, 80 * n + 80, 80, n / 12.5)
    for until_ms in (4000, 5000):
        placer.answer_for_server(until_ms, is_assumed=is_assumed)
    placer.place(Answer("hello", 160, 480, None), 9.0)
    assert placed[-1].placement.start_ms == start_ms
