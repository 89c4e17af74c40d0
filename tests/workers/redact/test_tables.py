"""Recall and precision on the tables of calls; `pytest -s` prints them."""

from collections.abc import Iterator
from functools import cache

import pytest

from tests.workers.redact import playing
from tests.workers.redact.cases.hand import HAND, LOOK_ALIKES
from tests.workers.redact.cases.heard import HEARD, HEARD_ABROAD
from tests.workers.redact.cases.made import look_alikes, made
from tests.workers.redact.cases.talk import ABROAD, TALK, TALK_LOOK_ALIKES
from tests.workers.redact.cases.unseen import UNSEEN
from tests.workers.redact.playing import survivors, turns
from workers.redact import Kind

HOME = "en", "US"  # language and region
LEAST_RECALL = {Kind.CARD: 0.99}
KINDS = [each for each in Kind if each is not Kind.NUMBER]


def heard(kind: str) -> Iterator[str]:
    for line in f"{HEARD}{UNSEEN}".strip().splitlines():
        name, _, call = line.partition("|")
        if name == kind:
            yield call


def calls(kind: str) -> Iterator[str]:
    yield from HAND[kind]
    yield from TALK[kind].strip().splitlines()
    yield from heard(kind)
    yield from made(kind)


def harmless_calls() -> Iterator[str]:
    yield from LOOK_ALIKES
    yield from TALK_LOOK_ALIKES.strip().splitlines()
    yield from heard("-")
    yield from look_alikes()


@cache  # several tests play a call
def published(call: str, place: tuple[str, str]) -> list[str]:
    return playing.published(call, *place)


def leaks(call: str, place: tuple[str, str]) -> list[str]:
    pairs = zip(turns(call), published(call, place), strict=True)
    return [word for turn, output in pairs for word in survivors(turn.marked, output)]


def is_changed(call: str, place: tuple[str, str]) -> bool:
    return published(call, place) != [each.text for each in turns(call)]


@pytest.mark.parametrize("kind", KINDS)
def test_recall(kind: Kind) -> None:
    table = list(calls(kind))
    missed = [call for call in table if leaks(call, HOME)]
    recall = 1 - len(missed) / len(table)
    print(f"\n{kind}: recall {recall:.3f} of {len(table)}", *missed, sep="\n  ")  # noqa: T201
    assert len(table) >= 200
    assert recall >= LEAST_RECALL.get(kind, 0.97)


@pytest.mark.parametrize("kind", KINDS)
def test_most_masks_show_the_kind(kind: Kind) -> None:
    table = list(calls(kind))
    named = [call for call in table if kind.mask in " ".join(published(call, HOME))]
    assert len(named) >= 0.95 * len(table)


def test_precision() -> None:
    table = list(harmless_calls())
    wrong = [call for call in table if is_changed(call, HOME)]
    found = sum(not leaks(call, HOME) for kind in KINDS for call in calls(kind))
    precision = found / (found + len(wrong))
    print(f"\nprecision {precision:.3f}; {len(wrong)} of {len(table)}", *wrong, sep="\n  ")  # noqa: T201
    assert len(table) >= 200
    assert precision >= 0.97
    assert len(wrong) <= 0.03 * len(table)


@pytest.mark.parametrize(
    ("place", "table"), [*ABROAD.items(), *HEARD_ABROAD.items()], ids=lambda each: str(each)[:12]
)
def test_other_languages_and_regions(place: tuple[str, str], table: str) -> None:
    for line in table.strip().splitlines():
        kind, _, call = line.partition("|")
        if kind == "-":
            assert not is_changed(call, place), call
        else:
            assert leaks(call, place) == [], call
