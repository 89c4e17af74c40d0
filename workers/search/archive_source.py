"""The calls of the archive, as changes of an index."""

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from workers.archive.objects import StoreError
from workers.archive.record import CallRecord, Stream
from workers.archive.store import ArchiveError, ArchiveStore
from workers.search.calls import milliseconds
from workers.search.index import (
    MAX_TEXT,
    AlertNoted,
    CallSeen,
    Change,
    DispositionNoted,
    GapNoted,
    Said,
    SearchIndexError,
    has_large_number,
)

_log = logging.getLogger("workers.search")

_RAISED: Final = "raised"


class ArchiveSource:
    """The newest revision of each archived call.

    Args:
        store: the archive of the same kind of text.
    """

    def __init__(self, store: ArchiveStore) -> None:
        self._store = store
        self.damaged = 0  # calls that can't be read; `./run archive verify` names them

    async def changes(self) -> AsyncIterator[Sequence[Change]]:
        """Yield the changes of each call.

        Raises:
            SearchIndexError: the archive is unavailable.
        """
        try:
            async for call_id in self._store.calls():
                try:
                    archived = await self._store.read_call(call_id)
                except ArchiveError:
                    self.damaged += 1
                    _log.warning("archived-call-damaged call_id=%s", call_id)
                    continue
                if archived:
                    changes = changes_of(archived.record)
                    yield [each for each in changes if not has_large_number(each)]
        except StoreError as error:
            raise SearchIndexError(f"the archive can't be read: {error}") from None


def changes_of(record: CallRecord) -> list[Change]:
    """Return the changes that an archived call makes."""
    call_id = record.call_id
    changes: list[Change] = [CallSeen(call_id, record.tenant, record.carrier, record.route)]
    for stream in record.streams:
        changes += _of_stream(call_id, stream, stream.started or record.started)
    for alert in record.alerts:
        note = str(alert["alert"]), str(alert["rule"]), str(alert["severity"])
        changes.append(AlertNoted(call_id, *note, is_raised=alert.get("state") == _RAISED))
    for wrapup in sorted(record.wrapups, key=lambda each: str(each.get("at")))[-1:]:
        changes.append(DispositionNoted(call_id, str(wrapup.get("disposition") or "")))
    return changes


def _of_stream(call_id: str, stream: Stream, started: datetime | None) -> Iterator[Change]:
    for each in stream.segments:
        text = each.text.strip()[:MAX_TEXT]
        if not each.final or not text:
            continue
        ended = started + timedelta(milliseconds=each.end_ms) if started else None
        yield Said(
            call_id,
            stream.stream_id,
            stream.epoch,
            each.track,
            each.segment,
            each.rev,
            each.role,
            milliseconds(ended) if ended else 0,
            each.start_ms,
            each.end_ms,
            text,
        )
    for gap in stream.gaps:
        yield GapNoted(call_id, stream.stream_id, gap.track, gap.from_ms, gap.to_ms, gap.cause)
