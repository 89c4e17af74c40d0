"""What of a reply is published, and what is dropped."""

import contextlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.wrapup.checks import (
    MAX_SENTENCE,
    MAX_SENTENCES,
    RawReply,
    RawSentence,
    Sentence,
    check_reply,
    check_sentences,
    decode,
    is_supported,
    plain,
)
from workers.wrapup.failures import ModelError

SAID = {
    1: "Hello, I want to cancel my contract 8812345.",
    2: "Write to ann@example.com or see www.example.com/cancel .",
    3: "my number is 415 555 2671",
}


def check(*sentences: tuple[str, list[int]]) -> tuple[list[Sentence], dict[str, int]]:
    dropped: Counter[str] = Counter()
    kept = check_sentences([RawSentence(*each) for each in sentences], SAID, dropped)
    return kept, {kind: count for kind, count in dropped.items() if count}


def test_supported_sentences_are_kept_in_order_with_their_citations() -> None:
    kept, dropped = check(("B.", [2, 1, 2]), ("A.", [3]))
    assert kept == [Sentence("B.", (2, 1)), Sentence("A.", (3,))]
    assert dropped == {}


def test_sentence_is_supported_by_the_citations_that_are_published() -> None:
    """A number was accepted because of a citation that was cut from the sentence."""
    said = dict.fromkeys(range(1, 22), "Hello.") | {21: "My contract is 8812345."}
    raw = RawSentence("The contract is 8812345.", [*range(1, 22), 99])
    dropped: Counter[str] = Counter()
    assert check_sentences([raw], said, dropped) == []
    assert dropped == {"segment": 1, "unsupported": 1}
    (kept,) = check_sentences([raw], said | {20: "It is 8812345."}, dropped)
    assert kept.segments == tuple(range(1, 21))


@pytest.mark.parametrize(
    ("text", "segments", "why"),
    [
        ("It has no citation.", [], {"uncited": 1}),
        ("It cites what does not exist.", [4], {"uncited": 1, "segment": 1}),
        ("Numbers below 1 do not exist.", [0, -1], {"uncited": 1, "segment": 2}),
        ("", [1], {"empty": 1}),
        (" \u200b\u202e\n ", [1], {"empty": 1}),
        ("x" * (MAX_SENTENCE + 1), [1], {"too-long": 1}),
        ("See http://evil.example/a.", [1], {"unsupported": 1}),
        ("See evil.example.", [1], {"unsupported": 1}),
        ("See EVIL.EXAMPLE.", [1], {"unsupported": 1}),
        ("See ftp://10.0.0.1/x.", [1], {"unsupported": 1}),
        ("See javascript://x%0aalert(1).", [1], {"unsupported": 1}),
        ("Full width: \uff45\uff56\uff49\uff4c\uff0e\uff43\uff4f\uff4d.", [1], {"unsupported": 1}),
        ("An invisible character: evil.ex\u200bample.", [1], {"unsupported": 1}),
        ("Write to bob@evil.example.", [1], {"unsupported": 1}),
        ("Write to bob@localhost.", [1], {"unsupported": 1}),
        ("Call +1 (800) 555-0199 now.", [1], {"unsupported": 1}),
        ("Call 80055.", [1], {"unsupported": 1}),
        ("Arabic digits: \u0661\u0662\u0663\u0664\u0665.", [1], {"unsupported": 1}),
        ("A number of another segment: 415 555 2671.", [1], {"unsupported": 1}),
        ("An address of another segment: ann@example.com.", [1], {"unsupported": 1}),
        ("A [link](x).", [1], {"unsupported": 1}),
        ("An <img src=x>.", [1], {"unsupported": 1}),
        ("A </p>.", [1], {"unsupported": 1}),
    ],
)
def test_unsupported_sentence_is_dropped_and_counted(
    text: str, segments: list[int], why: dict[str, int]
) -> None:
    kept, dropped = check((text, segments), ("Kept.", [1]))
    assert kept == [Sentence("Kept.", (1,))]
    assert dropped == why


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("x" * MAX_SENTENCE, [1]),
        ("Contract 8812345 is cancelled.", [1]),
        ("The customer's number is (415) 555-2671.", [3]),
        ("The address is ann@example.com.", [2]),
        ("The page is www.example.com/cancel.", [1, 2]),
        ("It costs 300 dollars, e.g. for 12 months, i.e. 3,600.", [1]),
        ("They agreed.Then it ended at 5 p.m.", [1]),
        ("The card [card] was charged; 5 < 6 and 7 > 6.", [1]),
    ],
)
def test_what_was_said_may_be_repeated(text: str, segments: list[int]) -> None:
    kept, dropped = check((text, segments))
    assert [each.text for each in kept] == [text]
    assert dropped == {}


