"""The store `archive`: the folders of calls, and a copy of the ledger beside them."""

import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

from gateway.transcript.keys import DEFAULT_TENANT
from workers.archive import objects
from workers.archive.assembly import open_store
from workers.archive.manifest import NAME as MANIFEST
from workers.archive.objects import Objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveError, ArchiveStore
from workers.governance.copies import LedgerCopy
from workers.governance.stores import Holding, Kept, StoreError

_LEDGER: Final = "erased"  # the folder beside those of the texts


class ArchiveCalls:
    """The archived calls; implements `Store` and `Expiring`.

    Args:
        stores: the archives of all kinds of text.
    """

    name = "archive"

    def __init__(self, stores: Sequence[ArchiveStore]) -> None:
        self._stores = stores

    async def erase(self, calls: Collection[str]) -> int:
        """Delete all revisions of some calls; see `Store`."""
        count = 0
        for store in self._stores:
            for call_id in calls:
                count += await _done(store, call_id, is_deleting=True)
        return count

    async def find(self, calls: Collection[str]) -> int:
        """Return how many files of some calls there are; see `Store`."""
        count = 0
        for store in self._stores:
            for call_id in calls:
                count += await _done(store, call_id, is_deleting=False)
        return count

    async def ids(self) -> AsyncIterator[str]:
        """Yield the ids of all calls, once per kind of text; see `Expiring`."""
        for store in self._stores:
            async for call_id in self._ids(store):
                yield call_id

    async def calls(self) -> AsyncIterator[Kept]:
        """Yield all calls, and when they ended; see `Expiring`.

        A call without a manifest, such as the rest of a deletion that was interrupted, has no
        tenant and no route, and the time at which its newest file was written.
        """
        for store in self._stores:
            async for call_id in self._ids(store):
                try:
                    kept = await _kept(store, call_id)
                except objects.StoreError as error:
                    raise StoreError(self.name, error.reason) from None
                if kept:
                    yield kept

    async def _ids(self, store: ArchiveStore) -> AsyncIterator[str]:
        try:
            async for call_id in store.calls():
                yield call_id
        except objects.StoreError as error:
            raise StoreError(self.name, error.reason) from None

    async def expire(self, calls: Collection[str]) -> int:
        """Delete calls whose time is over; see `Expiring`."""
        return len(calls) if await self.erase(calls) else 0

    async def describe(self) -> list[Holding]:
        """Return how many calls there are; see `Store`."""
        until = "WORKER_GOVERN_RETENTION, else forever"
        holdings = []
        for store in self._stores:
            count = 0
            async for _ in self._ids(store):
                count += 1
            holdings.append(Holding(self.name, str(store.text), "archived calls", until, count))
        return holdings


async def _kept(store: ArchiveStore, call_id: str) -> Kept | None:
    """Return a call; None if its manifest is damaged, because its tenant is not known."""
    revisions = await store.revisions(call_id)
    if manifest := revisions.manifest:
        ended_ms = _ms(manifest.ended) if manifest.ended else 0
        return Kept(call_id, manifest.tenant or DEFAULT_TENANT, manifest.route, ended_ms)
    if any(MANIFEST in names for names in revisions.files.values()):
        return None
    modified = await store.modified(call_id)
    return Kept(call_id, DEFAULT_TENANT, "", _ms(modified)) if modified else None


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


async def _done(store: ArchiveStore, call_id: str, *, is_deleting: bool) -> int:
    """Delete or count the files of a call."""
    try:
        if is_deleting:
            return await store.delete_call(call_id)
        revisions = await store.revisions(call_id)
    except ArchiveError:  # an id that no archived call has
        return 0
    except objects.StoreError as error:
        raise StoreError("archive", error.reason) from None
    return sum(len(names) for names in revisions.files.values())


class ArchiveFiles:
    """Files beside the folders of the archive; implements `Files` of the copies of the ledger.

    Args:
        store: the store of the archive.
    """

    def __init__(self, store: Objects) -> None:
        self._store = store

    async def create(self, path: str, content: bytes) -> None:
        """Write a file, unless it exists."""
        with _translated():
            await self._store.create(path, content)

    async def get(self, path: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""
        with _translated():
            return await self._store.get(path)

    async def remove(self, path: str) -> None:
        """Delete a file and its folder, if they exist."""
        with _translated():
            await self._store.delete(path.rpartition("/")[0])

    async def paths(self, folder: str) -> AsyncIterator[str]:
        """Yield the paths of the files in a folder and in the folders of it."""
        with _translated():
            async for each in self._store.listing(folder):
                yield each.path


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except objects.StoreError as error:
        raise StoreError("ledger copy", error.reason) from None


def open_archive(settings: Settings) -> tuple[ArchiveCalls, LedgerCopy]:
    """Open the archive, in all kinds of text, and the copy of the ledger beside it.

    Raises:
        SettingsError: the settings name no store, or not a valid one.
    """
    calls = ArchiveCalls([open_store(settings, text) for text in Text])
    return calls, LedgerCopy(ArchiveFiles(objects.open_objects(settings)), _LEDGER)
