"""One session's audio as turns: what is sent, and the answers that the turns' answers make."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.pipeline import BYTES_PER_MS, AudioChunk
from gateway.calls.turn_audio import Rest, TurnAudio
from gateway.transcript.session_timeline import Placement
from gateway.upstream.dialects.dialect import Answer, Speech
from gateway.upstream.turns import Quiet

CHUNK_MS = 80
LOUD = (np.random.default_rng(1).standard_normal(CHUNK_MS * 16) * 3000).astype("<i2").tobytes()
QUIET = bytes(len(LOUD))


class Session:
    """A session that accepts audio while it has room, and that the test answers."""

    def __init__(self, longest_ms: int = 4000) -> None:
        self.room = 1_000_000
        self.sent: list[AudioChunk] = []
        self.cuts: list[tuple[int, Speech]] = []  # and how much audio was sent before
        self.quiet: list[Quiet] = []
        self.ends_ms = 0
        self.turns = TurnAudio(
            longest_ms,
            1000,
            send=self.send,
            cut=lambda speech: self.cuts.append((self.position_ms, speech)),
            on_quiet=self.quiet.append,
            position_ms=lambda: self.position_ms,
        )

    @property
    def position_ms(self) -> int:
        return sum(len(chunk.pcm) for chunk in self.sent) // BYTES_PER_MS

    def send(self, chunk: AudioChunk, received_s: float) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.sent.append(chunk)
        return True

    def hear(self, levels: str) -> bool:
        """Append a chunk per letter: S is loud."""
        taken = True
        for letter in levels:
            pcm = LOUD if letter == "S" else QUIET
            chunk = AudioChunk(pcm, self.ends_ms, self.ends_ms + CHUNK_MS)
            taken = self.turns.append(chunk, 0.0)
            self.ends_ms += CHUNK_MS if taken else 0
        return taken

    def answer(self, text: str) -> list[Answer]:
        """Answer the oldest turn."""
        until_ms, speech = self.cuts.pop(0)
        answer = Answer(text, speech.start_ms, speech.end_ms, until_ms, replaces=True)
        return list(self.turns.place(answer))

    def begin_answer(self, text: str, *, replaces: bool = True) -> list[Answer]:
        answer = Answer(text, 0, self.position_ms, None, replaces=replaces)
        return list(self.turns.place(answer))


def test_an_utterance_is_one_turn_and_its_answer_ends_the_segment() -> None:
    session = Session()
    session.hear("." * 20 + "S" * 10 + "." * 20)
    assert session.cuts == [(2240, Speech(400, 1200))]  # after 400 ms of lead-in
    assert session.answer(" Hello.") == [
        Answer(" Hello.", 400, 1200, 2240, replaces=True, ends_segment=True)
    ]


def test_provisional_text_begins_where_the_speech_does() -> None:
    """Else a segment would not end at the pause before it, until the turn is answered."""
    session = Session()
    session.hear("." * 20 + "S" * 10)
    assert [answer.start_ms for answer in session.begin_answer(" Hello there")] == [400]
    session.hear("." * 20)
    assert [answer.start_ms for answer in session.begin_answer(" Hello there you")] == [400]


def test_quiet_audio_is_answered_after_the_turn_before_it() -> None:
    session = Session()
    session.hear("." * 10)
    assert [each.chunk.end_ms for each in session.quiet] == [80, 160, 240, 320, 400]
    session.hear("S" * 5 + "." * 40)
    assert len(session.quiet) == 5
    session.answer(" Hello.")
    newest = session.turns.pop_quiet()
    assert newest is not None
    assert newest.chunk.end_ms == session.ends_ms - 400  # the lead-in of the next turn
    assert session.turns.pop_quiet() is None


def test_the_words_of_an_overlap_are_provisional_until_the_next_turn_has_them() -> None:
    session = Session()
    session.hear("S" * 60)
    session.turns.end()
    [first] = session.answer(" one two three four five six seven eight nine te.")
    assert (first.text, first.provisional) == (" one two three four", " five six seven eight nine")
    assert first.until_ms is not None
    assert first.until_ms < 4000 - 1200
    assert not first.ends_segment
    [last] = session.answer(" eight nine ten eleven.")
    assert last.text == " five six seven eight nine ten eleven."
    assert (last.start_ms, last.ends_segment) == (first.until_ms, True)


def test_a_pause_within_an_utterance_has_no_overlap() -> None:
    session = Session()
    session.hear("S" * 33 + "." * 5 + "S" * 20)
    session.turns.end()
    assert session.answer(" one two") == [Answer(" one two", 0, 2640, 3040, replaces=True)]
    [last] = session.answer(" two three")
    assert (last.text, last.ends_segment) == (" two three", True)


@pytest.mark.parametrize("replaces", [False, True])
def test_provisional_text_has_no_incomplete_word(replaces: bool) -> None:
    session = Session()
    session.hear("S" * 10)
    shown, text = list[list[str]](), ""
    for piece in (" one", ".", " two", " thr", "ee", ", four"):
        text = text + piece if replaces else piece
        answers = session.begin_answer(text, replaces=replaces)
        shown.append([answer.text for answer in answers])
    assert shown == [[], [], [" one"], [" one. two"], [], [" one. two three"]]


def test_provisional_text_at_a_seam_only_grows() -> None:
    session = Session()
    session.hear("S" * 60)
    [first] = session.answer(" one two three four five six.")
    shown = [f"{first.provisional}"]
    for text in (" Five", " Five six", " Five six seven", " Five six seven eight"):
        shown += [each.text for each in session.begin_answer(text)]
    assert all(after.startswith(before) for before, after in pairwise(shown))
    assert shown[-1].endswith(" four five six seven")


def test_a_turn_that_was_missed_leaves_the_words_before_it() -> None:
    session = Session()
    session.hear("S" * 60)
    [first] = session.answer(" one two three four five six")
    until_ms, speech = 8000, Speech(4000, 8000)
    missed = Answer("", speech.start_ms, speech.end_ms, until_ms, is_missed=True)
    [kept, gap] = session.turns.place(missed)
    assert (first.text + kept.text, gap) == (" one two three four five six", missed)
    assert (kept.until_ms, kept.start_ms) == (4000, first.until_ms)


def test_what_the_session_does_not_accept_waits() -> None:
    session = Session()
    session.room = 0
    assert session.hear("S")
    assert not session.hear("S")  # the chunk is not taken
    session.room = 1
    assert session.turns.flush()
    assert len(session.sent) == 1


@given(
    st.text(".S", max_size=300),
    st.lists(st.integers(0, 30), max_size=30),
    st.sampled_from([2000, 4000, 15_000]),
)
def test_back_pressure_changes_nothing(levels: str, rooms: list[int], longest_ms: int) -> None:
    """The audio and the turns are the same, whenever the session accepts audio."""
    free, slow = Session(longest_ms), Session(longest_ms)
    free.hear(levels)
    free.turns.end()
    slow.room = 0
    for letter in levels:
        while not slow.hear(letter):
            slow.room += rooms.pop() if rooms else 1
    slow.room = 1_000_000
    slow.turns.end()
    assert slow.turns.flush()
    assert [chunk.start_ms for chunk in slow.sent] == [chunk.start_ms for chunk in free.sent]
    assert slow.cuts == free.cuts


words = st.lists(st.sampled_from(["it", "was", "the", "age", "of"]), min_size=1, max_size=12)


@pytest.mark.parametrize("longest_ms", [2000, 4000])
@given(st.text(".S", max_size=300), st.lists(words, min_size=20, max_size=20))
def test_answers_are_in_order(longest_ms: int, levels: str, texts: list[list[str]]) -> None:
    """Final answers advance, and lie within the audio that was sent."""
    session = Session(longest_ms)
    session.hear(levels)
    session.turns.end()
    answered_ms = 0
    for text in texts[: len(session.cuts)]:
        end_ms = session.cuts[0][0]
        for answer in session.answer("".join(f" {word}" for word in text)):
            assert answer.until_ms is not None
            assert answered_ms <= answer.until_ms <= end_ms
            assert answer.start_ms <= answer.end_ms <= end_ms
            answered_ms = answer.until_ms


# Between sessions

QUIET_CHUNK = AudioChunk(bytes(2560), 1000, 1080)
LOUD_CHUNK = AudioChunk(b"\x00\x40" * 1280, 1080, 1160)


def test_silence_is_answered_and_speech_refused() -> None:
    answered: list[Placement] = []
    refused: list[bool] = []
    rest = Rest(answered.append, lambda: refused.append(True))
    assert rest.append(QUIET_CHUNK, 5.0)
    assert not refused
    assert not rest.append(LOUD_CHUNK, 6.0)
    assert answered == [Placement(1000, 1080, 5.0)]
    assert refused == [True]
