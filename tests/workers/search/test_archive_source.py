"""Archived calls make the same index as their events."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.workers.archive.calls import Fields, Story, alert, entries, whole, wrapup
from workers.archive.evidence import Evidence
from workers.archive.manifest import make_revision
from workers.archive.objects import open_objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveStore
from workers.client import read_event
from workers.search.archive_source import ArchiveSource
from workers.search.calls import CallFold, facts
from workers.search.index import CallSeen, Change, DispositionNoted, Said

_TAKEN_OVER = (
    Story()
    .start()
    .say("inbound", "before")
    .next_epoch(5)
    .start()
    .say("outbound", "after", segment=1)
    .say("inbound", "not finished", partial=True)
    .add("transcript.gap", track="inbound", from_ms=5, to_ms=90, cause="reconnect")
    .end("lost")
    .next_epoch(9)
    .start(resumes=5)
    .say("inbound", "again", segment=7)
    .end()
    .events
)


async def archived(
    folder: Path, events: Sequence[Fields], derived: Sequence[tuple[str, Fields]]
) -> list[Change]:
    """Write a call to an archive; return the changes that are read from it."""
    made = Evidence("CA1", Text.RAW)
    for entry in entries(events):
        made.add("events", entry)
    for source in {name for name, _ in derived}:
        for entry in entries(values for name, values in derived if name == source):
            made.add(source, entry)
    store = ArchiveStore(open_objects(Settings(_env_file=None, url=f"file://{folder}")), Text.RAW)
    assert await store.write(make_revision(made), 1)
    source_ = ArchiveSource(store)
    return [change async for changes in source_.changes() for change in changes]


def folded(events: Iterable[Fields], derived: Iterable[tuple[str, Fields]]) -> list[Change]:
    call = CallFold()
    changes = [change for each in events for change in call.apply(read_event("1-0", each))]
    seen = [each for each in changes if isinstance(each, CallSeen)]  # the last one knows most
    changes = [each for each in changes if each not in seen[:-1]]
    return changes + [each for _, values in derived for each in facts(read_event("1-0", values))]


def timeless(changes: Iterable[Change]) -> list[str]:
    """Return changes in some order, without the time: the archive has no time of a final."""
    return sorted(
        str(msgspec.to_builtins(msgspec.structs.replace(each, at_ms=0)))
        if isinstance(each, Said)
        else f"{type(each).__name__} {msgspec.to_builtins(each)}"
        for each in changes
    )


async def test_number_that_no_index_can_store_does_not_end_a_rebuild(tmp_path: Path) -> None:
    story = Story().start().say("inbound", "one", segment=2**63).say("inbound", "two").end()
    found = await archived(tmp_path, story.events, [])
    assert [each.text for each in found if isinstance(each, Said)] == ["two"]


async def test_disposition_is_that_of_the_newest_wrapup(tmp_path: Path) -> None:
    """Symptom: it was that of the last stream, whichever wrap-up was made first."""
    at = "2026-11-30T10:0{}:00.000Z".format
    derived = [
        ("wrapups", wrapup(wrapup="w2", disposition="newest", made_from="raw", at=at(2))),
        ("redacted-wrapups", wrapup(wrapup="w1", disposition="older", at=at(1))),
    ]
    found = await archived(tmp_path, whole(), derived)
    assert [each.disposition for each in found if isinstance(each, DispositionNoted)] == ["newest"]


@pytest.mark.parametrize("events", [whole(), _TAKEN_OVER, _TAKEN_OVER[1:]])
async def test_archived_call_makes_the_index_of_its_events(
    tmp_path: Path, events: list[Fields]
) -> None:
    derived = [
        ("alerts", alert()),
        ("alerts", alert(name="a2")),
        ("alerts", alert(state="withdrawn")),
        ("redacted-wrapups", wrapup()),
    ]
    found = await archived(tmp_path, events, derived)
    expected = folded(events, [*derived[1:]])  # the last state of each alert
    assert timeless(found) == timeless(expected)
    times = [each.at_ms for each in found if isinstance(each, Said)]
    assert times
    assert all(times)
