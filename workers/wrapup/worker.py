"""The worker `wrapup`: notes when a call may be over, and publishes what the model makes of it.

Each `stream.ended`, and each request, is a job: stored in Redis, run when it is due, and deleted
when its wrap-up is written. Whether the call is over is decided when the job runs: another stream
may have begun. So the worker holds no state of calls, and another one continues with the jobs.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Final

from gateway.errors import PublishError
from workers.client.events import EventError, OtherEvent, StreamEnded
from workers.consumer import Append, Received
from workers.wrapup import jobs
from workers.wrapup.failures import Reason
from workers.wrapup.jobs import REQUESTED, Failure, Job, Trigger
from workers.wrapup.making import Again, Made, Maker, Outcome, Skipped, Work
from workers.wrapup.store import Store

_log = logging.getLogger("workers.wrapup")

_CLOSE_S: Final = 2.0


class WrapupHandler:
    """Makes the wrap-ups of one partition; implements `TimedHandler` and `ClosableHandler`.

    Args:
        store: of the partition.
        maker: runs the jobs.
    """

    def __init__(self, store: Store, maker: Maker) -> None:
        self._store = store
        self._maker = maker
        self._metrics = maker.metrics
        self._jobs: dict[str, Job] | None = None  # by key; None: not loaded
        self._running: dict[str, tuple[asyncio.Task[None], Work]] = {}
        self._works: dict[str, Work] = {}  # that have progress
        self._outcomes: dict[str, Outcome] = {}  # not yet stored, by key
        self._published: list[str] = []  # jobs whose wrap-ups are being written
        self._ticked = 0, 0.0  # the server's Unix ms, and the monotonic time then

    async def handle(self, received: Received) -> Sequence[Append]:
        """Note a job; see `Handler`."""
        known = await self._load()
        job = self._job_of(received)
        if job and not _is_known(job, known) and await self._store.put(job):
            known[job.key] = job
            self._metrics.pending_jobs.inc()
        return ()

    async def tick(self, until_ms: int) -> Sequence[Append]:
        """Begin the jobs that are due; return the wrap-ups that were made."""
        self._ticked = until_ms, time.monotonic()
        known = await self._load()
        await self._confirm(known)
        await self._settle(known)
        self._begin_due(known, until_ms)
        made = {key: each for key, each in self._outcomes.items() if isinstance(each, Made)}
        for key in made:
            del self._outcomes[key]
        self._published = list(made)
        return [each.append for each in made.values()]

    async def close(self) -> None:
        """Cancel what runs, so that another worker begins it again."""
        interrupted = [work for _, work in self._running.values()]
        tasks = [task for task, _ in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        with contextlib.suppress(PublishError):
            for work in interrupted:
                await self._store.put(jobs.interrupted(work.job))
        self._metrics.pending_jobs.dec(len(self._jobs or ()))

    def _server_ms(self) -> int:
        """Return the time of the Redis server."""
        until_ms, at_s = self._ticked
        return until_ms + round((time.monotonic() - at_s) * 1000)

    def _job_of(self, received: Received) -> Job | None:
        event = received.event
        written_ms = int(event.id.partition("-")[0])
        if isinstance(event, StreamEnded):
            grace_ms = round(self._maker.settings.grace_s * 1000)
            return jobs.of_end(received.fields, written_ms, grace_ms)
        if isinstance(event, OtherEvent) and event.other_type == REQUESTED:
            try:
                return jobs.of_request(received.fields, written_ms)
            except ValueError as error:
                raise EventError(str(error)) from None  # a dead letter, without repetitions
        return None

    async def _load(self) -> dict[str, Job]:
        """Return the jobs; the first time, those that an earlier worker stored."""
        if self._jobs is None:
            self._jobs = {job.key: job for job in await self._store.load()}
            self._metrics.pending_jobs.inc(len(self._jobs))
        return self._jobs

    def _begin_due(self, known: dict[str, Job], until_ms: int) -> None:
        """Begin due jobs: one per call at a time, in their order."""
        calls = {known[key].call_id for key in (*self._running, *self._outcomes)}
        for job in sorted(known.values(), key=lambda each: each.due_ms):
            if job.due_ms > until_ms or job.call_id in calls:
                continue
            calls.add(job.call_id)
            if self._is_too_old(job, until_ms):
                self._outcomes[job.key] = Skipped("too-old")
            else:
                work = self._works.pop(job.key, None) or Work(job)
                work.job = job
                self._running[job.key] = asyncio.create_task(self._run(work)), work

    def _is_too_old(self, job: Job, until_ms: int) -> bool:
        return not job.tries and until_ms - job.due_ms > self._maker.settings.max_age_s * 1000

    async def _run(self, work: Work) -> None:
        """Attempt a job, and keep the outcome for the next tick."""
        key, call_id = work.job.key, work.job.call_id
        try:
            outcome = await self._maker.run(work, self._store, self._server_ms)
        except PublishError as error:  # of Redis
            if not error.info.retry:  # only an operator can help
                _log.error("wrapup-refused call_id=%s %s", call_id, error)
            outcome = Again(jobs.postponed(work.job, self._server_ms()))
        except Exception as error:  # noqa: BLE001 - a bug must not stop other calls
            # Only the type: the text of an error may quote content.
            _log.error("internal-error call_id=%s error=%s", call_id, type(error).__name__)
            outcome = Failure(work.job, Reason.INTERNAL_ERROR)
        if isinstance(outcome, Again) and work.has_progress:
            self._works[key] = work
        del self._running[key]
        self._outcomes[key] = outcome

    async def _confirm(self, known: dict[str, Job]) -> None:
        """Delete the jobs whose wrap-ups the former tick returned: they are written."""
        done = [known[key] for key in self._published]
        await self._store.delete(self._published)
        self._forget(self._published)
        self._published = []
        for job in done:
            self._count(job, "made")
            _log.info("wrapup-made call_id=%s trigger=%s", job.call_id, job.trigger)

    async def _settle(self, known: dict[str, Job]) -> None:
        """Store the outcomes that publish nothing."""
        for key, outcome in list(self._outcomes.items()):
            match outcome:
                case Made():
                    continue
                case Again(job) if await self._store.put(job):
                    known[key] = job
                case Again(job):
                    self._skip(job, "erased")
                case Skipped(why):
                    await self._store.delete([key])
                    self._skip(known[key], why)
                case Failure(job, reason):
                    await self._store.bury(outcome)
                    self._report(job, reason)
                    self._forget([key])
            del self._outcomes[key]

    def _skip(self, job: Job, why: str) -> None:
        self._count(job, why)
        self._forget([job.key])

    def _report(self, job: Job, reason: Reason) -> None:
        self._count(job, "failed")
        _log.error(
            "wrapup-failed call_id=%s trigger=%s reason=%s tries=%d tokens=%d",
            job.call_id,
            job.trigger,
            reason,
            job.tries,
            job.tokens,
        )

    def _count(self, job: Job, result: str) -> None:
        self._metrics.jobs_total.labels(job.trigger.value, result).inc()

    def _forget(self, keys: Sequence[str]) -> None:
        known = self._jobs or {}
        for key in keys:
            self._works.pop(key, None)
            if known.pop(key, None):
                self._metrics.pending_jobs.dec()


def _is_known(job: Job, known: dict[str, Job]) -> bool:
    """Return whether a job exists, or a request of the same call that was not begun."""
    return job.key in known or (
        job.trigger is Trigger.REQUESTED
        and any(
            each.call_id == job.call_id and each.trigger is Trigger.REQUESTED and not each.tries
            for each in known.values()
        )
    )
