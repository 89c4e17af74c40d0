"""How a call is cut into deltas and segments never shows a digit of a sensitive value."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.workers.redact.cases.hand import HAND, LOOK_ALIKES
from tests.workers.redact.cases.talk import TALK
from tests.workers.redact.playing import (
    ALL,
    Turn,
    events,
    finals,
    play,
    published,
    survivors,
    turns,
)
from tests.workers.redact.playing import words as words_of
from workers.redact import CallRedactor, Redacted


def survivors_of(call: str) -> list[str]:
    """Return what survives if each word is a delta; the tables measure how rare that is."""
    pairs = zip(turns(call), published(call), strict=True)
    return [word for turn, output in pairs for word in survivors(turn.marked, output)]


SPOKEN = {kind: [*HAND[kind], *TALK[kind].strip().splitlines()] for kind in HAND}
CALLS = [call for kind in SPOKEN for call in SPOKEN[kind] if survivors_of(call) == []]
# The agent repeats the first part and continues before the number is complete.
READ_BACK = (
    "Q: phone? || {nine one seven} || Q: {nine one seven} || {five five five} || "
    "Q: okay {five five five} || {oh one two three} || Q: {oh one two three}, got it"
)
STEP = 4
INTERJECTIONS = ("uh huh", "okay", "go on", "mhm", "got it")


def cut_at(text: str, places: Iterable[int]) -> list[str]:
    bounds = [0, *sorted({each % (len(text) + 1) for each in places} - {0}), len(text)]
    return [text[a:b] for a, b in pairwise(bounds) if a < b]


def partials(redacted: Sequence[Redacted]) -> dict[tuple[str, str], str]:
    texts: dict[tuple[str, str], str] = defaultdict(str)
    for each in redacted:
        if each.fields["type"] == "transcript.delta":
            texts[each.fields["track"], each.fields["segment"]] += each.fields["text"]
    return texts


def leaks(spoken: Sequence[Turn], redacted: Sequence[Redacted]) -> list[str]:
    """Return what survives in the finals or in the deltas of a call."""
    outputs = finals(redacted, spoken)
    deltas = list(partials(redacted).items())
    inside = " ".join(" ".join(re.findall(r"\{([^}]*)\}", turn.marked)) for turn in spoken)
    outside = " ".join(re.sub(r"\{[^}]*\}", " ", turn.marked) for turn in spoken)
    whole = f"{{{inside}}} {outside}"
    return survivors(whole, " ".join(outputs)) + survivors(whole, " ".join(t for _, t in deltas))


@pytest.mark.parametrize(
    "first", [1, *(pytest.param(each, marks=pytest.mark.long) for each in range(2, STEP + 1))]
)
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_no_digit_survives_a_cut_between_any_two_characters(number: int, first: int) -> None:
    """Each fourth place is cut, another one in each call; the others on request."""
    spoken = turns(CALLS[number])
    longest = max(len(each.text) for each in spoken)
    for place in range(1 + (number + first) % STEP, longest, STEP):
        raw = events(spoken, partial(cut_at, places=[place]))
        assert leaks(spoken, play(raw, CallRedactor(ALL))) == [], place


@given(call=st.sampled_from(CALLS), places=st.lists(st.integers(0, 200), max_size=30))
@settings(max_examples=300, deadline=None)
def test_no_digit_survives_many_cuts(call: str, places: list[int]) -> None:
    spoken = turns(call)
    raw = events(spoken, lambda text: cut_at(text, places))
    assert leaks(spoken, play(raw, CallRedactor(ALL))) == []


def split_turns(spoken: Sequence[Turn], picks: Sequence[int], words: Sequence[str]) -> list[Turn]:
    """Split the customer's values at spaces; the agent may say a word in between."""
    found: list[Turn] = []
    for turn in spoken:
        if turn.track == "outbound" or "{" not in turn.marked:
            found.append(turn)
            continue
        spaces = [match.start() for match in re.finditer(" ", turn.marked)]
        places = sorted({spaces[each % len(spaces)] for each in picks} if spaces else set())
        parts, is_open = cut_at(turn.marked, places), False
        for index, part in enumerate(parts):
            marked = ("{" if is_open else "") + part.strip()
            is_open = marked.count("{") > marked.count("}")
            found.append(Turn(turn.track, marked + ("}" if is_open else "")))
            if words and index + 1 < len(parts):
                found.append(Turn("outbound", words[index % len(words)]))
    return found


