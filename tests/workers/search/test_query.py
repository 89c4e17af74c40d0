"""The query language: what each query means, what is refused and where, and any text."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.search.indexes import NOW
from workers.search.query import (
    MAX_CHARS,
    MAX_TERMS,
    MAX_WORDS,
    MESSAGES,
    Field,
    Filter,
    Phrase,
    Query,
    QueryError,
    parse,
)

_DAY_MS: Final = 86_400_000


def ms(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def phrases(*texts: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(tuple(text.split())) for text in texts)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("refund", Query(phrases("refund"))),
        ("  Refund   PLEASE ", Query(phrases("refund", "please"))),
        ('"bank account"', Query(phrases("bank account"))),
        ('"bank  Account" now', Query(phrases("bank account", "now"))),
        ("don't", Query(phrases("don t"))),
        ("covid-19", Query(phrases("covid 19"))),
        ("10:30", Query(phrases("10 30"))),
        ("Rückerstattung ÉTÉ", Query(phrases("ruckerstattung", "ete"))),
        ("STRASSE straße", Query(phrases("strasse", "strasse"))),
        ("返金", Query(phrases("返 金"))),
        ("refund -cancel", Query(phrases("refund"), phrases("cancel"))),
        ('a -"b c"', Query(phrases("a"), phrases("b c"))),
        ("pay*", Query((Phrase(("pay",), is_prefix=True),))),
        ('"pay*"', Query(phrases("pay"))),
        ("AND OR NOT NEAR", Query(phrases("and", "or", "not", "near"))),
        ("refund & - … please", Query(phrases("refund", "please"))),
        ('refund"now"', Query(phrases("refund", "now"))),
        ("role:agent", Query(filters=(Filter(Field.ROLE, ("agent",)),))),
        ("ROLE:Agent", Query(filters=(Filter(Field.ROLE, ("Agent",)),))),
        (
            'disposition:"sale closed"',
            Query(filters=(Filter(Field.DISPOSITION, ("sale closed",)),)),
        ),
        ("route:a route:b", Query(filters=(Filter(Field.ROUTE, ("a", "b")),))),
        (
            "alert:any -alert:x carrier:twilio",
            Query(
                filters=(
                    Filter(Field.ALERT, ("any",)),
                    Filter(Field.ALERT, ("x",), is_negated=True),
                    Filter(Field.CARRIER, ("twilio",)),
                )
            ),
        ),
        ("tenant:a:b", Query(filters=(Filter(Field.TENANT, ("a:b",)),))),
        ("from:2026-11-01", Query(from_ms=ms(2026, 11, 1))),
        ("to:2026-11-01", Query(to_ms=ms(2026, 11, 2))),
        ("from:2026-11-01 to:2026-11-01", Query(from_ms=ms(2026, 11, 1), to_ms=ms(2026, 11, 2))),
        ("from:2026-11-01T10:15", Query(from_ms=ms(2026, 11, 1, 10, 15))),
        ("to:2026-11-01T10:15:30Z", Query(to_ms=ms(2026, 11, 1, 10, 15, 30))),
        ("from:2026-11-01T10:15+02:00", Query(from_ms=ms(2026, 11, 1, 8, 15))),
        ("from:today", Query(from_ms=ms(2026, 11, 30))),
        ("to:yesterday", Query(to_ms=ms(2026, 11, 30))),
        ("from:24h", Query(from_ms=ms(2026, 11, 29, 12))),
        ("from:90m", Query(from_ms=ms(2026, 11, 30, 10, 30))),
        ("from:7d from:2d", Query(from_ms=ms(2026, 11, 28, 12))),
        ("to:7d to:2d", Query(to_ms=ms(2026, 11, 23, 12))),
        ("from:99999d", Query(from_ms=0)),
        ("from:1970-01-01T00:00+14:00", Query(from_ms=0)),
        ("to:2999-12-31", Query(to_ms=ms(3000, 1, 1))),
    ],
)
def test_meaning(text: str, meaning: Query) -> None:
    assert parse(text, NOW) == meaning


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "empty", 0),
        ("   ", "empty", 0),
        ("& - …", "empty", 0),
        ('""', "empty", 0),
        ("-cancel", "only-minus", 0),
        ("-role:agent", "only-minus", 0),
        ("-cancel from:today", "only-minus", 0),
        ('refund "bank', "unclosed-quote", 7),
        ('role:"agent', "unclosed-quote", 5),
        ("refund speaker:agent", "unknown-filter", 7),
        ("https://example.com", "unknown-filter", 0),
        ("a role:", "no-value", 2),
        ('a role:" "', "no-value", 2),
        ("a role: agent", "no-value", 2),
        ("from:tomorrow", "bad-time", 0),
        ("a from:2026-13-01", "bad-time", 2),
        ("from:2026-02-30", "bad-time", 0),
        ("from:20261130", "bad-time", 0),
        ("from:1900-01-01", "bad-time", 0),
        ("to:9999-12-31", "bad-time", 0),
        ("from:2026-11-30T25:00", "bad-time", 0),
        ("to:9999-12-31T10:00+99:99", "bad-time", 0),
        ("a -from:today", "negated-time", 2),
        ("p*", "short-prefix", 0),
        ("a 't*", "short-prefix", 2),
        ("x" * (MAX_CHARS + 1), "too-long", MAX_CHARS),
        (" ".join(["w"] * (MAX_TERMS + 1)), "too-many", 2 * MAX_TERMS),
        (f'"{" ".join(["w"] * (MAX_WORDS + 1))}"', "too-many", 0),
    ],
)
def test_refusal(text: str, reason: str, position: int) -> None:
    with pytest.raises(QueryError) as refused:
        parse(text, NOW)
    assert (refused.value.reason, refused.value.position) == (reason, position)
    assert str(refused.value) == MESSAGES[reason]


_PIECES: Final = st.sampled_from(
    [
        "role:",
        "from:",
        "-",
        '"',
        "*",
        " ",
        "2026-11-30",
        "24h",
        "any",
        "ß",
        "が",
        "\0",
        ":",
        "9999-12-31",
    ]
)


@given(st.one_of(st.text(max_size=80), st.lists(_PIECES).map("".join)))
def test_any_text_is_a_query_or_a_documented_refusal(text: str) -> None:
    query: Query | None = None
    refused: QueryError | None = None
    try:
        query = parse(text, NOW)
    except QueryError as error:
        refused = error
    if refused:
        assert refused.reason in MESSAGES
        assert 0 <= refused.position <= len(text)
    if query:
        found = query.wanted + query.unwanted
        assert "Phrase" not in repr(query)  # what is searched for is content
        assert all(word.isalnum() for each in found for word in each.words)


def test_every_refusal_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/search.md").read_text(encoding="utf-8")
    for reason in MESSAGES:
        assert f"`{reason}`" in page
