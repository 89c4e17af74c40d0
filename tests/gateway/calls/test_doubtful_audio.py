"""Tests for gateway.calls.doubtful_audio."""

from typing import Final

from gateway.audio.loudness import LoudRuns
from gateway.calls.doubtful_audio import Confirmed, DoubtfulAudio, MediaSpan
from tests.gateway.calls.answers import answered, assumed

LOUD: Final = [(1000, 1400), (6000, 6300)]
END_MS: Final = 10_000


def doubtful_of(*spans: MediaSpan) -> DoubtfulAudio:
    loud = LoudRuns()
    for span in spans:
        loud.note(*span)
    return DoubtfulAudio(loud)


def assuming(until_ms: int = 8000) -> DoubtfulAudio:
    doubtful = doubtful_of(*LOUD)
    doubtful.assume(assumed(until_ms), 500)
    return doubtful


class TestAssumed:
    """The server has sent nothing for loud audio."""

    def test_later_text_shows_that_it_has_no_words(self) -> None:
        doubtful = assuming()
        assert (doubtful.has_any, doubtful.has_assumed, doubtful.start_ms) == (True, True, 1000)
        assert doubtful.confirm(answered("yes", 8000, 9000), None) == Confirmed(700)
        assert (doubtful.has_any, doubtful.has_assumed, doubtful.start_ms) == (False, False, None)
        assert doubtful.pop(END_MS) == []

    def test_provisional_text_shows_nothing(self) -> None:
        doubtful = assuming()
        assert doubtful.confirm(answered("ye", 8000, 9000, is_final=False), None) == Confirmed()
        assert doubtful.has_assumed

    def test_the_last_answer_shows_that_it_has_no_words_but_those_of_the_open_segment(self) -> None:
        doubtful = assuming()
        assert doubtful.confirm(answered("", 8000, 9000), 6000) == Confirmed(400)
        assert not doubtful.has_any

    def test_text_for_it_is_no_noise(self) -> None:
        doubtful = assuming()
        assert doubtful.confirm(answered("yes", 6000, 7000), None) == Confirmed(400)
        assert not doubtful.has_assumed

    def test_it_is_sent_again_if_the_session_fails(self) -> None:
        doubtful = assuming()
        assert doubtful.fail(0) == []
        assert doubtful.replay_from_ms == 1000
        doubtful.assume(assumed(8000), 200)  # by the next session, too
        assert doubtful.confirm(answered("yes", 8500, 9000), None) == Confirmed(700)

    def test_it_is_missing_if_it_can_not_be_sent_again(self) -> None:
        doubtful = assuming()
        assert doubtful.fail(7000) == LOUD
        assert not doubtful.has_any

    def test_words_for_what_is_sent_again_show_that_the_rest_is_missing(self) -> None:
        doubtful = assuming()
        assert doubtful.fail(3000) == []
        assert doubtful.replay_from_ms == 6000
        assert doubtful.confirm(answered("yes", 6000, 7000), None) == Confirmed(0, LOUD[:1])

    def test_no_words_for_what_is_sent_again_show_that_the_rest_has_none(self) -> None:
        doubtful = assuming()
        doubtful.fail(3000)
        assert doubtful.confirm(answered("yes", 6500, 7000), None) == Confirmed(700)

    def test_what_a_gap_covers_is_not_missing_twice(self) -> None:
        doubtful = assuming()
        doubtful.drop_after(3000)
        assert doubtful.pop(END_MS) == LOUD[:1]


class TestSpoken:
    """Text without times was taken for all text of its speech."""

    def spoken(self) -> DoubtfulAudio:
        doubtful = doubtful_of((1000, 1900))
        doubtful.assume(assumed(3000, "well", start_ms=1000, end_ms=1860), 500)
        return doubtful

    def test_what_the_text_can_not_reach_is_assumed_to_have_no_words(self) -> None:
        assert self.spoken().pop(END_MS) == [(1860, 1900)]

    def test_it_is_counted_if_it_can_not_be_sent_again(self) -> None:
        """Symptom: the next session failed, too, and nothing showed that words may be missing."""
        doubtful = self.spoken()
        assert doubtful.pop_spoken_ms(1300) == 300
        assert doubtful.has_any
        assert doubtful.pop_spoken_ms(END_MS) == 560

    def test_so_is_the_end_of_a_word_if_its_server_has_left_it_out(self) -> None:
        doubtful = doubtful_of()
        doubtful.word_end = [(1000, 1240)]
        doubtful.assume(assumed(3000), 1000)
        assert not doubtful.has_assumed
        assert doubtful.pop_spoken_ms(END_MS) == 240
        doubtful.assume(assumed(4000), 3000)
        assert not doubtful.has_any

    def test_a_later_answer_shows_that_it_was_complete(self) -> None:
        doubtful = self.spoken()
        doubtful.confirm(answered("", 3000, 4000), None)
        assert not doubtful.has_any
        assert doubtful.pop_spoken_ms(END_MS) == 0