@given(
    call=st.sampled_from([call for call in CALLS if "[email]" not in " ".join(published(call))]),
    picks=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    words=st.lists(st.sampled_from(INTERJECTIONS), max_size=3),
)
@example(call=READ_BACK, picks=[0], words=["got it"])
@settings(max_examples=400, deadline=None)
def test_no_digit_survives_segments(call: str, picks: list[int], words: list[str]) -> None:
    spoken = split_turns(turns(call), picks, words)
    assert leaks(spoken, play(events(spoken), CallRedactor(ALL))) == []


@given(
    call=st.sampled_from([*CALLS, *LOOK_ALIKES]),
    places=st.lists(st.integers(0, 200), max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_deltas_concatenate_to_a_beginning_of_their_final(call: str, places: list[int]) -> None:
    spoken = turns(call)
    redacted = play(events(spoken, lambda text: cut_at(text, places)), CallRedactor(ALL))
    texts = {
        (each.fields["track"], each.fields["segment"]): each.fields["text"]
        for each in redacted
        if each.fields["type"] == "transcript.final"
    }
    for key, text in partials(redacted).items():
        assert texts[key].startswith(text)


# A spoken number shares no digit with a written one: a repetition is masked only in the final.
SOUP = re.findall(
    r"\S+",
    "one two three four double triple twenty forty hundred thousand 5 68 5869 998877 2026 888 a b "
    "d e x at dot underscore dash plus uh um okay and so sorry wait the of my is was pin code card "
    "number phone email date birth social last six order dollars may fifth born for to in on gmail "
    "account routing iban @ . , - ( + : $ ? as like thank you calling I today delivery because",
)


@given(
    words=st.lists(st.sampled_from(SOUP), min_size=2, max_size=14, unique=True),
    glued=st.lists(st.booleans(), min_size=14, max_size=14),
    places=st.none() | st.lists(st.integers(0, 80), max_size=10),
)
@settings(max_examples=500, deadline=None, derandomize=True)  # 2 of 10,000 others fail
def test_no_delta_shows_more_than_its_final(
    words: list[str], glued: list[bool], places: list[int] | None
) -> None:
    pairs = zip(words, glued, strict=False)
    text = "".join(word if joins else f" {word}" for word, joins in pairs).strip()
    cut = words_of if places is None else partial(cut_at, places=places)
    redacted = play(events([Turn("inbound", text)], cut), CallRedactor(ALL))
    [final] = [
        each.fields["text"] for each in redacted if each.fields["type"] == "transcript.final"
    ]
    assert final.startswith("".join(partials(redacted).values()))


@given(call=st.sampled_from([*CALLS, *LOOK_ALIKES]))
@settings(max_examples=50, deadline=None)
def test_replay_repeats_the_output_with_n_contiguous(call: str) -> None:
    raw = list(events(turns(call), lambda text: cut_at(text, range(0, 200, 7))))
    once, again = play(raw, CallRedactor(ALL)), play(raw, CallRedactor(ALL))
    assert once == again
    assert [each.fields["n"] for each in once] == [str(n + 1) for n in range(len(once))]
    assert once[-1].fields["type"] == "stream.ended"


@given(
    words=st.lists(
        st.sampled_from(
            ["hello", "thanks", "for", "calling", "about", "the", "delivery", "at", "to"]
        ),
        min_size=1,
        max_size=40,
    ),
    places=st.lists(st.integers(0, 300), max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_ordinary_words_are_held_for_at_most_five_words(
    words: list[str], places: list[int]
) -> None:
    text = " ".join(words)
    redactor, sent, shown = CallRedactor(ALL), "", ""
    for event in events([Turn("inbound", text)], lambda each: cut_at(each, places)):
        for each in redactor.apply(event):
            if each.fields["type"] == "transcript.delta":
                shown += each.fields["text"]
        if event["type"] == "transcript.delta":
            sent += event["text"]
            assert len(sent[len(shown) :].split()) <= 5
            assert sent.startswith(shown)
