"""The handlers of the archive: which events make a call due, and what is due.

A call is due some time after a stream of it ended, or after an alert or a wrap-up was added to it
that followed the end. Until then it is in a sorted set in Redis, which is written before the
position of the consumer. If it is not over when it is due, it is taken out: the end of its open
streams makes it due again.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.archive.archiver import Archiver, Metrics
from workers.archive.due import DueCall, DueCalls
from workers.archive.evidence import SOURCES
from workers.archive.objects import StoreError
from workers.archive.record import Text
from workers.archive.store import CALL_ID
from workers.client import reading
from workers.client.events import Entry, Event, EventError, StreamEnded, read_event
from workers.consumer import Append, Received

_log = logging.getLogger("workers.archive")

_LATE_MS: Final = 60_000  # between an event and its entry
_BACKOFF_S: Final = (2.0, 300.0)  # doubles from the first to the second
_MOST_AT_ONCE: Final = 16  # calls of a partition
_KEPT_CALLS: Final = 1000  # of which a partition knows when they were made due
_CLOSE_S: Final = 10.0
_FAILED: Final = "failed"  # the reason of an error that is not the store's


@dataclass(slots=True)
class _Failures:
    """The attempts to archive a call that failed."""

    since_ms: int  # when it was due
    last_ms: int = 0
    count: int = 0


class MainHandler:
    """Archives the calls of one partition; implements `TimedHandler` and `ClosableHandler`.

    Args:
        partition: the partition.
        due: the calls to be archived.
        archiver: archives them.
        grace_s: how long a call must be over.
        turns: limits the calls that are archived at the same time, over all partitions.
        metrics: receives the results.
        monotonic_s: a monotonic clock.
    """

    def __init__(
        self,
        partition: int,
        due: DueCalls,
        archiver: Archiver,
        grace_s: float,
        turns: asyncio.Semaphore,
        metrics: Metrics,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partition = partition
        self._due = due
        self._archiver = archiver
        self._grace_s = grace_s
        self._turns = turns
        self._state = PartitionState(metrics, archiver.text)
        self._metrics = metrics
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, _Failures] = {}
        self._now_ms = 0  # the server's, at the last tick
        self._monotonic_s = monotonic_s
        self._added: dict[str, float] = {}  # when calls were made due, the oldest first

    async def handle(self, received: Received) -> Sequence[Append]:
        """Make a call due if one of its streams ended, or if the event was written late.

        The latter may follow the end of the call: a dead letter of redaction that was retried. When
        a worker catches up, all events are late, so a call that was made due a moment ago is not
        made due for each of them.
        """
        is_end = received.fields["type"] == "stream.ended"
        if is_end or _is_late(received.event):
            call_id, now_s = call_id_of(received), self._monotonic_s()
            if is_end or now_s - self._added.get(call_id, -math.inf) >= self._grace_s / 2:
                await self._due.add(self._partition, call_id, self._grace_s)
                self._note_added(call_id, now_s)
        return ()

    def _note_added(self, call_id: str, now_s: float) -> None:
        self._added.pop(call_id, None)
        self._added[call_id] = now_s
        if len(self._added) > _KEPT_CALLS:
            del self._added[next(iter(self._added))]

    async def tick(self, until_ms: int) -> Sequence[Append]:
        """Begin to archive the calls that are due."""
        ready = await self._due.ready(self._partition, until_ms, _MOST_AT_ONCE)
        self._now_ms = until_ms
        self._state.show(ready.waiting, self._overdue_s(ready.calls))
        for call in ready.calls:
            if call.call_id not in self._tasks and len(self._tasks) < _MOST_AT_ONCE:
                self._tasks[call.call_id] = asyncio.create_task(self._run(call))
        return ()

    def _overdue_s(self, calls: Iterable[DueCall]) -> float:
        """Return how long the oldest call has waited, also of those that are tried again later."""
        # A call that was not tried again was erased meanwhile.
        oldest_ms = self._now_ms - 3 * round(_BACKOFF_S[1] * 1000)
        self._failures = {
            call: each for call, each in self._failures.items() if each.last_ms > oldest_ms
        }
        since_ms = [each.since_ms for each in self._failures.values()]
        since_ms += [int(each.since) for each in calls]
        return max(0, self._now_ms - min(since_ms, default=self._now_ms)) / 1000

    async def close(self) -> None:
        """Stop archiving; what is due stays due."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        self._state.show(0, 0)

    async def drain(self) -> None:
        """Wait until no call is being archived."""
        while self._tasks:
            await asyncio.wait([*self._tasks.values()])

    async def _run(self, call: DueCall) -> None:
        try:
            async with self._turns:
                await self._archive(call)
        except PublishError as error:  # it stays due
            self._metrics.failures_total.labels(error.reason).inc()
        finally:
            del self._tasks[call.call_id]

    async def _archive(self, call: DueCall) -> None:
        try:
            await self._archiver.archive(self._partition, call.call_id)
        except (StoreError, PublishError) as error:
            await self._postpone(call, error.reason)
        except Exception as error:  # noqa: BLE001 - one call must not stop the others
            _log.error(  # without the message, which may quote content
                "archive-failed call_id=%s error=%s", call.call_id, type(error).__name__
            )
            await self._postpone(call, _FAILED)
        else:
            if self._failures.pop(call.call_id, None):
                _log.info("archive-recovered call_id=%s", call.call_id)
            await self._due.settle(self._partition, call)

    async def _postpone(self, call: DueCall, reason: str) -> None:
        self._metrics.failures_total.labels(reason).inc()
        failures = self._failures.setdefault(call.call_id, _Failures(int(call.since)))
        failures.count += 1
        failures.last_ms = self._now_ms
        if failures.count == 1:
            _log.warning("archive-postponed call_id=%s reason=%s", call.call_id, reason)
        first_s, longest_s = _BACKOFF_S
        delay_s = min(longest_s, first_s * 2 ** min(failures.count - 1, 10))
        await self._due.postpone(self._partition, call, delay_s)


