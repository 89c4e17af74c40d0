"""Words and snippets: texts are cut like queries, and highlights are where the words are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.search.indexes import NOW
from workers.search.query import Phrase, Query, parse
from workers.search.snippets import Snippet, snippet, utf16
from workers.search.words import locate, normalize, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("naïve Ärger", ["naive", "arger"]),
        ("na\u0131\u0308ve", ["na\u0131ve"]),
        ("\uff26\uff55\uff4c\uff4c\u3000\uff37", ["full", "w"]),  # full width
        ("e-mail snake_case", ["e", "mail", "snake", "case"]),
        ("½ ² Ⅳ", ["1", "2", "2", "iv"]),
        ("東京でRefund", ["東", "京", "で", "refund"]),
        ("한국어 검색", ["한국어", "검색"]),
        ("x" * 200, ["x" * 64]),
        ("… — 🙂", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(st.text())
def test_words_of_a_text_are_those_that_are_located(text: str) -> None:
    located = locate(normalize(text))
    assert [each.folded for each in located] == words(text)
    assert all(0 <= each.start < each.end <= len(normalize(text)) for each in located)


@given(st.text())
def test_folded_words_are_words(text: str) -> None:
    """Symptom to prevent: a query for a word as it is shown does not find it."""
    for word in words(text):
        assert words(word) == [word]


def shown(text: str, query: str) -> str:
    """Return a snippet with its highlights in brackets."""
    found = snippet(text, parse(query, NOW))
    marked, end = "", 0
    for begin, until in found.highlights:
        marked += f"{found.text[end:begin]}[{found.text[begin:until]}]"
        end = until
    return marked + found.text[end:]


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("I want a refund.", "refund", "I want a [refund]."),
        ("Refund, REFUND!", "refund", "[Refund], [REFUND]!"),
        ("the bank account bank", '"bank account"', "the [bank account] bank"),
        ("pay payment repay", "pay*", "[pay] [payment] repay"),
        ("Eine Rückerstattung", "ruckerstattung", "Eine [Rückerstattung]"),
        ("aa aa aa", '"aa aa"', "[aa aa aa]"),
        ("東京です", "京", "東[京]です"),
        ("a word", "role:agent", "a word"),
        ("one two", "two one -three", "[one] [two]"),
    ],
)
def test_highlights(text: str, query: str, marked: str) -> None:
    assert shown(text, query) == marked


def test_long_text_is_cut_around_the_first_match() -> None:
    text = f"{'before ' * 100}refund {'after ' * 100}"
    found = snippet(text, parse("refund", NOW))
    assert len(found.text) < 330
    assert found.text.startswith("…before ")
    assert found.text.endswith("after…")
    [(begin, end)] = found.highlights
    assert found.text[begin:end] == "refund"


@given(st.text(), st.lists(st.text(max_size=4), max_size=3))
def test_highlights_are_in_order_and_inside(text: str, wanted: list[str]) -> None:
    query = Query(tuple(Phrase(tuple(words(each))) for each in wanted if words(each)))
    found = snippet(text, query)
    ends = [end for mark in found.highlights for end in mark]
    assert ends == sorted(ends)
    assert all(0 <= each <= len(found.text) for each in ends)
    assert text == "" or text not in repr(found) or len(text) < 30


def test_positions_for_javascript_count_surrogates() -> None:
    assert utf16(Snippet("🙂 hi", [(2, 4)])) == Snippet("🙂 hi", [(3, 5)])
