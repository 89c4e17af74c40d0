"""One leased partition: handles its entries one after another, and commits their effects."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from gateway.errors import PublishError
from workers.client.events import AnyEvent, Entry, EventError, read_event
from workers.client.ids import written_ms
from workers.client.reading import BATCH
from workers.consumer.handler import Append, ClosableHandler, Handler, Received, TimedHandler
from workers.consumer.metrics import ConsumerMetrics
from workers.consumer.store import Commit, Lease, LeaseStore

_log = logging.getLogger("workers.consumer")

MAX_TRIES: Final = 5  # attempts to handle an entry, before it becomes a dead letter
_COMMIT_ENTRIES: Final = 100  # handled before their effects are committed
_MAX_FIELDS: Final = 1000  # of an event; Lua passes at most 8000 values to a command
_BACKOFF_S: Final = (0.1, 5.0)  # doubles from the first to the second
_TICK_MS: Final = 1000
_MAX_LAG_MS: Final = 60_000  # behind the server's clock; further behind, no handler acts on time
# Between two renewals the two clocks differ by less: 100 ppm of 10 s.
_CLOCK_MARGIN_MS: Final = 10


class LeaseLostError(Exception):
    """Another worker has taken the partition over."""


class _CrashedError(Exception):
    """Each worker that began the entry crashed."""


class _TooManyFieldsError(Exception):
    """The handler returned an event that a script can't append."""


class _Queued(NamedTuple):
    entry: Entry
    is_retry: bool  # a dead letter that an operator wants to be handled again


@dataclass(slots=True)
class _Effects:
    """The effects of the entries handled since the last commit."""

    position: str = ""
    appends: list[Append] = field(default_factory=list)
    dead_letters: list[dict[str, str]] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)

    def commit(self) -> Commit:
        return Commit(self.position, self.appends, self.dead_letters, self.retried)