class AdditionHandler:
    """Makes a call due again if an alert or a wrap-up is added to it after its end.

    Args:
        client: from `create_client`.
        partition: the partition.
        text: the kind of text that is archived.
        due: the calls to be archived.
        grace_s: how long a call must be over.
    """

    def __init__(
        self, client: RedisClient, partition: int, text: Text, due: DueCalls, grace_s: float
    ) -> None:
        self._client = client
        self._partition = partition
        self._suffix = next(iter(SOURCES[text].values()))
        self._due = due
        self._grace_s = grace_s

    async def handle(self, received: Received) -> Sequence[Append]:
        """Make the event's call due, unless it is live: its end will make it due."""
        call_id = call_id_of(received)
        key = partition_key(self._partition, f"call:{call_id}{self._suffix}")
        newest = await reading.last(self._client, key)
        if newest is None or _may_follow_the_end(newest):
            await self._due.add(self._partition, call_id, self._grace_s)
        return ()


class PartitionState:
    """What waits in one partition, as a part of the metrics of all.

    Args:
        metrics: receives the sums.
        text: the kind of text.
    """

    def __init__(self, metrics: Metrics, text: Text) -> None:
        self._metrics = metrics
        self._text = text
        self._shown = 0

    def show(self, waiting: int, overdue_s: float) -> None:
        """Replace what was shown before."""
        self._metrics.waiting_calls.labels(self._text).inc(waiting - self._shown)
        self._shown = waiting
        self._metrics.show_overdue(self._text, self, overdue_s)


def call_id_of(received: Received) -> str:
    """Return the id of an event's call.

    Raises:
        EventError: it is not one of docs/events.md, so it can't be the name of a folder.
    """
    call_id = received.fields["call_id"]
    if not CALL_ID.fullmatch(call_id):
        raise EventError("malformed call_id")
    return call_id


def _may_follow_the_end(newest: Entry) -> bool:
    """Return whether a call may be over: it is if its newest entry is an end, or was written late.

    An entry that is not an event may follow the end, too.
    """
    try:
        event = read_event(newest.id, newest.fields)
    except EventError:
        return True
    return isinstance(event, StreamEnded) or _is_late(event)


def _is_late(event: Event) -> bool:
    written_ms = int(event.id.partition("-")[0])
    return written_ms - event.at.timestamp() * 1000 > _LATE_MS
