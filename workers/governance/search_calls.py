"""The store `search`: the indexes of all kinds of text."""

import logging
from collections.abc import AsyncIterator, Callable, Collection
from typing import Final

from gateway.transcript.keys import DEFAULT_TENANT
from workers.governance.stores import Holding, Kept, StoreError
from workers.search import indexes
from workers.search.index import MAX_LIMIT, Page, Search, SearchIndexError, SearchReader
from workers.search.query import Field, Filter, Query
from workers.search.settings import Settings

_log = logging.getLogger("workers.governance")

KINDS: Final = ("raw", "redacted")


class SearchCalls:
    """The indexed calls; implements `Store` and `Expiring`.

    An index that was never created has nothing. What is removed stays out, even if the index is
    built anew.

    Args:
        settings: of search.
        wall_s: the current time, in Unix seconds.
    """

    name = "search"

    def __init__(self, settings: Settings, wall_s: Callable[[], float]) -> None:
        self._settings = settings
        self._wall_s = wall_s

    def _kinds(self) -> list[str]:
        if self._settings.database_url:
            return list(self._settings.text.kinds)
        return [each for each in KINDS if indexes.is_begun(self._settings.path, each)]

    async def erase(self, calls: Collection[str]) -> int:
        """Remove some calls with all their words; see `Store`."""
        count = 0
        for kind in self._kinds():
            try:
                count += await indexes.remove(self._settings, kind, sorted(calls))
            except SearchIndexError:
                raise StoreError(self.name, "unavailable") from None
        return count

    async def find(self, calls: Collection[str]) -> int:
        """Return how many segments of some calls there are, at most 100 per call; see `Store`."""
        count = 0
        for kind in self._kinds():
            reader = await self._open(kind)
            try:
                for call_id in calls:
                    page = await self._page(reader, Search(_of_call(call_id), limit=MAX_LIMIT))
                    count += sum(hit.call_id == call_id for hit in page.hits)  # in any case
            finally:
                await reader.close()
        return count

    async def ids(self) -> AsyncIterator[str]:
        """Yield the ids of all calls, once per kind of text; see `Expiring`."""
        async for kept in self._kept():
            yield kept.call_id

    async def calls(self) -> AsyncIterator[Kept]:
        """Yield all calls, and when the newest segment of each was written; see `Expiring`.

        Before, the words of calls that expired in the last sweep are overwritten: once per sweep,
        because it takes as long for many calls as for one.
        """
        for kind in self._kinds():
            try:
                async with indexes.opened_to_remove(self._settings, kind) as index:
                    await index.purge()
            except SearchIndexError:  # the next sweep repeats it; searches do not find the calls
                _log.warning("search-purge-postponed text=%s", kind)
        async for kept in self._kept():
            yield kept

    async def _kept(self) -> AsyncIterator[Kept]:
        for kind in self._kinds():
            reader = await self._open(kind)
            try:
                seen: set[str] = set()
                search = Search(Query(to_ms=round(self._wall_s() * 1000)), limit=MAX_LIMIT)
                while True:
                    page = await self._page(reader, search)
                    for hit in page.hits:
                        if hit.call_id not in seen:
                            seen.add(hit.call_id)
                            yield Kept(
                                hit.call_id, hit.tenant or DEFAULT_TENANT, hit.route, hit.at_ms
                            )
                    if not page.next:
                        break
                    search = Search(search.query, limit=MAX_LIMIT, after=page.next)
            finally:
                await reader.close()

    async def expire(self, calls: Collection[str]) -> int:
        """Remove calls whose time is over; see `Expiring`."""
        count = 0
        for kind in self._kinds():
            try:
                async with indexes.opened_to_remove(self._settings, kind) as index:
                    count += await index.remove(sorted(calls), keep_out=False)
            except SearchIndexError:
                raise StoreError(self.name, "unavailable") from None
        return len(calls) if count else 0

    async def describe(self) -> list[Holding]:
        """Return how many calls and segments there are; see `Store`."""
        until = "WORKER_GOVERN_RETENTION, else forever"
        holdings = []
        for kind in self._kinds():
            reader = await self._open(kind)
            try:
                size = await reader.count()
            except SearchIndexError:
                raise StoreError(self.name, "unavailable") from None
            finally:
                await reader.close()
            holdings.append(
                Holding(self.name, kind, "indexed segments", until, size.calls, size.segments)
            )
        return holdings

    async def _open(self, kind: str) -> SearchReader:
        try:
            return await indexes.open_to_read(self._settings, kind)
        except SearchIndexError:
            raise StoreError(self.name, "unavailable") from None

    async def _page(self, reader: SearchReader, search: Search) -> Page:
        try:
            page = await reader.search(search)
        except SearchIndexError:
            raise StoreError(self.name, "unavailable") from None
        if not page.is_complete:  # what was not found may be there nevertheless
            raise StoreError(self.name, "timeout")
        return page


def _of_call(call_id: str) -> Query:
    return Query(filters=(Filter(Field.CALL, (call_id,)),))
