"""The store `archive`: the folders of calls, and a copy of the ledger beside them."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from gateway.transcript.keys import DEFAULT_TENANT
from workers.archive import objects
from workers.archive.assembly import open_store
from workers.archive.objects import Objects
from workers.archive.record import Text
from workers.archive.settings import Settings
from workers.archive.store import ArchiveError, ArchiveStore
from workers.governance.copies import path_of
from workers.governance.ledger import Erasure, LedgerFileError, line_of, read_lines
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
        """Yield all calls with a manifest, and when they ended; see `Expiring`."""
        for store in self._stores:
            async for call_id in self._ids(store):
                try:
                    manifest = (await store.revisions(call_id)).manifest
                except objects.StoreError as error:
                    raise StoreError(self.name, error.reason) from None
                if manifest:
                    ended_ms = round(manifest.ended.timestamp() * 1000) if manifest.ended else 0
                    tenant = manifest.tenant or DEFAULT_TENANT
                    yield Kept(call_id, tenant, manifest.route, ended_ms)

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


class ObjectsCopy:
    """A copy of the ledger beside the archive; implements `LedgerCopy`.

    Args:
        store: the store of the archive.
    """

    def __init__(self, store: Objects) -> None:
        self._store = store

    async def put(self, call_id: str, erasure: Erasure) -> None:
        """Write a record, unless there is one of the call."""
        content = line_of(call_id, erasure).encode()
        try:
            await self._store.create(f"{_LEDGER}/{path_of(call_id)}", content)
        except objects.StoreError as error:
            raise StoreError("ledger copy", error.reason) from None

    async def all(self) -> AsyncIterator[tuple[str, Erasure]]:
        """Yield all records; a damaged one is skipped, because its call is not known."""
        try:
            async for each in self._store.listing(_LEDGER):
                content = await self._store.get(each.path)
                for record in _records(content or b""):
                    yield record
        except objects.StoreError as error:
            raise StoreError("ledger copy", error.reason) from None


def _records(content: bytes) -> list[tuple[str, Erasure]]:
    try:
        return read_lines([content.decode()])
    except (LedgerFileError, UnicodeDecodeError):
        return []


def open_archive(settings: Settings) -> tuple[ArchiveCalls, ObjectsCopy]:
    """Open the archive, in all kinds of text, and the copy of the ledger beside it.

    Raises:
        SettingsError: the settings name no store, or not a valid one.
    """
    calls = ArchiveCalls([open_store(settings, text) for text in Text])
    return calls, ObjectsCopy(objects.open_objects(settings))
