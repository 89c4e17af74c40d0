"""What every index does, with both kinds: the same queries find the same segments."""

import asyncio
from typing import Final

import pytest

from tests.workers.search.indexes import NOON_MS, NOW, find, said, seen, texts
from workers.search.index import (
    AlertNoted,
    Change,
    CursorError,
    DispositionNoted,
    GapNoted,
    Limits,
    Order,
    Search,
    SearchIndex,
    Size,
)
from workers.search.query import QueryError, parse
from workers.search.words import words

_TEXTS: Final = (
    "I want a refund for my bank account",
    "Your refund is on its way, account number four",
    "Die Rückerstattung kommt",
    "don't pay the payment twice",
    "返金してください",
    "not near and or",
)

_FOUND: Final[dict[str, list[int]]] = {  # by query, the numbers of the texts
    "refund": [1, 0],
    "REFUND account": [1, 0],
    '"bank account"': [0],
    '"account bank"': [],
    '"refund account"': [],
    "refund -bank": [1],
    'refund -"my bank" -way': [],
    "ruckerstattung": [2],
    "Rückerstattung": [2],
    "pay*": [3],
    "pay* -payment": [],
    "refun*": [1, 0],
    "don't": [3],
    "t": [3],
    "返金": [4],
    "金返": [],
    "AND OR NOT NEAR": [5],
    "refund nothing": [],
    "role:customer": [4, 2, 0],
    "role:Agent refund": [1],
    "role:agent role:customer refund": [1, 0],
    "refund -role:agent": [0],
    "carrier:twilio route:berlin tenant:acme call:CA1 refund": [1, 0],
    "route:other refund": [],
    "-route:other refund": [1, 0],
    "from:2026-11-30T12:00:01Z refund": [1],
    "to:2026-11-30T12:00:01Z refund": [0],
    "from:2026-11-30T12:00:04Z": [5, 4],
    "to:2026-11-30T12:00:00Z": [],
    "alert:any": [],
}


async def fill(index: SearchIndex) -> None:
    """Add a call in which customer and agent say the texts by turns."""
    roles = ("customer", "agent")
    segments: list[Change] = [
        said(text, number, role=roles[number % 2], track=roles[number % 2])
        for number, text in enumerate(_TEXTS)
    ]
    await index.add([seen(), *segments])


async def test_each_query_finds_what_it_describes(index: SearchIndex) -> None:
    await fill(index)
    found = {query: await texts(index, query) for query in _FOUND}
    assert found == {
        query: [_TEXTS[number] for number in numbers] for query, numbers in _FOUND.items()
    }


async def test_hit_has_all_of_its_segment_and_call(index: SearchIndex) -> None:
    await index.add([seen(), said("a word", 3, role="agent", track="outbound")])
    await index.add([AlertNoted("CA1", "a1", "no-refund", "warning", is_raised=True)])
    await index.add([GapNoted("CA1", "MZ1", "inbound", 100, 350, "reconnect")])
    await index.add([DispositionNoted("CA1", "sale")])
    (hit,) = (await find(index, "word")).hits
    assert (hit.call_id, hit.tenant, hit.carrier, hit.route) == ("CA1", "acme", "twilio", "berlin")
    assert (hit.disposition, hit.alerts, hit.gap_ms) == ("sale", ["no-refund"], 250)
    assert (hit.stream_id, hit.track, hit.role, hit.segment) == ("MZ1", "outbound", "agent", 3)
    assert (hit.at_ms, hit.start_ms, hit.end_ms) == (NOON_MS + 3000, 3000, 3800)
    assert hit.text == "a word"
    assert "a word" not in repr(hit)
    assert await index.count() == Size(calls=1, segments=1)


async def test_higher_revision_replaces_the_words(index: SearchIndex) -> None:
    await index.add([seen(), said("wrong words", rev=1)])
    await index.add([said("right words", rev=2)])
    await index.add([said("late words", rev=1)])
    assert await texts(index, "words") == ["right words"]
    assert await texts(index, "wrong") == []