def test_citation_that_does_not_exist_is_dropped_from_a_supported_sentence() -> None:
    kept, dropped = check(("It is supported.", [9, 1]))
    assert kept == [Sentence("It is supported.", (1,))]
    assert dropped == {"segment": 1}


def test_sentences_beyond_the_limit_are_dropped() -> None:
    kept, dropped = check(*[(f"Sentence {n}.", [1]) for n in range(MAX_SENTENCES + 2)])
    assert len(kept) == MAX_SENTENCES
    assert dropped == {"too-many": 2}


@pytest.mark.parametrize(
    ("chosen", "expected", "dropped"),
    [
        ("sale", "sale", 0),
        (" No  Sale ", "no sale", 0),
        ("approved by the caller", None, 1),
        ("", None, 0),
        (None, None, 0),
    ],
)
def test_disposition_is_one_of_the_list(chosen: Any, expected: str | None, dropped: int) -> None:
    counts: Counter[str] = Counter()
    checked = check_reply(RawReply([], [], chosen), SAID, ["sale", "no sale"], counts)
    assert (checked.disposition, counts["disposition"]) == (expected, dropped)


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "  {}\n", "```\n{}```"])
def test_reply_may_be_in_a_code_block(fence: str) -> None:
    text = fence.replace("{}", '{"summary": [{"text": "A.", "segments": ["1", 2]}]}')
    assert decode(text, RawReply) == RawReply([RawSentence("A.", [1, 2])])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm sorry, but I can't help with that.",
        "[]",
        "{}",
        '{"summary": "all is well"}',
        '{"summary": [{"text": "A."}]}',
        '{"summary": [{"text": "A.", "segments": [1.5]}]}',
        '{"summary": [{"text": null, "segments": [1]}]}',
        '{"summary": [{"text": "A.", "segments": [1e999]}]}',
        '{"summary": ' + "[" * 100_000,
        '{"summary": [{"text": "\ud800", "segments": [1]}]}',
        '{"summary": []} and a postscript',
    ],
)
def test_other_replies_are_malformed(text: str) -> None:
    with pytest.raises(ModelError, match=r"^malformed$"):
        decode(text, RawReply)


@settings(max_examples=30)
@given(st.text())
def test_any_text_is_a_reply_or_a_documented_error(text: str) -> None:
    with contextlib.suppress(ModelError):
        assert isinstance(decode(text, RawReply), RawReply)


@settings(max_examples=30)
@given(st.text(), st.text())
def test_text_is_supported_by_itself(text: str, more: str) -> None:
    source = plain(f"{more} {text}")
    if not any(each in source for each in ("<", "](", "```")):
        assert is_supported(plain(text), source)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text(), st.lists(st.integers(-3, 5)))))
def test_what_is_kept_is_cited_plain_and_counted(sentences: list[tuple[str, list[int]]]) -> None:
    kept, dropped = check(*sentences)
    for each in kept:
        assert each.segments
        assert set(each.segments) <= SAID.keys()
        assert each.text == plain(each.text)
    assert len(kept) + sum(dropped.values()) - dropped.get("segment", 0) == len(sentences)


def test_representations_have_no_content() -> None:
    raw = RawSentence("secret phrase", [1])
    assert "secret" not in repr(raw)
    assert "secret" not in repr(RawReply([raw]))
    with pytest.raises(ModelError) as caught:
        decode('{"summary": "secret phrase"}', RawReply)
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
