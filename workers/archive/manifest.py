"""The manifest of a revision: what it holds, with digests, and whether that is complete. Pure.

It is written last, so a revision that has one is whole. It depends on nothing but the events:
two workers that archive the same events write the same manifest.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from workers.archive.evidence import Evidence, EvidenceError, Read, lines
from workers.archive.folding import CallFold, Problem
from workers.archive.formats import to_json, to_txt, to_vtt
from workers.archive.numbers import Epoch
from workers.archive.record import VERSION, CallRecord, Text
from workers.client.events import Entry

NAME: Final = "manifest.json"
RECORD: Final = "call.json"
EVENTS: Final = "events.jsonl.gz"


class File(msgspec.Struct, frozen=True):
    """The size and the SHA-256 digest (hex) of a file."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "File":
        """Return the size and digest of a content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())


class Counts(msgspec.Struct, frozen=True):
    """What the record holds."""

    streams: int
    segments: int
    finals: int
    gaps: int
    alerts: int
    wrapups: int


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The proof of one revision.

    Attributes:
        call_id: the call.
        text: `raw` or `redacted`.
        revision: its number, from 1; the highest one is valid.
        complete: whether every event is proved to be there. Audio without a transcript is a gap in
            the record, and does not make it incomplete.
        problems: why not.
        epochs: the events of each epoch of each stream.
        sources: what was read of each stream in Redis.
        counts: what the record holds.
        files: size and digest of each file.
        v: version of this format.
        tenant, carrier, route, status, started, ended: as in the record.
    """

    call_id: str
    text: Text
    revision: int
    complete: bool
    problems: list[Problem]
    epochs: list[Epoch]
    sources: dict[str, Read]
    counts: Counts
    files: dict[str, File]
    v: int
    tenant: str = ""
    carrier: str = ""
    route: str = ""
    status: str = ""
    started: datetime | None = None
    ended: datetime | None = None


class Revision(msgspec.Struct, frozen=True):
    """A revision to be written.

    Attributes:
        manifest: its manifest, without a number.
        files: the content of each file, in the order in which they are written.
    """

    manifest: Manifest
    files: dict[str, bytes]

    def __repr__(self) -> str:
        """Return what identifies the revision, without its content."""
        return f"<Revision {self.manifest.call_id}>"

    def all_files(self, number: int) -> dict[str, bytes]:
        """Return the files and, last, the manifest of a revision with this number."""
        manifest = msgspec.structs.replace(self.manifest, revision=number)
        encoded = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
        return {**self.files, NAME: encoded + b"\n"}


def make_revision(evidence: Evidence) -> Revision:
    """Return what is to be written of a call's events."""
    record, fold = evidence.fold.record(), evidence.fold
    files = {
        EVENTS: evidence.pack(),
        RECORD: to_json(record).encode(),
        "transcript.vtt": to_vtt(record).encode(),
        "transcript.txt": to_txt(record).encode(),
    }
    problems = fold.problems()
    manifest = Manifest(
        call_id=record.call_id,
        text=record.text,
        revision=0,
        complete=not problems,
        problems=problems,
        epochs=epochs_of(fold),
        sources=evidence.read,
        counts=count(record),
        files={name: File.of(content) for name, content in files.items()},
        v=VERSION,
        tenant=record.tenant,
        carrier=record.carrier,
        route=record.route,
        status=record.status,
        started=record.started,
        ended=record.ended,
    )
    return Revision(manifest, files)


def epochs_of(fold: CallFold) -> list[Epoch]:
    """Return the epochs of a call, sorted."""
    return [each for _, each in sorted(fold.numbers.epochs.items())]


def count(record: CallRecord) -> Counts:
    """Return what a record holds."""
    segments = [each for stream in record.streams for each in stream.segments]
    return Counts(
        streams=len(record.streams),
        segments=len(segments),
        finals=sum(each.final for each in segments),
        gaps=sum(len(stream.gaps) for stream in record.streams),
        alerts=len(record.alerts),
        wrapups=len(record.wrapups),
    )


def faults(manifest: Manifest, files: Mapping[str, bytes]) -> list[str]:
    """Return why files do not prove a manifest; nothing if they do.

    The numbering is checked again with the events, not taken from the manifest.
    """
    found = [f"{name} is missing" for name in sorted(manifest.files.keys() - files.keys())]
    found += [f"{name} was added" for name in sorted(files.keys() - manifest.files.keys())]
    for name, content in sorted(files.items()):
        if name in manifest.files and File.of(content) != manifest.files[name]:
            found.append(f"{name} is not as its digest says")
    return found or _contradictions(manifest, files)


def _contradictions(manifest: Manifest, files: Mapping[str, bytes]) -> list[str]:
    evidence = read_evidence(manifest, files[EVENTS]) if EVENTS in files else None
    if evidence is None:
        return [f"{EVENTS} is damaged"]
    fold = evidence.fold
    try:
        record = msgspec.json.decode(files.get(RECORD, b""), type=CallRecord)
    except msgspec.DecodeError:
        return [f"{RECORD} is damaged"]
    claims = {
        "the numbering of the events": (manifest.epochs, epochs_of(fold)),
        "the problems": (manifest.problems, fold.problems()),
        "complete": (manifest.complete, not fold.problems()),
        "the number of entries": (_entries(manifest.sources), _entries(evidence.read)),
        f"the contents of {RECORD}": (manifest.counts, count(record)),
        "the number of finals": (manifest.counts.finals, count(fold.record()).finals),
    }
    return [f"the manifest is wrong about {what}" for what, (a, b) in claims.items() if a != b]


def _entries(sources: Mapping[str, Read]) -> dict[str, int]:
    return {source: read.entries for source, read in sources.items()}


def read_evidence(manifest: Manifest, packed: bytes) -> Evidence | None:
    """Return the events of a revision, to which others can be added; None if they are damaged."""
    evidence = Evidence(manifest.call_id, manifest.text)
    try:
        for line in lines(packed):
            evidence.add(line.source, Entry(line.id, line.fields))
    except (EvidenceError, KeyError, ValueError):
        return None
    return evidence
