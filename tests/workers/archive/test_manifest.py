"""The manifest proves the files, and nothing that was changed passes."""

import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.archive.calls import Fields, Story, alert, entries, evidence, whole, wrapup
from workers.archive.evidence import Evidence, EvidenceError, lines
from workers.archive.manifest import (
    EVENTS,
    NAME,
    Manifest,
    Revision,
    faults,
    make_revision,
    read_evidence,
)
from workers.archive.record import Text

FILES = [EVENTS, "call.json", "transcript.vtt", "transcript.txt", NAME]


def revision(events: list[Fields] | None = None) -> Revision:
    made = evidence(
        whole() if events is None else events, alerts=[alert()], redacted_wrapups=[wrapup()]
    )
    return make_revision(made)


def test_manifest_is_last_and_has_all_numbers() -> None:
    files = revision().all_files(3)
    assert list(files) == FILES
    made = json.loads(files[NAME])
    for name in FILES[:-1]:
        digest = hashlib.sha256(files[name]).hexdigest()
        assert made["files"][name] == {"size": len(files[name]), "sha256": digest}
    assert {name: made[name] for name in ("v", "call_id", "text", "revision", "complete")} == {
        "v": 1,
        "call_id": "CA1",
        "text": "raw",
        "revision": 3,
        "complete": True,
    }
    assert made["problems"] == []
    assert made["epochs"] == [
        {"stream_id": "MZ1", "epoch": 1, "first": 1, "last": 13, "events": 13}
    ]
    assert made["sources"] == {
        "events": {"entries": 13, "last_id": "13-0"},
        "alerts": {"entries": 1, "last_id": "1-0"},
        "wrapups": {"entries": 0, "last_id": "0"},
        "redacted-wrapups": {"entries": 1, "last_id": "1-0"},
    }
    assert made["counts"] == {
        "streams": 1,
        "segments": 3,
        "finals": 3,
        "gaps": 0,
        "alerts": 1,
        "wrapups": 1,
    }


def test_redacted_copy_names_the_numbers_of_the_originals() -> None:
    events = whole()
    for position, each in enumerate(events):
        each["source_n"] = str(2 * position + 1)
    made = make_revision(evidence(events, Text.REDACTED)).manifest
    assert [(each.source_first, each.source_last) for each in made.epochs] == [(1, 25)]


def test_incomplete_manifest_says_what_is_missing() -> None:
    made = revision([each for each in whole() if each["n"] != "4"]).manifest
    assert not made.complete
    assert [(each.problem, each.first, each.last) for each in made.problems] == [
        ("hole", 4, 4),
        ("finals", 0, 3),
    ]


def test_what_was_written_is_proved() -> None:
    for events in (whole(), whole()[:-1], Story().start().end("lost").events):
        made = revision(events)
        assert faults(made.manifest, made.files) == []


def spoil(name: str, change: Callable[[bytes], bytes]) -> tuple[Manifest, dict[str, bytes]]:
    """Return a revision with a changed file."""
    made = revision()
    return made.manifest, {**made.files, name: change(made.files[name])}


@pytest.mark.parametrize("name", FILES[:-1])
@pytest.mark.parametrize(
    "change", [lambda content: content[:-1], lambda content: content + b" ", lambda _: b""]
)
def test_changed_file_is_found(name: str, change: Callable[[bytes], bytes]) -> None:
    assert faults(*spoil(name, change)) == [f"{name} is not as its digest says"]


def test_missing_and_added_files_are_found() -> None:
    made = revision()
    files = {name: content for name, content in made.files.items() if name != "call.json"}
    assert faults(made.manifest, {**files, "other": b""}) == [
        "call.json is missing",
        "other was added",
    ]


