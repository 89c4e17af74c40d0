"""Why a rule raised nothing: the sentences for the person who wrote it."""

import pytest

from tests.workers.assist import test_table as table
from tests.workers.assist.scripts import BEGAN_MS, event_of, script
from workers.assist.explain import explain
from workers.assist.load import read_rules

PACE = "id: pace, kind: pace, faster_than_wpm: 400, window_s: 2"
CASES = [
    (
        table.CANCEL,
        "C 1 I cancel my account",
        "It was raised at 00:03.3, about customer 00:01.2-00:01.8.",
    ),
    (table.CANCEL, "C 1 hello", "None of the phrases was said."),
    (
        table.CANCEL,
        "A 1 cancel my account ok",
        "It was said at 00:01.0 by agent; the rule is for customer.",
    ),
    (
        table.CANCEL,
        "C 1 please cancel the account",
        "None of the phrases was said. "
        "Similar to “cancel my account”: “cancel the account”, by customer at 00:01.0.",
    ),
    (
        f"{table.CANCEL}, routes: [sales, spain]",
        "C 1 hello",
        "The call has the route support; the rule is for sales or spain.",
    ),
    (
        f"{table.CANCEL}, tenants: [acme]",
        "C 1 hello",
        "The call is of the tenant default; the rule is for acme.",
    ),
    (table.PATTERN, "C 1 hello", "Nothing that was said matches."),
    (
        table.RECORDED,
        "A 1 this call is recorded",
        "It was said at 00:01.2, within 10 s: the rule is fulfilled.",
    ),
    (
        table.RECORDED,
        "A 1 hello | end 8",
        "The call ended at 00:08.0, before the 10 s had passed.",
    ),
    (
        table.OFFER,
        "C 1 hello",
        "Nothing in `after` was said, so nothing was required. None of the phrases was said.",
    ),
    (
        table.OFFER,
        "C 1 cancel my account now | A 3 a discount",
        "What it comes after was said at 00:01.0. "
        "It was said at 00:03.2, within 5 s: the rule is fulfilled.",
    ),
    (table.TERMS, "A 1 hello", "Nothing in `before` was said. None of the phrases was said."),
    (
        table.TERMS,
        "A 1 your right to cancel | A 5 the card number",
        "It was said at 00:01.2, before 00:05.2: the rule is fulfilled.",
    ),
    (
        table.HEAR,
        "C 1 do you hear me",
        "“do you hear me” was said at 00:01.0; the rule needs 2 by one speaker within 10 s.",
    ),
    (table.HEAR, "C 1 hello", "None of the phrases was said."),
    (
        table.SILENCE,
        "C 1 hello | A 4 yes | end 6",
        "The longest silence took 2.8 s (customer 00:01.2-00:04.0); the limit is 5 s.",
    ),
    (
        table.OVER,
        "C 1 a b c d | A 1.4 yes yes",
        "The longest talk-over took 0.4 s (agent 00:01.4-00:01.8); the limit is 1 s.",
    ),
    (table.OVER, "C 1 a", "There was no talk-over."),
    (
        table.LONG,
        "C 1 a b c d e",
        "The longest monologue took 1.0 s (customer 00:01.0-00:02.0); the limit is 4 s.",
    ),
    (table.RATIO, "C 1 a", "There was less than 4 s of speech."),
    (
        table.RATIO,
        "C 1 " + "la " * 25,
        "The highest part of agent was 0 %; the limit is 70 %.",
    ),
    (PACE, "C 1 a", "No track has 2 s of speech."),
    (
        PACE,
        "C 1 a b c d e f g h i j",
        "The fastest was 300 words per minute; the limit is 400.",
    ),
    (
        table.GAPS,
        "gap C 1 1.5 reconnect",
        "The longest gap with one of its causes took 0.5 s (inbound 00:01.0-00:01.5); "
        "the limit is 1 s. No stream ended as failed or lost.",
    ),
]


@pytest.mark.parametrize(("rule", "lines", "expected"), CASES)
def test_explained(rule: str, lines: str, expected: str) -> None:
    file = read_rules(f"version: 1\nrules:\n  - {{title: a title, {rule}}}\n")
    events = [event_of(*each) for each in script(lines)]
    assert " ".join(explain(file, file.rules[0].id, events)) == expected


def test_role_that_no_track_has() -> None:
    file = read_rules(f"version: 1\nrules:\n  - {{title: a title, {table.RECORDED}}}\n")
    values = script("end 20")
    values[0][1]["tracks"] = values[0][1]["tracks"].replace('"agent"', '"customer"')
    events = [event_of(*each) for each in values]
    assert explain(file, "rec", events) == [
        "No track of the call has the role agent. Its roles: customer."
    ]


LIVE = [
    (table.GOODBYE, "A 1 hello", "The call has not ended; it is not decided yet."),
    (table.RECORDED, "A 1 hello", "The call has not ended; it is not decided yet."),
    (
        table.RECORDED,
        "A 1 this call is recorded",
        "It was said at 00:01.2, within 10 s: the rule is fulfilled.",
    ),
    (
        table.OFFER,
        "A 1 a discount | C 3 cancel my account now",
        "What it comes after was said at 00:03.0. The call has not ended; it is not decided yet.",
    ),
    (table.ASKED, "C 1 my card number is", "The call has not ended; it is not decided yet."),
]


@pytest.mark.parametrize(("rule", "lines", "expected"), LIVE)
def test_call_that_has_not_ended(rule: str, lines: str, expected: str) -> None:
    """Symptom: "the call ended", or "the rule is fulfilled", although nothing was said."""
    file = read_rules(f"version: 1\nrules:\n  - {{title: a title, {rule}}}\n")
    events = [event_of(*each) for each in script(lines)[:-1]]
    assert " ".join(explain(file, file.rules[0].id, events)) == expected


def test_call_that_has_not_ended_is_followed_to_a_time() -> None:
    file = read_rules(f"version: 1\nrules:\n  - {{title: a title, {table.RECORDED}}}\n")
    events = [event_of(*each) for each in script("A 1 hello")[:-1]]
    assert explain(file, "rec", events, BEGAN_MS + 60_000) == ["It was raised at 00:14.0."]


def test_unknown_rule() -> None:
    with pytest.raises(KeyError):
        explain(read_rules("version: 1\nrules: []"), "x", [])
