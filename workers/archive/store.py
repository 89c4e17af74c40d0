"""The folders of calls: revisions of files, each with a manifest that is written last.

    <text>/<xx>/<call_id>/<revision>/events.jsonl.gz
                                     call.json
                                     transcript.vtt
                                     transcript.txt
                                     manifest.json

`xx` is the beginning of the SHA-256 of the call's id, so the folder of a call follows from its id,
and no folder of a directory has too many others in it.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from workers.archive import manifest as proofs
from workers.archive.manifest import Manifest, Revision
from workers.archive.objects import Objects
from workers.archive.record import CallRecord, Text

_SHARD_DIGITS: Final = 2
CALL_ID: Final = re.compile(r"[A-Za-z0-9._~%-]{1,400}")
_DOTS: Final = re.compile(r"\.{1,2}")
_FILE: Final = re.compile(r"([1-9][0-9]{0,8})/([a-z.]{1,40})")


class ArchiveError(Exception):
    """What is archived of a call is damaged. The message quotes no content."""


class Archived(NamedTuple):
    """The newest revision of a call."""

    manifest: Manifest
    record: CallRecord


class Revisions(NamedTuple):
    """What is stored of a call.

    Attributes:
        files: by revision, its files.
        manifest: of the newest revision that has one; None if there is none, or it is damaged.
    """

    files: dict[int, set[str]]
    manifest: Manifest | None = None

    @property
    def next(self) -> int:
        """The number of the next revision; one without a manifest is continued, or abandoned."""
        newest = max(self.files, default=0)
        is_begun = newest and proofs.NAME not in self.files[newest]
        return newest if is_begun else newest + 1


class ArchiveStore:
    """The archived calls of one kind of text.

    Every method raises `StoreError` if the store fails.

    Args:
        objects: the store.
        text: the kind of text.
    """

    def __init__(self, objects: Objects, text: Text) -> None:
        self.text = text
        self._objects = objects

    async def read_call(self, call_id: str) -> Archived | None:
        """Return the newest revision of a call, compared with its digest; None if there is none.

        Raises:
            ArchiveError: the manifest or the record is damaged.
        """
        found = await self.revisions(call_id)
        if not any(proofs.NAME in names for names in found.files.values()):
            return None
        if found.manifest is None:
            raise ArchiveError("the manifest is damaged")
        content = await self.read_file(found.manifest, proofs.RECORD)
        try:
            return Archived(found.manifest, msgspec.json.decode(content, type=CallRecord))
        except msgspec.DecodeError:
            raise ArchiveError("the record is damaged") from None

    async def read_file(self, manifest: Manifest, name: str) -> bytes:
        """Return a file of a revision.

        Raises:
            ArchiveError: it is missing, or not as its digest says.
        """
        path = f"{self.folder(manifest.call_id)}/{manifest.revision}/{name}"
        content = await self._objects.get(path)
        if content is None or proofs.File.of(content) != manifest.files.get(name):
            raise ArchiveError(f"{name} is missing or damaged")
        return content

    async def delete_call(self, call_id: str) -> int:
        """Delete all revisions of a call; return the number of objects.

        Manifests are deleted first, so that an interrupted deletion leaves no call that seems to be
        damaged. Repeat it until it returns 0.
        """
        return await self._objects.delete(self.folder(call_id), first=proofs.NAME)

    async def calls(self) -> AsyncIterator[str]:
        """Yield the ids of all calls, sorted by the digest of their id."""
        for shard in await self._objects.folders(str(self.text)):
            for name in await self._objects.folders(f"{self.text}/{shard}"):
                yield _id_of(name)

    async def revisions(self, call_id: str) -> Revisions:
        """Return which revisions a call has, with the newest manifest."""
        folder = self.folder(call_id)
        files: defaultdict[int, set[str]] = defaultdict(set)
        async for each in self._objects.listing(folder):
            if name := _FILE.fullmatch(each.path.removeprefix(f"{folder}/")):
                files[int(name[1])].add(name[2])
        proved = [number for number, names in files.items() if proofs.NAME in names]
        if not proved:
            return Revisions(dict(files))
        return Revisions(dict(files), await self.manifest(call_id, max(proved)))

    async def modified(self, call_id: str) -> datetime | None:
        """Return when the newest file of a call was written; None if there is no file."""
        times = [each.modified async for each in self._objects.listing(self.folder(call_id))]
        return max(times, default=None)

    async def manifest(self, call_id: str, revision: int) -> Manifest | None:
        """Return the manifest of a revision; None if it is missing or damaged."""
        path = f"{self.folder(call_id)}/{revision}/{proofs.NAME}"
        content = await self._objects.get(path)
        try:
            found = msgspec.json.decode(content or b"", type=Manifest)
        except msgspec.DecodeError:
            return None
        identity = found.call_id, found.text, found.revision
        return found if identity == (call_id, self.text, revision) else None

    async def files(self, call_id: str, revision: int, names: set[str]) -> dict[str, bytes]:
        """Return the files of a revision, without its manifest."""
        folder = f"{self.folder(call_id)}/{revision}"
        contents = {
            name: await self._objects.get(f"{folder}/{name}")
            for name in sorted(names - {proofs.NAME})
        }
        return {name: content for name, content in contents.items() if content is not None}

    async def write(self, revision: Revision, number: int) -> bool:
        """Write a revision; return False if one with this number was begun with other contents.

        A revision that was begun with the same content is completed.
        """
        folder = f"{self.folder(revision.manifest.call_id)}/{number}"
        for name, content in revision.all_files(number).items():
            path = f"{folder}/{name}"
            is_created = await self._objects.create(path, content)
            if not is_created and await self._objects.get(path) != content:
                return False
        return True

    def folder(self, call_id: str) -> str:
        """Return the folder of a call.

        Raises:
            ArchiveError: the id is not one of docs/events.md.
        """
        if not CALL_ID.fullmatch(call_id):
            raise ArchiveError("not a call id")
        # Paths can't have these names; "%2E" is in no other id, because dots are not encoded.
        name = call_id.replace(".", "%2E") if _DOTS.fullmatch(call_id) else call_id
        shard = hashlib.sha256(call_id.encode("ascii")).hexdigest()[:_SHARD_DIGITS]
        return f"{self.text}/{shard}/{name}"


def _id_of(name: str) -> str:
    return name.replace("%2E", ".") if _DOTS.fullmatch(name.replace("%2E", ".")) else name