def forge(**changes: Any) -> list[str]:
    """Return the faults of a manifest that has correct digests and wrong claims."""
    made = revision([each for each in whole() if each["n"] != "3"])
    manifest: dict[str, Any] = msgspec.to_builtins(made.manifest)
    return faults(msgspec.convert(manifest | changes, Manifest), made.files)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"complete": True}, "complete"),
        ({"problems": []}, "the problems"),
        (
            {"epochs": [{"stream_id": "MZ1", "epoch": 1, "first": 1, "last": 13, "events": 13}]},
            "the numbering of the events",
        ),
        ({"sources": {}}, "the number of entries"),
    ],
)
def test_completeness_is_counted_again_with_the_events(changes: dict[str, Any], fault: str) -> None:
    assert forge() == []
    assert forge(**changes) == [f"the manifest is wrong about {fault}"]


def test_file_of_events_without_some_is_found() -> None:
    """Someone deletes what was said, and corrects the digest."""
    made = revision()
    kept = [
        each for each in gzip.decompress(made.files[EVENTS]).splitlines() if b"bill" not in each
    ]
    files = {**made.files, EVENTS: gzip.compress(b"\n".join(kept) + b"\n")}
    claims: dict[str, Any] = msgspec.to_builtins(made.manifest)
    claims["files"][EVENTS] = {
        "size": len(files[EVENTS]),
        "sha256": hashlib.sha256(files[EVENTS]).hexdigest(),
    }
    assert "the manifest is wrong about the numbering of the events" in faults(
        msgspec.convert(claims, Manifest), files
    )


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no gzip",
        gzip.compress(b"no json\n"),
        gzip.compress(b"{}\n"),
        gzip.compress(b'{"source":"events","id":"1-0","fields":{}}'),
        gzip.compress(b'{"source":"events","id":"1-0","fields":{}}\n')[:-4],
    ],
    ids=["empty", "no gzip", "no json", "no fields", "no end of line", "cut"],
)
def test_damaged_events_raise_the_documented_error(packed: bytes) -> None:
    with pytest.raises(EvidenceError):
        list(lines(packed))
    assert read_evidence(revision().manifest, packed) is None


def test_unknown_source_and_id_are_damage() -> None:
    for source, entry_id in (("other", "1-0"), ("events", "x")):
        line = json.dumps({"source": source, "id": entry_id, "fields": {}})
        packed = gzip.compress(f"{line}\n".encode())
        assert read_evidence(revision().manifest, packed) is None


@settings(max_examples=30)
@given(st.data())
def test_same_events_give_the_same_bytes_however_they_were_read(data: st.DataObject) -> None:
    """A later revision reads the archived events, then those that Redis has after them."""
    events = [*whole(), *Story(stream="MZ2").start().say("inbound", "more").end().events]
    cut = data.draw(st.integers(0, len(events)))
    first = evidence(events[:cut], alerts=[alert()])
    again = read_evidence(make_revision(first).manifest, make_revision_files(events[:cut]))
    assert again
    start = data.draw(st.integers(0, cut))  # entries may be read again
    for entry in list(entries(events))[start:]:
        again.add("events", entry)
    whole_at_once = evidence(events, alerts=[alert()])
    one, other = make_revision(again), make_revision(whole_at_once)
    assert one.manifest.epochs == other.manifest.epochs
    assert {name: one.files[name] for name in FILES[1:-1]} == {
        name: other.files[name] for name in FILES[1:-1]
    }
    assert sorted(gzip.decompress(one.files[EVENTS]).splitlines()) == sorted(
        gzip.decompress(other.files[EVENTS]).splitlines()
    )


def make_revision_files(events: list[Fields]) -> bytes:
    return make_revision(evidence(events, alerts=[alert()])).files[EVENTS]


def test_long_call_takes_little_memory() -> None:
    """The events are compressed while they are read."""
    made = Evidence("CA1", Text.RAW)
    story = Story().start()
    for _ in range(500):
        story.say("inbound", "the same words again and again and again")
    for entry in entries(story.end().events):
        made.add("events", entry)
    packed = made.pack()
    assert len(packed) < sum(len(str(each)) for each in story.events) / 10
    assert sum(1 for _ in lines(packed)) == len(story.events)