async def test_repeated_changes_have_no_effect(index: SearchIndex) -> None:
    changes: list[Change] = [
        seen(),
        said("first"),
        AlertNoted("CA1", "a1", "r", "info", is_raised=True),
        GapNoted("CA1", "MZ1", "inbound", 1, 2, "reconnect"),
        DispositionNoted("CA1", "sale"),
        said("second", 2),
    ]
    for _ in range(3):
        await index.add(changes)
    assert await texts(index, "alert:r gap:any disposition:sale") == ["second", "first"]
    assert (await find(index, "first")).hits[0].gap_ms == 1
    assert await index.count() == Size(1, 2)


async def test_tracks_streams_and_owners_number_their_segments_apart(index: SearchIndex) -> None:
    await index.add(
        [
            seen(),
            said("one"),
            said("two", track="outbound"),
            said("three", stream_id="MZ2"),
            said("four", owner=2),
            said("five", call="CA2"),
        ]
    )
    assert sorted(await texts(index, "from:today")) == ["five", "four", "one", "three", "two"]


async def test_facts_that_come_later_find_earlier_segments(index: SearchIndex) -> None:
    await index.add([said("before")])
    assert await texts(index, "tenant:acme") == []
    await index.add([seen()])
    await index.add([said("after", 2)])
    assert await texts(index, "tenant:acme route:berlin") == ["after", "before"]
    await index.add([AlertNoted("CA1", "a1", "no-refund", "warning", is_raised=True)])
    for query in ("alert:no-refund", "alert:WARNING", "alert:any"):
        assert await texts(index, query) == ["after", "before"]
    assert await texts(index, "after -alert:any") == []


async def test_withdrawn_alert_is_not_found(index: SearchIndex) -> None:
    await index.add([seen(), said("words")])
    for number in (1, 2):
        await index.add([AlertNoted("CA1", f"a{number}", "rule", "info", is_raised=True)])
    await index.add([AlertNoted("CA1", "a1", "rule", "info", is_raised=False)])
    assert (await find(index, "alert:rule")).hits[0].alerts == ["rule"]
    await index.add([AlertNoted("CA1", "a2", "rule", "info", is_raised=False)])
    assert await texts(index, "alert:rule") == []
    assert (await find(index, "words")).hits[0].alerts == []


async def test_newest_disposition_counts(index: SearchIndex) -> None:
    await index.add([seen(), said("words"), DispositionNoted("CA1", "sale")])
    await index.add([DispositionNoted("CA1", "complaint")])
    assert await texts(index, "disposition:sale") == []
    assert await texts(index, "disposition:complaint") == ["words"]
    await index.add([DispositionNoted("CA1", "")])
    assert await texts(index, "disposition:complaint") == []


async def test_pages_have_each_segment_once(index: SearchIndex) -> None:
    """Many segments of one millisecond have different positions."""
    expected = {f"word {number}" for number in range(25)}
    await index.add(
        [seen(), *(said(f"word {number}", number, at_ms=NOON_MS) for number in range(25))]
    )
    collected: list[str] = []
    after, pages = "", 0
    while True:
        page = await find(index, "word", limit=10, after=after)
        collected += [each.text for each in page.hits]
        after, pages = page.next, pages + 1
        if not after:
            break
    assert (pages, len(collected), set(collected)) == (3, 25, expected)


async def test_last_page_has_no_next(index: SearchIndex) -> None:
    await index.add([seen(), said("word"), said("word", 2)])
    assert (await find(index, "word", limit=2)).next == ""
    assert (await find(index, "word", limit=1)).next != ""


@pytest.mark.parametrize("after", ["x", "-1", "1" * 19, "1 OR 1", "\uff11"])
async def test_cursor_of_another_kind_is_refused(index: SearchIndex, after: str) -> None:
    with pytest.raises(CursorError):
        await find(index, "word", after=after)


async def test_best_match_is_first(index: SearchIndex) -> None:
    rambling = f"refund {'and another thing ' * 20}"
    await index.add([seen(), said("refund refund refund"), said(rambling, 2), said("nothing", 3)])
    found = await texts(index, "refund", order=Order.BEST)
    assert found == ["refund refund refund", rambling]
    assert await texts(index, "refund") == [rambling, "refund refund refund"]


