"""The watch over a server that answers only speech."""

import pytest

from gateway.upstream.dialects.dialect import Answer, Speech
from gateway.upstream.speech_watch import SpeechWatch

PATIENCE_S = 8.0


def watch(mute_before: int = 0) -> SpeechWatch:
    return SpeechWatch(PATIENCE_S, mute_before=mute_before)


def loud(speech: SpeechWatch, from_ms: int, to_ms: int) -> None:
    """Send loud audio in real time, in chunks of 80 ms."""
    for at_ms in range(from_ms, to_ms, 80):
        speech.add_loud(at_ms, min(to_ms, at_ms + 80), at_ms / 1000)


def provisional(text: str, start_ms: int, end_ms: int) -> Answer:
    return Answer(text, start_ms, end_ms, None, replaces=True)


def final(text: str, start_ms: int, end_ms: int) -> Answer:
    return Answer(text, start_ms, end_ms, end_ms, replaces=True)


@pytest.mark.parametrize(
    ("mute_before", "loud_ms", "after_s", "is_mute"),
    [
        (0, 880, 8.0, False),
        (0, 1040, 7.9, False),
        (0, 1040, 8.0, True),
        (1, 7200, 16.0, False),
        (1, 9600, 15.9, False),
        (1, 9600, 16.0, True),
        (2, 9600, 32.0, False),
        (9, 128_000, 255.0, False),
        (9, 129_000, 256.0, True),
    ],
)
def test_a_session_is_mute_after_its_patience(
    mute_before: int, loud_ms: int, after_s: float, is_mute: bool
) -> None:
    speech = watch(mute_before)
    loud(speech, 0, loud_ms)
    assert speech.is_mute(after_s) is is_mute


def test_text_restarts_the_patience() -> None:
    speech = watch(mute_before=3)
    loud(speech, 0, 2000)
    speech.answer(provisional("one", 0, 500), 3.0)
    assert not speech.is_mute(10.9)
    assert speech.is_mute(11.0)


def test_short_sounds_add_up_until_the_next_text() -> None:
    """A server that has stopped must be found, although each answer of the caller is short."""
    speech = watch()
    for begin_ms in (0, 20_000, 40_000):
        loud(speech, begin_ms, begin_ms + 320)
        assert not speech.is_mute(begin_ms / 1000 + 8)
        assert not speech.lag_ms
    loud(speech, 60_000, 60_320)
    assert speech.is_mute(68)


def test_silence_reaches_to_the_next_loud_audio() -> None:
    speech = watch()
    assert speech.silence_ms(5000) == 5000
    loud(speech, 6000, 6400)
    assert speech.silence_ms(9000) == 5600
    speech.answer(provisional("one", 6000, 6400), 7.0)
    assert speech.silence_ms(9000) == 0
    speech.answer(final("one", 6000, 6400), 7.0)
    assert speech.silence_ms(9000) == 9000


class TestPause:
    def test_it_needs_as_much_silence_as_the_longest_pause_of_the_speech(self) -> None:
        speech = watch()
        loud(speech, 1000, 1800)
        loud(speech, 4800, 5600)
        speech.answer(provisional(" one two", 1000, 5600), 6.0)
        assert speech.pause(9.9, 20_000) is None
        assert speech.pause(10.0, 20_000) == Speech(1000, 5600)

    def test_the_server_must_have_received_as_much(self) -> None:
        speech = watch()
        loud(speech, 0, 800)
        speech.answer(provisional(" one", 0, 800), 1.0)
        assert speech.pause(9.0, 2799) is None
        assert speech.pause(9.4, 2800) is None  # it was sent at once: its answer may be on the way
        assert speech.pause(9.5, 2800)

    @pytest.mark.parametrize(
        ("text", "end_ms"),
        [(" one", 5000), (" one two three four", 3000)],
        ids=["too little text", "text that ends too early"],
    )
    def test_text_that_is_not_complete(self, text: str, end_ms: int) -> None:
        speech = watch()
        loud(speech, 0, 5000)
        speech.answer(provisional(text, 0, end_ms), 5.5)
        assert speech.pause(12.0, 15_000) is None
        assert speech.is_mute(13.5)

    @pytest.mark.parametrize(("arrives_s", "is_slow"), [(2.6, True), (1.0, False)])
    def test_text_of_a_slow_server_is_not_complete(self, arrives_s: float, is_slow: bool) -> None:
        """Symptom: words of a server slower than the call seemed to reach the end of the speech.

        Text that comes at once after audio that was sent at once is not late.
        """
        speech = watch()
        loud(speech, 0, 800)
        speech.answer(provisional(" one", 0, 1900), arrives_s)
        assert (speech.pause(9.5, 9000) is None) is is_slow

    def test_final_text_needs_none(self) -> None:
        speech = watch()
        loud(speech, 0, 800)
        speech.answer(final(" one", 0, 800), 1.0)
        assert speech.pause(9.0, 9000) is None


def test_text_after_a_long_wait_shows_what_a_second_session_has_lost() -> None:
    speech = watch(mute_before=1)
    loud(speech, 0, 12_000)
    speech.answer(provisional("one", 11_000, 12_000), 12.0)
    assert speech.has_lost
    speech = watch(mute_before=1)
    loud(speech, 0, 6000)
    speech.answer(provisional("one", 5000, 6000), 6.0)
    assert not speech.has_lost


