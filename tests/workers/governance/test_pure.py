"""Call ids, keys, the retention file, the audit chain and exported ledgers."""

import contextlib
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript.keys import MAX_ID_CHARACTERS, encode_id, homes, partition_of
from workers.governance import chain
from workers.governance.calls import CallIdError, as_in_events
from workers.governance.families import Kind, Part, call_of, is_of, rule_of
from workers.governance.ledger import Erasure, LedgerFileError, line_of, read, read_lines
from workers.governance.retention import Place, Retention, RetentionError, parse

# Ids


@given(st.text(min_size=1, max_size=40))
def test_id_is_accepted_in_both_forms(carrier_id: str) -> None:
    encoded = encode_id(carrier_id)
    assert as_in_events(encoded) == encoded
    if carrier_id != encoded and "%" not in carrier_id:
        assert as_in_events(carrier_id) == encoded


@pytest.mark.parametrize("text", ["", "x" * (4 * MAX_ID_CHARACTERS + 1)])
def test_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(CallIdError):
        as_in_events(text)


@pytest.mark.parametrize("text", ["*", "a b", "../x", "a:b", "{p01}", "a\nb", "%zz", "é"])
def test_hostile_text_is_encoded(text: str) -> None:
    assert set(as_in_events(text)).isdisjoint("*: /{}\n")


def test_longer_id_may_be_in_the_partition_of_the_plain_one() -> None:
    assert homes("CA1", 64) == [53]
    found = homes("default.talkdesk.CA1", 64)
    assert found[0] == partition_of("default.talkdesk.CA1", 64)
    assert 53 in found


# Keys


@pytest.mark.parametrize(
    ("name", "part", "kind"),
    [
        ("call:CA1", Part.OWN, Kind.RAW),
        ("call:CA1:redacted", Part.OWN, Kind.REDACTED),
        ("call:CA1:alerts", Part.OWN, Kind.REDACTED),
        ("call:CA1:redacted-wrapups", Part.OWN, Kind.REDACTED),
        ("call:CA1:wrapups", Part.OWN, Kind.RAW),
        ("call:CA1:mine", Part.OWN, Kind.RAW),
        ("writers:CA1", Part.OWN, Kind.RAW),
        ("push:queue:crm:CA1", Part.OWN, Kind.OTHER),
        ("events", Part.ENTRIES, Kind.RAW),
        ("redacted", Part.ENTRIES, Kind.REDACTED),
        ("dead:redact", Part.ENTRIES, Kind.OTHER),
        ("mine", Part.ENTRIES, Kind.OTHER),
        ("live", Part.MEMBERS, Kind.OTHER),
        ("due:archive", Part.MEMBERS, Kind.OTHER),
        ("consumer:redact", Part.GOVERNED, Kind.OTHER),
        ("erased", Part.GOVERNED, Kind.OTHER),
        ("rewrite:00", Part.TEMPORARY, Kind.OTHER),
    ],
)
def test_rule_of_a_key(name: str, part: Part, kind: Kind) -> None:
    rule = rule_of(name)
    assert (rule.part, rule.kind) == (part, kind)
    if part is Part.OWN:
        assert call_of(name, rule) == "CA1"


@pytest.mark.parametrize("call_id", ["events", "call", "live", "erased", "redact", "owner"])
def test_call_named_like_a_key_owns_only_its_own_keys(call_id: str) -> None:
    for name in ("events", "live", "erased", "dead:redact", "consumer:redact", "due:archive"):
        assert rule_of(name).part is not Part.OWN
    assert call_of(f"call:{call_id}", rule_of(f"call:{call_id}")) == call_id


def test_members_begin_with_the_whole_id() -> None:
    assert all(is_of(each, "CA1") for each in ("CA1", "CA1 MZ1", "CA1:x"))
    assert not any(is_of(each, "CA1") for each in ("CA10", "CA10 MZ1", "xCA1", "CA1.2", ""))


# Retention

_FILE: Final = """
[[rule]]
tenant = "acme"
route = "sales"
streams = "1h"

[[rule]]
tenant = "acme"
streams = "2h"
archive = "30d"

[default]
archive = "365d"
index = "90d"
"""


