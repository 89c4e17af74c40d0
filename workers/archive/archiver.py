"""Writes one call to the archive: what Redis has, beside what is archived already."""

import logging
from collections import defaultdict
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.keys import partition_key
from workers.archive import manifest as proofs
from workers.archive.evidence import SOURCES, Evidence
from workers.archive.manifest import Manifest
from workers.archive.objects import StoreError
from workers.archive.reading import read_into
from workers.archive.record import Text
from workers.archive.store import ArchiveError, ArchiveStore
from workers.client import reading

_log = logging.getLogger("workers.archive")

_MAX_CONFLICTS: Final = 5  # with other workers, before the call is tried again later
_TIMEOUT_S: Final = 5.0


class Result(StrEnum):
    """What became of a call that was due."""

    COMPLETE = "complete"  # a revision was written
    INCOMPLETE = "incomplete"  # the same, and its manifest says what is missing
    UNCHANGED = "unchanged"  # its newest revision has everything
    LIVE = "live"  # a stream has not ended; its end makes the call due again
    GONE = "gone"  # Redis has no event of it, nor has the archive
    ERASED = "erased"  # an operator erased it; nothing is archived


class Metrics:
    """The metrics of the archive."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace="callscribe", registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["text"], namespace="callscribe", registry=registry)

        self.calls_total = counter(
            "archive_calls_total",
            "Calls that were due, by text and result: complete or incomplete (a revision was "
            "written), unchanged, live (not over), gone (deleted or expired before), "
            "erased (by an operator).",
            "text",
            "result",
        )
        self.failures_total = counter(
            "archive_failures_total",
            "Attempts to archive a call that failed and are repeated, by reason.",
            "reason",
        )
        self.bytes_total = counter("archive_bytes_total", "Bytes of the revisions written.")
        self.waiting_calls = gauge(
            "archive_waiting_calls",
            "Calls that wait until they are archived, over all partitions held.",
        )
        self.overdue_seconds = gauge(
            "archive_overdue_seconds",
            "How long the oldest call that is due has waited, over all partitions held.",
        )
        self._overdue: defaultdict[Text, dict[object, float]] = defaultdict(dict)

    def show_overdue(self, text: Text, partition: object, overdue_s: float) -> None:
        """Replace the value of a partition; the metric is the highest one."""
        values = self._overdue[text]
        values[partition] = overdue_s
        if not overdue_s:
            del values[partition]
        self.overdue_seconds.labels(text).set(max(values.values(), default=0))


class Archiver:
    """Archives calls of one kind of text.

    Any number of archivers may archive the same call at the same time: each object is created
    once, and the number of a revision is chosen before Redis is read, so a higher number never has
    less than a lower one.

    Args:
        client: from `create_client`.
        store: where the calls are archived.
        metrics: receives the results.
    """

    def __init__(self, client: RedisClient, store: ArchiveStore, metrics: Metrics) -> None:
        self._client = client
        self._store = store
        self._metrics = metrics

    @property
    def text(self) -> Text:
        """The kind of text."""
        return self._store.text

    async def archive(self, partition: int, call_id: str) -> Result:
        """Write a revision of a call, if it is over and anything was added to it.

        Raises:
            StoreError: the store failed; nothing is lost.
            PublishError: Redis is unavailable or refuses a command.
        """
        refused = 0
        for _ in range(_MAX_CONFLICTS):
            result = await self._try(partition, call_id, refused + 1)
            if isinstance(result, Result):
                self._metrics.calls_total.labels(self.text, result).inc()
                return result
            refused = result
        raise StoreError("conflict")

    async def _try(self, partition: int, call_id: str, least: int) -> Result | int:
        """Try once, with a revision of at least this number.

        Returns:
            The result, or the number of the revision if it was begun with other contents: by a
            worker that may be writing it, or was killed.
        """
        if await self._is_erased(partition, call_id):
            return Result.ERASED
        found = await self._store.revisions(call_id)
        if found.manifest and await self._is_unchanged(partition, found.manifest):
            return Result.UNCHANGED
        number = max(found.next, least)
        evidence = await self._archived(found.manifest) or Evidence(call_id, self.text)
        if not await read_into(evidence, self._client, partition, self.text):
            return Result.UNCHANGED if found.manifest else self._report_gone(call_id)
        if not evidence.fold.is_over:
            return Result.LIVE
        revision = proofs.make_revision(evidence)
        if not await self._store.write(revision, number):
            return number
        if await self._is_erased(partition, call_id):  # after it was read
            await self._store.delete_call(call_id)
            return Result.ERASED
        self._metrics.bytes_total.inc(sum(each.size for each in revision.manifest.files.values()))
        return self._report(revision.manifest, number)

    async def _is_erased(self, partition: int, call_id: str) -> bool:
        """Return whether a call is in the ledger of erased calls."""
        key = partition_key(partition, "erased")
        found = await execute(self._client, "HGET", key, call_id, timeout_s=_TIMEOUT_S)
        return found is not None

    async def _is_unchanged(self, partition: int, manifest: Manifest) -> bool:
        """Return whether Redis has nothing that was not read before."""
        keys = {
            partition_key(partition, f"call:{manifest.call_id}{suffix}"): source
            for source, suffix in SOURCES[self.text].items()
        }
        newest = await reading.last_ids(self._client, [*keys])
        read = manifest.sources
        return newest.keys() == keys.keys() and all(
            entry_id in ("0", read[source].last_id if source in read else None)
            for entry_id, source in ((newest[key], source) for key, source in keys.items())
        )

    async def _archived(self, manifest: Manifest | None) -> Evidence | None:
        """Return the events of a revision; None if there is none, or it is damaged."""
        if manifest is None:
            return None
        try:
            packed = await self._store.read_file(manifest, proofs.EVENTS)
        except ArchiveError:
            return None  # the new revision has what Redis has, and its manifest what is missing
        return proofs.read_evidence(manifest, packed)

    def _report(self, manifest: Manifest, number: int) -> Result:
        if manifest.complete:
            return Result.COMPLETE
        problems = ",".join(sorted({each.problem for each in manifest.problems}))
        _log.warning(
            "archive-incomplete call_id=%s text=%s revision=%d problems=%s",
            manifest.call_id,
            self.text,
            number,
            problems,
        )
        return Result.INCOMPLETE

    def _report_gone(self, call_id: str) -> Result:
        _log.warning("archive-gone call_id=%s text=%s", call_id, self.text)
        return Result.GONE
