"""The positions of provisional text, which are estimates until it is final."""

from gateway.transcript.events import FinalReason, TranscriptDelta, TranscriptFinal
from gateway.transcript.segmenter import Segmenter
from gateway.transcript.session_timeline import Placement

type Events = list[TranscriptDelta | TranscriptFinal]


def show(segmenter: Segmenter, text: str, start_ms: int, end_ms: int) -> Events:
    return segmenter.replace(text, "", Placement(start_ms, end_ms, 0.0), 9.0, answered_ms=None)


def end(segmenter: Segmenter, text: str, rest: str, start_ms: int, end_ms: int) -> Events:
    return segmenter.replace(text, rest, Placement(start_ms, end_ms, 0.0), 9.0, answered_ms=end_ms)


def spans(events: Events) -> list[tuple[int, int]]:
    return [(event.start_ms, event.end_ms) for event in events]


def test_a_delta_begins_where_the_one_before_ended() -> None:
    segmenter = Segmenter("inbound", "customer")
    events = show(segmenter, "one", 1000, 1500) + show(segmenter, "one two", 1000, 2300)
    assert spans(events) == [(1000, 1500), (1500, 2300)]


def test_a_segment_begins_where_all_its_provisional_text_does() -> None:
    segmenter = Segmenter("inbound", "customer")
    show(segmenter, "one", 1000, 1500)
    show(segmenter, "one two three", 600, 1500)
    assert segmenter.open_from_ms == 600
    end(segmenter, "one", " two three", 600, 800)
    show(segmenter, " two three four", 500, 1500)
    assert segmenter.open_from_ms == 600


def test_final_text_corrects_the_times() -> None:
    segmenter = Segmenter("inbound", "customer")
    show(segmenter, "one", 1000, 1500)
    show(segmenter, "one two", 1000, 2300)
    assert not end(segmenter, "one two", "", 400, 1400)
    assert (segmenter.open_from_ms, segmenter.end_ms) == (400, 1400)
    assert spans(segmenter.close(FinalReason.PAUSE)) == [(400, 1400)]


def test_final_text_keeps_the_times_of_what_follows() -> None:
    segmenter = Segmenter("inbound", "customer")
    show(segmenter, "one two", 1000, 2300)
    show(segmenter, "one two three", 1000, 3000)
    assert not end(segmenter, "one two", " three", 400, 1400)
    assert (segmenter.open_from_ms, segmenter.end_ms) == (400, 3000)
    end(segmenter, " three", "", 1600, 2500)
    assert spans(segmenter.close(FinalReason.PAUSE)) == [(400, 2500)]


def test_a_second_final_text_keeps_the_start() -> None:
    segmenter = Segmenter("inbound", "customer")
    end(segmenter, "one", "", 400, 1400)
    end(segmenter, " two", "", 1500, 2000)
    assert spans(segmenter.close(FinalReason.PAUSE)) == [(400, 2000)]
