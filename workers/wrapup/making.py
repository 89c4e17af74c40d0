"""Runs one job: reads the call, sends the requests of its draft, checks the replies."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.transcript.encode import rfc3339_ms
from workers.consumer import Append
from workers.wrapup import event, jobs
from workers.wrapup.checks import Checked
from workers.wrapup.conversation import Conversation, Position, Said
from workers.wrapup.drafting import Draft, estimated_tokens
from workers.wrapup.failures import ModelError, Reason
from workers.wrapup.jobs import Failure, Job, Trigger
from workers.wrapup.metrics import Metrics
from workers.wrapup.model import Model
from workers.wrapup.settings import Settings
from workers.wrapup.store import Store

_LONGEST_PAUSE_S: Final = 60.0


class Made(NamedTuple):
    """A wrap-up to publish."""

    append: Append


class Skipped(NamedTuple):
    """No wrap-up is needed."""

    why: str


class Again(NamedTuple):
    """A job to be attempted again, at its new time."""

    job: Job


type Outcome = Made | Skipped | Again | Failure


@dataclass(slots=True)
class Work:
    """A job, and what is known of its call; kept between attempts if a draft has progress."""

    job: Job
    conversation: Conversation | None = None
    said: list[Said] | None = None
    draft: Draft | None = None

    @property
    def has_progress(self) -> bool:
        """Whether the next attempt needs less than the first."""
        return self.draft is not None and self.draft.has_progress


class Maker:
    """Makes wrap-ups for all partitions of a process; few at the same time.

    Args:
        settings: which calls, and what they may cost.
        model: replies to requests.
        metrics: receives the results.
        writer: the name of the worker in events.
        monotonic_s: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        model: Model,
        metrics: Metrics,
        writer: str,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self._model = model
        self._writer = writer
        self._monotonic_s = monotonic_s
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._paused_until_s = 0.0

    async def run(self, work: Work, store: Store, server_ms: Callable[[], int]) -> Outcome:
        """Attempt a job once.

        Args:
            work: the job; its state is updated.
            store: of its partition.
            server_ms: the time of the Redis server.

        Raises:
            PublishError: Redis is unavailable.
        """
        async with self._slots:
            await self._until_resumed()
            beginning = jobs.begun(work.job, server_ms())
            if isinstance(beginning, Failure):
                return beginning
            work.job = beginning
            if not await store.put(work.job):
                return Skipped("erased")
            try:
                return await self._attempt(work, store)
            except ModelError as error:
                self._pause(error)
                self.metrics.failures_total.labels(error.reason.value).inc()
                retry_after_ms = round(error.retry_after_s * 1000)
                budget = self.settings.budget
                next_one = jobs.failed(work.job, error.reason, server_ms(), budget, retry_after_ms)
                return next_one if isinstance(next_one, Failure) else Again(next_one)

    async def _attempt(self, work: Work, store: Store) -> Outcome:
        if work.draft is None and (skipped := await self._read(work, store)):
            return skipped
        checked = await self._checked(work, store)
        return Made(self._append(work, checked)) if checked else Skipped("erased")

    async def _read(self, work: Work, store: Store) -> Skipped | None:
        """Read the call; return why it needs no wrap-up."""
        job = work.job
        if await store.is_written(job):
            return Skipped("written")
        conversation = await store.conversation(job.call_id)
        if not conversation.transcript.events:
            return Skipped("expired")
        if job.trigger is Trigger.ENDED and not conversation.is_over:
            return Skipped("continued")
        if job.trigger is Trigger.ENDED and conversation.last_end != _position(job):
            return Skipped("superseded")  # by the job of a later end
        rules = self.settings.rules(conversation.route)
        if rules is None:
            return Skipped("disabled")
        work.conversation, work.said = conversation, conversation.said()
        if not work.said:
            return Skipped("empty")
        work.draft = Draft(work.said, rules, self.settings.limits)
        return None

    async def _checked(self, work: Work, store: Store) -> Checked | None:
        """Send requests until the wrap-up is there; return None if the call was erased meanwhile.

        Raises:
            ModelError: the attempt failed.
        """
        draft = work.draft
        if draft is None:
            raise RuntimeError("the call was not read")
        try:
            while await store.put(work.job):
                try:
                    if checked := draft.accept(await self._reply(work, draft)):
                        return checked
                except ModelError as error:
                    if error.reason is not Reason.CONTEXT_EXCEEDED or not draft.shrink():
                        raise
            return None
        finally:
            self.metrics.count_dropped(draft.dropped)
            draft.dropped.clear()

    async def _reply(self, work: Work, draft: Draft) -> str:
        request, budget = draft.request, self.settings.budget
        expected = estimated_tokens(request.system + request.user)
        if work.job.tokens + expected > budget.tokens:
            raise ModelError(Reason.TOKEN_BUDGET)
        with self.metrics.request_seconds.time():
            try:
                reply = await self._model.complete(request)
            except ModelError as error:
                work.job = jobs.used(work.job, error.tokens)
                self.metrics.tokens_total.labels("failed").inc(error.tokens)
                raise
        work.job = jobs.used(work.job, reply.prompt_tokens + reply.completion_tokens)
        self.metrics.tokens_total.labels("prompt").inc(reply.prompt_tokens)
        self.metrics.tokens_total.labels("completion").inc(reply.completion_tokens)
        return reply.text

    def _append(self, work: Work, checked: Checked) -> Append:
        if work.conversation is None or work.said is None:
            raise RuntimeError("the call was not read")
        fields = event.fields_of(
            work.job,
            work.conversation,
            checked,
            said=work.said,
            made_from=self.settings.text.value,
            model=self.settings.model,
            writer=self._writer,
            at=rfc3339_ms(time.time()),
        )
        return Append(work.job.call_id, fields)

    async def _until_resumed(self) -> None:
        while (pause_s := self._paused_until_s - self._monotonic_s()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(pause_s)  # it may have been extended meanwhile

    def _pause(self, error: ModelError) -> None:
        """Send no request for as long as the server asks, whichever job it is of."""
        pause_s = min(error.retry_after_s, _LONGEST_PAUSE_S)
        self._paused_until_s = max(self._paused_until_s, self._monotonic_s() + pause_s)


def _position(job: Job) -> Position:
    fields = job.fields
    return Position(fields["stream_id"], int(fields["epoch"]), int(fields["n"]))
