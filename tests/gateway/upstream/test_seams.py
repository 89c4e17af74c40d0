"""Joining of two turns' texts at a seam."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.seams import certain, join, split_tail

ROWS = {
    "cut words": (
        " I would like to change my addr",
        " to change my address, please",
        " I would like to change my address, please",
    ),
    "a word cut at its beginning": (
        " change my address",
        " dress, please",
        " change my address, please",
    ),
    "a sentence that ends and one that begins at the cut": (
        " the season of Light. It was the season.",
        " It was the season of Darkness.",
        " the season of Light. It was the season of Darkness.",
    ),
    "only one word, at both edges": (
        " it was the season of Darkness.",
        " Darkness, it was the spring",
        " it was the season of Darkness, it was the spring",
    ),
    "repeated phrases: the overlap is at the end, not where most words agree": (
        " it was the age of wisdom, it was the",
        " it was the age of foolishness",
        " it was the age of wisdom, it was the age of foolishness",
    ),
    "a word that was said twice": (
        " it was very, very",
        " very, very good",
        " it was very, very good",
    ),
    "a word misrecognized at the end": (
        " we had nothing before ass.",
        " had nothing before us, we were",
        " we had nothing before us, we were",
    ),
    "a word misrecognized at the beginning": (
        " in the superlative degree of",
        " Live degree of comparison only",
        " in the superlative degree of comparison only",
    ),
    "a word that only one has": (
        " and then we will just go there on",
        " we will go there on Monday",
        " and then we will just go there on Monday",
    ),
    "no common word: nothing is dropped": (" one two", " three four", " one two three four"),
    "far more that differs than agrees": (
        " a b c d the",
        " e f g h the i",
        " a b c d the e f g h the i",
    ),
    "the second turn has no words": (" one two", "", " one two"),
    "the first turn has no words": ("", " one two", " one two"),
    "no spaces between words": ("我想换我的地", "换我的地址。谢谢", "我想换我的地址。谢谢"),
    "no spaces, punctuation at the cut": ("今天天气很好。", "天气很好、我们", "今天天气很好、我们"),
}


@pytest.mark.parametrize(("tail", "text", "joined"), ROWS.values(), ids=ROWS)
def test_join(tail: str, text: str, joined: str) -> None:
    assert join(tail, text, is_complete=True) == joined


def test_an_incomplete_text_changes_nothing_until_it_continues_the_tail() -> None:
    tail, text = " it was the winter of desp.", " the winter of despair, we had"
    words = text.split()
    shown = [
        join(tail, "".join(f" {word}" for word in words[:count]), is_complete=False)
        for count in range(len(words) + 1)
    ]
    assert shown == [
        *[tail] * 5,
        " it was the winter of despair, we",
        " it was the winter of despair, we had",
    ]


plain = st.text("abcdefgh", min_size=2, max_size=6)


@given(st.lists(plain, min_size=4, max_size=30, unique=True), st.data())
def test_what_two_perfect_turns_say_is_said_once(words: list[str], data: st.DataObject) -> None:
    """Whatever the overlap, and however the word at the cut was recognized."""
    text = [f" {word}" for word in words]
    end = data.draw(st.integers(2, len(words)))
    begin = data.draw(st.integers(0, end - 2))
    recognized = text[:end]
    recognized[-1] = data.draw(st.sampled_from(["", recognized[-1], recognized[-1][:-1]]))
    assert join("".join(recognized), "".join(text[begin:]), is_complete=True) == "".join(text)


spoken = st.lists(st.sampled_from([" it", " was", " the", " It", " age,", " of."]), max_size=20)


@given(spoken, spoken)
def test_no_word_beyond_the_overlap_is_lost(first: list[str], second: list[str]) -> None:
    """The words before the overlap are the first text's, those after it the second text's."""
    tail, text = "".join(first), "".join(second)
    joined = join(tail, text, is_complete=True).split()
    assert len(joined) >= max(len(first), len(second)) - 1
    assert len(joined) <= len(first) + len(second)
    ends = [word.strip(" ,.").lower() for word in second[2 * len(first) :]]  # not compared
    assert [word.strip(",.").lower() for word in joined[len(joined) - len(ends) :]] == ends


@given(spoken, spoken)
def test_certain_words_stay(first: list[str], second: list[str]) -> None:
    tail = "".join(first)
    shown = certain(tail)
    assert tail.startswith(shown)
    assert len(shown.split()) == max(0, len(first) - 1)
    assert join(tail, "", is_complete=False) == tail


@given(st.text(), st.floats(0, 1))
def test_a_split_keeps_the_text(text: str, share: float) -> None:
    head, tail = split_tail(text, share)
    assert head + tail == text.rstrip()
    assert bool(tail) == bool(text.strip())


@pytest.mark.parametrize("words", [5, 23, 46, 62])
def test_a_split_between_words_of_even_speech_is_exact(words: int) -> None:
    """Symptom: the word before a seam was published with the time of the segment after it."""
    for kept in range(1, words):
        head, _ = split_tail(" 3f5c91aa" * words, 1 - kept / words)
        assert len(head.split()) == kept
        head, _ = split_tail(" 3f5c91aa" * words, (words - kept) / words)
        assert len(head.split()) == kept


@given(st.text(), st.text(), st.booleans())
def test_any_text_is_joined(tail: str, text: str, is_complete: bool) -> None:
    joined = join(tail, text, is_complete=is_complete)
    assert len(joined) <= len(tail) + len(text)
