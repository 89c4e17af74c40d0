"""Proves what is stored of a call, or says what is wrong with it."""

from dataclasses import dataclass, field
from enum import StrEnum

from workers.archive import manifest as proofs
from workers.archive.manifest import Manifest
from workers.archive.store import ArchiveError, ArchiveStore, Revisions


class State(StrEnum):
    """The result of a verification, the best first."""

    COMPLETE = "complete"  # every event of the call is proved to be there
    INCOMPLETE = "incomplete"  # the manifest is proved, and says what is missing
    DAMAGED = "damaged"  # the files do not prove the manifest
    MISSING = "missing"  # the call is not archived


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a call, with a sentence for each problem."""

    call_id: str
    state: State
    problems: list[str] = field(default_factory=list)


async def verify(store: ArchiveStore, call_id: str) -> Verdict:
    """Verify all revisions of a call.

    Raises:
        StoreError: the store failed.
    """
    try:
        found = await store.revisions(call_id)
    except ArchiveError as error:  # a folder that the archive did not create
        return Verdict(call_id, State.DAMAGED, [str(error)])
    if not found.files:
        return Verdict(call_id, State.MISSING, ["it is not archived"])
    problems = _unfinished(found)
    newest = None
    for number, names in sorted(found.files.items()):
        if proofs.NAME in names:
            newest = await store.manifest(call_id, number)
            problems += await _faults(store, newest, number, names)
    if problems or newest is None:
        return Verdict(call_id, State.DAMAGED, problems)
    if newest.complete:
        return Verdict(call_id, State.COMPLETE)
    return Verdict(call_id, State.INCOMPLETE, [str(each) for each in newest.problems])


async def _faults(
    store: ArchiveStore, manifest: Manifest | None, number: int, names: set[str]
) -> list[str]:
    if manifest is None:
        return [f"revision {number}: the manifest is damaged"]
    files = await store.files(manifest.call_id, number, names)
    return [f"revision {number}: {each}" for each in proofs.faults(manifest, files)]


def _unfinished(found: Revisions) -> list[str]:
    """Name the newest revision if it has no manifest; an older one was abandoned."""
    number = max(found.files)
    if proofs.NAME in found.files[number]:
        return []
    return [f"revision {number}: it has no manifest; it is being written, or will be"]
