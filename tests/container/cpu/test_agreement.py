"""Local agreement emits words once and in order, even if the model revises its hypotheses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu.agreement import LocalAgreement, words_of

SENTENCES = st.lists(st.sampled_from(["it", "was", "the", "best", "of"]), max_size=12)


def emitted(*hypotheses: str) -> list[str]:
    """Return what is emitted after each hypothesis; the last one is the closed window's."""
    agreement = LocalAgreement()
    *growing, final = [hypothesis.split() for hypothesis in hypotheses]
    texts = [agreement.revise(words) for words in growing]
    return [" ".join(words) for words in (*texts, agreement.conclude(final))]


@pytest.mark.parametrize(
    ("hypotheses", "expected"),
    [
        (["It was the best."], ["It was the best."]),
        (["It was", "It was the", "It was the best."], ["", "It", "was the best."]),
        # words are emitted only if the second hypothesis agrees
        (["It is a", "It was the best", "It was the best of"], ["", "It", "was the best of"]),
        # case and punctuation are ignored; the newer form is emitted
        (["the times, it", "the times. It was"], ["", "the times. It was"]),
        (["the times, it was", "The times. it was a", "x"], ["", "The times. it", ""]),
        # emitted words stay, and new words are added once
        (
            ["That some of", "That some of its", "The sum of its noise"],
            ["", "That some", "of its noise"],
        ),
        (["You", "", ""], ["", "", ""]),
        # the last word's mark is taken from the hypothesis in which the next word is agreed
        (
            ["The day? I", "The day? I went", "The day I went and fetched"],
            ["", "The day", "I went and fetched"],
        ),
        (
            ["good or evil, in", "good or evil, in the", "good or evil in the"],
            ["", "good or evil", "in the"],
        ),
        (
            ["good or evil and", "good or evil and the", "good or evil, and the"],
            ["", "good or evil", ", and the"],
        ),
        (["that ditch is", "that ditch is", "that ditch."], ["", "that ditch", "."]),
    ],
)
def test_emits_words_that_two_hypotheses_agree_on(
    hypotheses: list[str], expected: list[str]
) -> None:
    assert emitted(*hypotheses) == expected


@given(SENTENCES, st.data())
def test_growing_hypotheses_emit_each_word_once(words: list[str], data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(words)), max_size=6)))
    agreement = LocalAgreement()
    spoken: list[str] = []
    for end in ends:
        spoken += agreement.revise(words[:end])
        assert spoken == words[: len(spoken)]
    assert spoken + agreement.conclude(words) == words


@given(st.lists(SENTENCES, max_size=5), SENTENCES)
def test_emits_only_words_of_the_hypotheses(growing: list[list[str]], final: list[str]) -> None:
    agreement = LocalAgreement()
    spoken = [word for hypothesis in growing for word in agreement.revise(hypothesis)]
    assert len(spoken) <= sum(map(len, growing))
    rest = agreement.conclude(final)
    assert rest == final[len(final) - len(rest) :]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("In short,, the period", ["In", "short,", "the", "period"]),
        ("In short , the period .", ["In", "short,", "the", "period."]),
        ("hope., it was", ["hope.", "it", "was"]),
        ("Well ... yes?!", ["Well.", "yes?"]),
        (", and then - it's 3.5, at 9:30", ["and", "then", "it's", "3.5,", "at", "9:30"]),
        ("...", []),
        ("", []),
    ],
)
def test_a_word_has_at_most_one_mark(text: str, words: list[str]) -> None:
    """Symptom: a transcript contained "In short,, the period"."""
    assert words_of(text) == words


@given(st.text(alphabet="ab ,;:.!?'"))
def test_removing_marks_keeps_all_words(text: str) -> None:
    letters = [part for part in text.split() if any(letter.isalnum() for letter in part)]
    plain = "".join(letter for letter in text if letter.isalnum())
    assert "".join(filter(str.isalnum, "".join(words_of(text)))) == plain
    assert len(words_of(text)) <= len(letters)
