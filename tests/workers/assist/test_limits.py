"""Calls that exceed the limits: what is dropped is counted, and raises no false alert."""

import pytest

from tests.workers.assist.scripts import beside, event_of, ruleset, script, shown
from workers.assist.board import Alert
from workers.assist.call import Call


def played(rule: str, *stories: str) -> tuple[list[Alert], dict[str, int]]:
    """Return the changes of alerts, and what was dropped."""
    state = Call(ruleset(rule))
    changes: list[Alert] = []
    events = script(stories[0])
    for story in stories[1:]:
        events = beside(events, script(story))
    for written_ms, values in events:
        changes += state.apply(event_of(written_ms, values), written_ms)
    return changes, dict(state.take_dropped())


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.assist.spoken._MAX_MATCHES", 5)
    monkeypatch.setattr("workers.assist.board.MAX_ALERTS", 3)
    monkeypatch.setattr("workers.assist.call._MAX_STREAMS", 1)
    monkeypatch.setattr("workers.assist.call._MAX_TRACKS", 1)


REQUIRED = "id: r, kind: required, phrases: [yes], after: [cue], within_s: 3"


def test_words_beyond_the_limit_fulfil_what_is_required_after_a_cue() -> None:
    """Symptom: after 500 times, a false alert that the words were not said."""
    turns = " | ".join(f"C {n * 10} cue | C {n * 10 + 2} yes ok" for n in range(1, 9))
    changes, dropped = played(REQUIRED, f"{turns} | end 90")
    assert shown(changes) == ""
    assert dropped == {"matches": 6}, "three cues, and what followed them"


def test_cues_beyond_the_limit_are_judged() -> None:
    turns = " | ".join(f"C {n * 10} cue | C {n * 10 + 2} yes ok" for n in range(1, 7))
    changes, _ = played(REQUIRED, f"{turns} | C 70 cue | C 80 hello | end 90")
    assert [each.cite.start_ms for each in changes] == [70_000]


def test_earliest_words_decide_what_has_no_cue_or_precedes_it() -> None:
    said = " ".join(["yes"] * 9)
    for rule in (
        "id: r, kind: required, phrases: [yes], within_s: 4",
        "id: r, kind: order, phrases: [yes], before: [card]",
    ):
        changes, dropped = played(rule, f"C 1 {said} | C 30 card ok | end 40")
        assert shown(changes) == ""
        assert dropped == {"matches": 4}


def test_repetition_beyond_the_limit_is_raised_and_keeps_earlier_alerts() -> None:
    rule = "id: r, kind: repetition, phrases: [yes], times: 3, within_s: 60"
    changes, dropped = played(rule, f"C 1 {' '.join(['yes'] * 9)} | end 40")
    assert [(each.state, each.cite.start_ms) for each in changes] == [
        ("raised", 1400),
        ("raised", 2000),
        ("raised", 2600),
    ]
    assert dropped == {"matches": 6}


def test_match_beyond_the_limit_may_complete_a_series() -> None:
    rule = "id: r, kind: repetition, phrases: [yes], times: 2, within_s: 1"
    apart = " | ".join(f"C {n * 10} yes ok" for n in range(1, 6))
    changes, dropped = played(rule, f"{apart} | C 60 yes yes ok | end 70")
    assert [(each.state, each.cite.start_ms) for each in changes] == [("raised", 60_200)]
    assert dropped == {"matches": 7}
    changes, _ = played(rule, f"{apart} | C 50.5 yes ok | end 70")
    assert [(each.state, each.cite.start_ms) for each in changes] == [("raised", 50_500)]


def test_words_found_late_withdraw_an_alert_also_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.assist.call._MAX_TRACKS", 2)
    late = f"C 5 cue {'w ' * 60} => cue yes {'w ' * 59}"
    turns = " | ".join(f"A {n * 2 + 1} yes ok" for n in range(4, 9))
    changes, dropped = played(REQUIRED, f"{late} | {turns} | end 40")
    assert shown(changes) == "r@12200 -r@18700"
    assert dropped == {"matches": 1}


def test_alerts_streams_and_tracks_beyond_the_limits_are_counted() -> None:
    rule = "id: s, kind: said, phrases: [yes]"
    said = "C 1 yes yes yes yes yes ok | end 5"
    assert played(rule, said)[1] == {"alerts": 2}
    changes, dropped = played(rule, "C 1 yes ok | end 5", "C 1 yes ok | end 5")
    assert (len(changes), set(dropped)) == (1, {"streams"})
    changes, dropped = played(rule, "C 1 yes ok | A 2 yes ok | end 5")
    assert (len(changes), set(dropped)) == (1, {"tracks"})