class LeasedPartition:
    """The entries of a partition that were read and not handled yet.

    After a takeover from a worker that crashed, the entries that it may have been handling are
    handled one by one, and each is noted first: an entry that crashes each worker becomes a dead
    letter, too.

    Args:
        lease: the lease.
        store: commits the effects.
        handler: handles the events; new for this lease.
        metrics: receives the results.
        lease_s: how long the lease lasts after a renewal.
    """

    def __init__(
        self,
        lease: Lease,
        store: LeaseStore,
        handler: Handler,
        metrics: ConsumerMetrics,
        lease_s: float,
    ) -> None:
        self.lease = lease
        self.read_position = lease.position
        self.retry_position = "0"
        self._store = store
        self._handler = handler
        self._metrics = metrics
        self._lease_s = lease_s
        self._queue: deque[_Queued] = deque()
        self._filled = asyncio.Event()
        self._stopping = False
        self._failures = 0  # attempts to handle the first entry of the queue that failed
        self._clock: tuple[int, float] | None = None  # the server's Unix ms, and monotonic s
        self._due_ms = 0  # the time until which the handler is to act; 0 if it is not
        self._ticked_ms = 0
        self._turns = 0
        self._to_note = (
            BATCH if lease.is_takeover else 0
        )  # entries to be noted before they are begun
        self._valid_until_s = 0.0
        self.note_renewal(time.monotonic())

    @property
    def has_room(self) -> bool:
        """Whether more entries may be read."""
        return len(self._queue) < BATCH

    @property
    def pending(self) -> int:
        """Number of entries that were read and not handled yet."""
        return len(self._queue)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest of them was written, in Unix ms."""
        return written_ms(self._queue[0].entry.id) if self._queue else None

    def add(self, entries: Iterable[Entry], *, is_retry: bool = False) -> None:
        """Queue entries that were read."""
        self._due_ms = 0
        for entry in entries:
            self._queue.append(_Queued(entry, is_retry))
            if is_retry:
                self.retry_position = entry.id
            else:
                self.read_position = entry.id
        self._filled.set()

    def note_renewal(self, sent_s: float, server_ms: int = 0) -> None:
        """Record that the lease was renewed by a command sent at this monotonic time.

        Args:
            sent_s: when the command was sent.
            server_ms: the server's Unix ms when it executed it, if known.
        """
        self._valid_until_s = sent_s + self._lease_s
        if server_ms:
            self._clock = server_ms - _CLOCK_MARGIN_MS, time.monotonic()

    def note_nothing_new(self, read_s: float) -> None:
        """Record that a read that began at this monotonic time found no entry."""
        if self._queue or not self._clock or not isinstance(self._handler, TimedHandler):
            return
        until_ms = _at(self._clock, read_s)
        if until_ms >= self._ticked_ms + _TICK_MS:
            self._due_ms = until_ms
            self._filled.set()

    def stop(self) -> None:
        """Make `run` return after the entries that it is handling."""
        self._stopping = True
        self._filled.set()

    async def run(self) -> None:
        """Handle entries until `stop` is called.

        Raises:
            LeaseLostError: another worker has taken the partition over.
        """
        try:
            while not self._stopping:
                await self._step()
        finally:
            if isinstance(self._handler, ClosableHandler):
                await self._handler.close()

    async def _step(self) -> None:
        if not self._queue and not self._due_ms:
            self._filled.clear()
            await self._filled.wait()
        elif time.monotonic() > self._valid_until_s:
            await asyncio.sleep(self._lease_s / 10)  # the consumer renews it, or reports a loss
        elif self._queue:
            await self._handle_batch()
        elif isinstance(self._handler, TimedHandler):
            await self._tick(self._handler, self._due_ms)

    async def _tick_until(self, position: str) -> None:
        """Tick at the time of the last handled entry if it is due: the queue may never be empty."""
        if not self._clock or not isinstance(self._handler, TimedHandler) or self._stopping:
            return
        until_ms = written_ms(position)
        is_due = until_ms >= self._ticked_ms + _TICK_MS
        if is_due and until_ms >= _at(self._clock, time.monotonic()) - _MAX_LAG_MS:
            await self._tick(self._handler, until_ms)

    async def _tick(self, handler: TimedHandler, until_ms: int) -> None:
        """Make the handler act on the passing of time, and commit the effects."""
        self._ticked_ms, self._due_ms = until_ms, 0
        try:
            appends = await handler.tick(self._ticked_ms)
            _check_size(appends)
        except (Exception, asyncio.CancelledError) as error:  # whatever a handler raises
            if _is_cancelled():
                raise
            if isinstance(error, PublishError):
                self._metrics.count_error(error.reason)
                if error.info.retry:
                    return
            else:
                self._metrics.count_error("tick")
            _log.error(
                "tick-failed partition=%d error=%s", self.lease.partition, type(error).__name__
            )
            return
        if appends:
            self._turns += 1
            await self._commit(Commit(appends=appends, turn=f"{self.lease.fence}:{self._turns}"))

    async def _handle_batch(self) -> None:
        """Handle the first entries of the queue, and commit their effects."""
        effects = _Effects()
        handled, failed = 0, None
        for queued in list(self._queue)[: 1 if self._to_note else _COMMIT_ENTRIES]:
            failed = await self._handle(queued, effects)
            if failed or self._stopping:
                break
            handled += 1
            if queued.is_retry:
                break  # a commit has one retry at most, so that it can be repeated
        if handled:
            await self._commit(effects.commit())
            for _ in range(handled):
                self._queue.popleft()
            if effects.position:
                await self._tick_until(effects.position)
        if failed:
            await asyncio.sleep(_backoff_s(self._failures))

    async def _handle(self, queued: _Queued, effects: _Effects) -> bool:
        """Handle one entry and add its effects; return whether it has to be handled again."""
        tries = 0
        if self._to_note and not queued.is_retry:
            tries = await self._until_done(lambda: self._store.begin(self.lease, queued.entry.id))
            if not tries:
                raise LeaseLostError
            self._to_note -= 1
        try:
            event = _read(queued.entry, tries)
            appends = await self._handler.handle(Received(event, queued.entry.fields))
            _check_size(appends)
            effects.appends += appends
        except (Exception, asyncio.CancelledError) as error:  # whatever a handler raises
            if _is_cancelled():
                raise
            if self._is_to_be_retried(error):
                return True
            self._report_dead(queued.entry, error)
            effects.dead_letters.append(_dead_letter(queued.entry, error, self._failures))
        else:
            self._metrics.count("handled")
        self._failures = 0
        if queued.is_retry:
            effects.retried.append(queued.entry.id)
        else:
            effects.position = queued.entry.id
        return False

    def _is_to_be_retried(self, error: BaseException) -> bool:
        if isinstance(error, PublishError) and error.info.retry:
            self._metrics.count_error(error.reason)
            self._failures = max(1, self._failures)
            return True
        self._failures += 1
        if isinstance(error, EventError | _CrashedError) or self._failures >= MAX_TRIES:
            return False
        self._metrics.count("retried")
        return True

    def _report_dead(self, entry: Entry, error: BaseException) -> None:
        self._metrics.count("dead")
        # Only the type: the text of an error may quote content.
        _log.error(
            "dead-letter partition=%d id=%s error=%s",
            self.lease.partition,
            entry.id,
            type(error).__name__,
        )

    async def _commit(self, commit: Commit) -> None:
        sent_s = time.monotonic()
        if not await self._until_done(lambda: self._store.commit(self.lease, commit)):
            raise LeaseLostError
        self.note_renewal(sent_s)
        if commit.position:
            self.lease = self.lease._replace(position=commit.position)

    async def _until_done[T](self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run a Redis operation until it succeeds."""
        failures = 0
        while True:
            try:
                return await operation()
            except PublishError as error:
                failures += 1
                self._metrics.count_error(error.reason)
                if failures == 1 and not error.info.retry:  # only an operator can help
                    _log.error("consumer-refused partition=%d %s", self.lease.partition, error)
            await asyncio.sleep(_backoff_s(failures))


def _at(clock: tuple[int, float], at_s: float) -> int:
    """Return the server's Unix ms at a monotonic time."""
    server_ms, noted_s = clock
    return server_ms + int((at_s - noted_s) * 1000)


def _is_cancelled() -> bool:
    """Return whether this task is cancelled, rather than one that a handler awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _read(entry: Entry, tries: int) -> AnyEvent:
    """Parse an entry, unless each of several workers that began it has crashed."""
    if tries > MAX_TRIES:
        raise _CrashedError
    return read_event(entry.id, entry.fields)


def _check_size(appends: Iterable[Append]) -> None:
    if any(len(each.fields) > _MAX_FIELDS for each in appends):
        raise _TooManyFieldsError


def _backoff_s(failures: int) -> float:
    first_s, longest_s = _BACKOFF_S
    return min(longest_s, float(first_s * 2 ** min(failures - 1, 10)))


def _dead_letter(entry: Entry, error: BaseException, tries: int) -> dict[str, str]:
    """Return the entry's fields, and why it could not be handled."""
    reason = "crashed" if isinstance(error, _CrashedError) else type(error).__name__
    why = {"dead_id": entry.id, "dead_error": reason, "dead_tries": str(tries)}
    fields = ((name, value) for name, value in entry.fields.items() if name[:5] != "dead_")
    return dict(islice(fields, _MAX_FIELDS)) | why
