"""Properties: neither the cut of text into deltas nor the calls of `advance` change the alerts."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.assist.scripts import BEGAN_MS, event_of, play, ruleset, script
from tests.workers.assist.test_table import TABLE
from workers.assist.board import Alert
from workers.assist.call import Call
from workers.assist.patterns import PatternIndex
from workers.assist.phrases import ROOT, PhraseIndex
from workers.assist.words import WordReader, normalized

WORDY = [
    name
    for name, (rule, _, _) in TABLE.items()
    if any(f"kind: {kind}" in rule for kind in ("said", "never", "required", "order", "repetition"))
]


def cut_by(seed: int) -> Callable[[str], Sequence[str]]:
    """Return a function that cuts a text anywhere, also within words."""

    def cut(text: str) -> Sequence[str]:
        random = Random(f"{seed}{text}")  # noqa: S311 - reproducible
        text = " " + " ".join(text.split())
        places = sorted(
            random.sample(range(1, len(text)), random.randint(0, min(9, len(text) - 1)))
        )
        return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]

    return cut


def raised_in_the_end(changes: Sequence[Alert]) -> set[str]:
    states = {each.id: each.state for each in changes}
    return {name for name, state in states.items() if state == "raised"}


@pytest.mark.parametrize("name", WORDY)
def test_cut_of_text_changes_no_alert(name: str) -> None:
    rule, lines, _ = TABLE[name]
    rules = ruleset(rule)
    expected = raised_in_the_end(play(rules, script(lines)))
    for seed in range(6):
        changes = play(rules, script(lines, cut=cut_by(seed)))
        assert raised_in_the_end(changes) == expected


@pytest.mark.parametrize("name", TABLE)
def test_ticks_change_no_alert(name: str) -> None:
    """A worker that acts every second has the same alerts as a replay without any tick."""
    rule, lines, _ = TABLE[name]
    rules = ruleset(rule)
    events = script(lines)
    state = Call(rules)
    changes: list[Alert] = []
    clock = BEGAN_MS
    for written_ms, values in events:
        while clock + 1000 <= written_ms:
            clock += 1000
            changes += state.advance(clock)
        changes += state.apply(event_of(written_ms, values), written_ms)
    assert changes == play(rules, events)


@given(st.text(alphabet="ab'\u2019 -\u0308\u4f60.\u00c4", max_size=40), st.data())
def test_words_are_the_same_however_text_is_cut(text: str, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    reader = WordReader()
    found = []
    for begin, end in zip([0, *places], [*places, len(text)], strict=True):
        found += reader.feed(text[begin:end], begin, end)
    found += reader.finish()
    assert tuple(word.text for word in found) == normalized(text)
    assert all(word.start_ms <= word.end_ms for word in found)


PHRASES = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=8)


@given(PHRASES, st.lists(st.sampled_from("abcd"), max_size=30))
def test_index_finds_what_a_search_finds(phrases: list[list[str]], text: list[str]) -> None:
    index = PhraseIndex([(tuple(words), slot) for slot, words in enumerate(phrases)])
    state, found = ROOT, set()
    for last, word in enumerate(text):
        state = index.step(state, word)
        found |= {(each.slot, last - each.words + 1) for each in index.endings[state]}
    assert found == {
        (slot, first)
        for slot, words in enumerate(phrases)
        for first in range(len(text))
        if text[first : first + len(words)] == words
    }


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["hello", "world", "close", "account", "7"]), max_size=20))
def test_filter_finds_what_each_pattern_finds(words: list[str]) -> None:
    patterns = ["hello world", r"clos\w+ (the )?account", r"\d", "h.*w", "[a-z]{7}"]
    index = PatternIndex([(text, slot) for slot, text in enumerate(patterns)])
    text = " ".join(words)
    alone = [n for n, each in enumerate(patterns) if PatternIndex([(each, 0)]).search(0, text, 0)]
    assert sorted(index.found(text)) == alone


def test_hostile_pattern_takes_linear_time() -> None:
    """Without RE2, this takes hours: each letter doubles the time."""
    index = PatternIndex([(r"(a+)+b", 0), (r"(a|a|aa)+$x", 1)])
    assert not index.found("a" * 100_000)