async def test_limits_hold_whatever_the_query_says(index: SearchIndex) -> None:
    for call, tenant, route in (("CA1", "a", "x"), ("CA2", "a", "y"), ("CA3", "b", "x")):
        await index.add([seen(call, tenant=tenant, route=route), said(call, call=call)])
    hostile = (
        "tenant:b from:today",
        "-tenant:a carrier:twilio",
        "call:CA3",
        "route:x tenant:a tenant:b",
    )
    for query in hostile:
        assert set(await texts(index, query, limits=Limits(tenant="a"))) <= {"CA1", "CA2"}
    assert await texts(index, "from:today", limits=Limits(tenant="a", route="y")) == ["CA2"]
    assert await texts(index, "from:today", limits=Limits(call_id="CA3")) == ["CA3"]
    assert await texts(index, "CA3", limits=Limits(call_id="CA1")) == []


async def test_limits_distinguish_case(index: SearchIndex) -> None:
    """The case of a filter does not matter, but `Acme` is another tenant than `acme`."""
    for call, tenant in (("CA1", "acme"), ("CA2", "Acme"), ("CA3", "acme")):
        await index.add([seen(call, tenant=tenant), said(f"word {call}", call=call)])
    assert await texts(index, "word", limits=Limits(tenant="Acme")) == ["word CA2"]
    assert len(await texts(index, "tenant:ACME")) == 3
    assert await texts(index, "word", limits=Limits(tenant="acme"), limit=1) == ["word CA3"]


async def test_call_without_known_route_is_outside_of_every_route(index: SearchIndex) -> None:
    await index.add([seen(route=""), said("word")])
    assert await texts(index, "word", limits=Limits(route="berlin")) == []
    assert await texts(index, "word", limits=Limits(tenant="acme")) == ["word"]


async def test_removed_call_does_not_come_back(index: SearchIndex) -> None:
    await index.add([seen(), said("secret"), seen("CA2"), said("other secret", call="CA2")])
    assert await index.remove(["CA1", "CA9"]) == 1
    await index.add([seen(), said("secret"), DispositionNoted("CA1", "sale")])
    assert await texts(index, "secret") == ["other secret"]
    assert await index.count() == Size(1, 1)
    assert await index.remove(["CA1"]) == 0


async def test_expired_call_leaves_nothing_that_keeps_it_out(index: SearchIndex) -> None:
    """Symptom: the index kept a row for every call that had ever expired."""
    await index.add([seen(), said("old"), seen("CA2"), said("other", call="CA2")])
    assert await index.remove(["CA1", "CA9"], keep_out=False) == 1
    assert await texts(index, "old") == []
    await index.add([seen(), said("new")])
    assert await texts(index, "new route:berlin") == ["new"]
    assert await index.count() == Size(2, 2)


async def test_concurrent_changes_of_one_call_are_all_stored(index: SearchIndex) -> None:
    await asyncio.gather(
        index.add([seen()]),
        *(index.add([said(f"word {number}", number)]) for number in range(10)),
        index.add([AlertNoted("CA1", "a1", "rule", "info", is_raised=True)]),
        index.add([DispositionNoted("CA1", "sale")]),
    )
    assert len(await texts(index, "word alert:rule disposition:sale tenant:acme")) == 10


async def test_values_of_any_text_are_stored(index: SearchIndex) -> None:
    odd = "a'b\"c\\d:*()&|!\n\x00 zz"
    await index.add(
        [seen(tenant=odd, route=odd), said(odd, role="r'\""), DispositionNoted("CA1", odd)]
    )
    for query in ("zz", "c", "a b"):
        assert len(await texts(index, query)) == 1


async def test_hostile_queries_are_only_words(index: SearchIndex) -> None:
    await index.add([seen(), said("drop table segments"), said("words rowid", 2)])
    for query in (
        "'; DROP TABLE segments; --",
        '" OR 1=1 --',
        "facets : x",
        "NEAR(drop table)",
        "^drop + table",
        "drop')) OR (('1'='1",
        "{words} : drop",
        "drop & !table | x:*",
        "\\'drop",
    ):
        try:
            parsed = parse(query, NOW)
        except QueryError:
            continue
        page = await index.search(Search(parsed))
        wanted = {word for each in parsed.wanted for word in each.words}
        assert all(wanted <= set(words(each.text)) for each in page.hits)
    assert await texts(index, "drop table") == ["drop table segments"]