@pytest.mark.parametrize(
    ("mute_before", "loud_ms", "is_doubtful", "is_missing"),
    [(0, 160, False, False), (0, 240, True, False), (1, 960, False, False), (1, 1040, True, True)],
)
def test_loud_audio_without_text_at_the_end(
    mute_before: int, loud_ms: int, is_doubtful: bool, is_missing: bool
) -> None:
    speech = watch(mute_before)
    loud(speech, 0, loud_ms)
    speech.end(loud_ms + 100)
    assert (speech.is_doubtful, speech.is_missing) == (is_doubtful, is_missing)
    speech.accept()
    assert (speech.is_doubtful, speech.lag_ms) == (False, 0)


def test_text_that_stays_provisional_ends_the_session() -> None:
    speech = watch()
    loud(speech, 0, 800)
    speech.answer(provisional(" one", 0, 800), 1.0)
    assert not speech.is_mute(12.9)
    assert speech.is_mute(13.0)


class TestConfirmedText:
    """Two sessions in a row were mute after the same text."""

    def test_it_is_that_of_a_session_which_repeats_the_one_before(self) -> None:
        speech = watch(mute_before=1)
        loud(speech, 0, 9000)
        speech.answer(provisional(" one", 0, 1000), 1.0)
        assert speech.confirmed == Speech(0, 1000)

    def test_text_that_comes_after_a_fast_replay_ends_where_it_can(self) -> None:
        """Symptom: after a fast replay, a short text ended where the audio did."""
        speech = watch(mute_before=1)
        loud(speech, 1000, 2000)
        loud(speech, 4000, 9000)
        speech.answer(provisional(" one", 1000, 8500), 9.0)
        assert speech.confirmed == Speech(1000, 4600)

    @pytest.mark.parametrize("mute_before", [0, 1])
    def test_text_of_later_audio_is_not(self, mute_before: int) -> None:
        speech = watch(mute_before)
        loud(speech, 0, 9000)
        assert speech.confirmed is None
        speech.answer(final(" one", 0, 1000), 1.0)
        speech.answer(provisional(" two", 1000, 2000), 2.0)
        assert speech.confirmed is None


def test_final_text_shows_that_provisional_text_was_late() -> None:
    """Symptom: a slow server's words covered speech that it had not received yet."""
    speech = watch()
    loud(speech, 0, 4000)
    speech.answer(provisional(" one", 0, 3900), 4.5)
    assert speech.lag_ms == 100
    speech.answer(final(" one", 0, 1000), 4.5)
    assert (speech.lag_ms, speech.silence_ms(9000)) == (3000, 600)
    assert speech.is_mute(13)


class TestServerThatAnswersNoise:
    def test_all_loud_audio_is_due_until_its_final_answer(self) -> None:
        speech = SpeechWatch(PATIENCE_S, answers_noise=True)
        loud(speech, 2000, 2800)
        speech.answer(provisional(" one", 2000, 2800), 3.0)
        assert speech.lag_ms == 2800
        speech.answer(provisional("", 2800, 2800), 4.0)
        assert (speech.silence_ms(9000), speech.lag_ms) == (1600, 2800)
        speech.answer(final("", 0, 2800), 5.0)
        assert (speech.silence_ms(9000), speech.lag_ms) == (9000, 0)

    def test_short_sounds_are_due_too(self) -> None:
        speech = SpeechWatch(PATIENCE_S, answers_noise=True)
        loud(speech, 0, 80)
        speech.answer(provisional("", 80, 80), 1.0)
        assert not speech.is_mute(8.9)
        assert speech.is_mute(9.0)
        assert not speech.is_doubtful

    def test_provisional_words_are_due(self) -> None:
        speech = SpeechWatch(PATIENCE_S, answers_noise=True)
        speech.answer(provisional(" one", 0, 80), 1.0)
        assert speech.silence_ms(9000) == 0
        assert not speech.is_mute(8.9)
        assert speech.is_mute(9.0)


def test_text_is_placed_where_it_is_loud() -> None:
    speech = watch()
    loud(speech, 1000, 1800)
    late = provisional("yes please", 1400, 4000)
    assert speech.place(late) == provisional("yes please", 1000, 1800)


def test_text_after_its_speech_was_taken_for_none_is_placed_there() -> None:
    """Symptom: a word seemed to be said seconds later, where no one spoke."""
    speech = watch()
    loud(speech, 1000, 1800)
    assert not speech.is_mute(10.0)  # too short to be speech
    late = provisional("yes please", 9000, 9800)
    speech.answer(late, 10.4)
    assert speech.place(late) == provisional("yes please", 1000, 1800)
    soft = provisional("yes please thanks", 11_500, 12_000)
    assert speech.place(soft) == soft  # no longer for that speech
    loud(speech, 11_000, 11_800)
    later = provisional("yes please thanks", 9000, 11_900)
    speech.answer(later, 12.5)
    assert speech.place(later) == provisional("yes please thanks", 9000, 11_800)