@pytest.mark.parametrize(
    ("place", "tenant", "route", "keep_s"),
    [
        (Place.STREAMS, "acme", "sales", 3600),
        (Place.STREAMS, "acme", "", 7200),
        (Place.STREAMS, "other", "sales", None),
        (Place.ARCHIVE, "acme", "sales", 30 * 86_400),
        (Place.ARCHIVE, "other", "", 365 * 86_400),
        (Place.INDEX, "acme", "sales", 90 * 86_400),
        (Place.REDACTED, "acme", "sales", None),
    ],
)
def test_first_rule_that_names_the_place_counts(
    place: Place, tenant: str, route: str, keep_s: int | None
) -> None:
    retention = parse(_FILE)
    assert retention.keep_s(place, tenant, route) == keep_s
    if keep_s:
        assert retention.is_over(place, tenant, route, 5, 5 + keep_s * 1000)
        assert not retention.is_over(place, tenant, route, 5, 4 + keep_s * 1000)
    assert retention.limits(place) == (place is not Place.REDACTED)


def test_nothing_is_limited_without_a_file() -> None:
    assert not any(Retention().limits(place) for place in Place)
    assert not Retention().is_over(Place.STREAMS, "a", "b", 0, 10**15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default\n", "not TOML (at line 1, column 9)"),
        ("[defaults]", "defaults: must be [default] or [[rule]]"),
        ("[rule]\ntenant='a'", "rule: must be [[rule]], with two brackets"),
        ("default = 3", "default: must be a table"),
        ("[default]", "default: needs a duration for streams, redacted, archive, index"),
        ("[default]\narchive = 3", 'default: archive must be a duration, such as "24h" or "30d"'),
        ("[default]\narchive='-1d'", 'default: archive must be a duration, such as "24h" or "30d"'),
        ("[[rule]]\narchive='1d'", "rule 1: needs tenant, route, or both"),
        ("[[rule]]\ntenant=''\narchive='1d'", "rule 1: tenant must be a name"),
        (
            "[default]\ntenant='a'",
            "default: tenant is unknown; known are streams, redacted, archive, index",
        ),
    ],
)
def test_mistake_in_the_file_is_named(text: str, message: str) -> None:
    with pytest.raises(RetentionError) as error:
        parse(text)
    assert str(error.value) == message


@given(st.text())
def test_any_text_is_rules_or_a_documented_error(text: str) -> None:
    with contextlib.suppress(RetentionError):
        assert isinstance(parse(text), Retention)


# The audit chain


def _trail(count: int, prev: str = "") -> list[tuple[str, dict[str, str]]]:
    trail = []
    for n in range(count):
        entry = chain.seal(prev, {"action": "held", "call_id": f"CA{n}"})
        prev = entry["digest"]
        trail.append((f"{n}-0", entry))
    return trail


def test_whole_chain_has_no_problems() -> None:
    trail = _trail(5)
    assert chain.verify(trail, contains=trail[2][1]["digest"]) == []
    assert chain.verify([]) == []
    assert list(trail[0][1]) == ["action", "call_id", "prev", "digest"]


@pytest.mark.parametrize("at", [0, 1, 3])
def test_removed_entry_shows(at: int) -> None:
    trail = _trail(5)
    del trail[at]
    assert chain.verify(trail)


@pytest.mark.parametrize("at", [0, 2, 4])
def test_changed_entry_shows(at: int) -> None:
    trail = _trail(5)
    trail[at][1]["call_id"] = "CA9"
    (first, *_) = chain.verify(trail)
    assert first == (f"{at}-0", "was changed")


def test_entries_in_another_order_show() -> None:
    trail = _trail(3)
    assert chain.verify([trail[0], trail[2], trail[1]])


def test_removed_end_shows_by_a_digest_that_was_noted() -> None:
    trail = _trail(5)
    noted = trail[-1][1]["digest"]
    assert chain.verify(trail[:-1]) == []
    assert chain.verify(trail[:-1], contains=noted)
    assert chain.verify(_trail(2, prev=""), contains=noted)


def test_trimmed_beginning_is_accepted_only_with_its_record() -> None:
    trail = _trail(4)
    record = {"action": chain.TRIMMED, "last_digest": trail[1][1]["digest"]}
    end = chain.seal(trail[-1][1]["digest"], record)
    assert chain.verify([*trail[2:], ("4-0", end)]) == []
    assert chain.verify([*trail[1:], ("4-0", end)])
    assert chain.verify(trail[2:])


# The ledger


def test_exported_ledger_is_read_back() -> None:
    records = [
        ("CA1", Erasure("2026-11-30T10:00:00.000Z", "ann", 'her "wish"')),
        ("a%20b", read("x")),
    ]
    lines = [line_of(*record) for record in records]
    assert read_lines([lines[0], "", lines[1] + "\n"]) == records


@pytest.mark.parametrize("line", ["x", "{}", "[]", '{"call_id":3}', '{"call_id":"a"}', "{" * 5000])
def test_file_that_is_no_ledger_is_refused(line: str) -> None:
    with pytest.raises(LedgerFileError, match="line 2 is not a record of a ledger"):
        read_lines(["", line])
