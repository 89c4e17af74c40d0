"""Delivers the messages that are due: a bounded number at a time for each subscription.

Every worker looks at all partitions, so there is nothing to take over when one crashes. Calls are
claimed (`outbox.py`), so two workers never try the same call of a subscription. A slow endpoint
uses up its own subscription's attempts only.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, Final

from gateway.errors import PublishError
from workers.push import delivery
from workers.push.adapter import Adapter
from workers.push.delivery import Dead, Delivered, Gone, Policy, Result, Retry, Skipped, Step
from workers.push.endpoints import EndpointStates
from workers.push.metrics import Metrics, log_dead
from workers.push.outbox import Claim, DueCall, End, Outbox

_log = logging.getLogger("workers.push")

_SCAN_S: Final = 0.5  # between looks at all partitions; retries are late by this time at most
_SHORTEST_SCAN_S: Final = 0.02  # between such looks if messages wait for a free attempt
_STATES_S: Final = 1.0  # between looks at the states of endpoints
_MEASURE_S: Final = 30.0  # between looks at what waits
_MARGIN_S: Final = 1.0  # from the end of an attempt until its claim expires
_GRACE_S: Final = 0.25  # for an adapter to return after its own deadline
_IN_A_ROW: Final = 20  # messages of a call, before other calls get the attempt
_RETRY_S: Final = 0.2
_STOP_S: Final = 5.0  # for the attempts in flight at the end


class Dispatcher:
    """Delivers messages until it is stopped.

    Args:
        outbox: where the messages wait.
        adapters: by subscription.
        states: which endpoints are disabled.
        metrics: receives the results.
        partitions: the number of partitions.
        timeout_s: longest time of an attempt.
        concurrency: attempts at a time, per subscription.
        policy: when to give up.
    """

    def __init__(
        self,
        outbox: Outbox,
        adapters: Mapping[str, Adapter],
        states: EndpointStates,
        metrics: Metrics,
        *,
        partitions: int,
        timeout_s: float,
        concurrency: int,
        policy: Policy,
    ) -> None:
        self._outbox = outbox
        self._adapters = adapters
        self._states = states
        self._metrics = metrics
        self._partitions = range(partitions)
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._policy = policy
        self._random = Random()  # noqa: S311 - spreads load
        self._states_known = asyncio.Event()
        self._rescan = asyncio.Event()  # before the next scan is due
        self._busy: dict[DueCall, asyncio.Task[None]] = {}
        self._again: set[DueCall] = set()  # got messages while they were busy
        self._in_flight: Counter[str] = Counter()
        self._saturated: set[str] = set()  # subscriptions with messages and no free attempt
        self._rescan_is_planned = False
        self._stopping = False

    def offer(self, calls: Iterable[DueCall]) -> None:
        """Deliver the messages of calls at once, as far as there are free attempts."""
        if self._states_known.is_set():  # otherwise the first scan finds them
            for call in calls:
                self._begin(call)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver messages until `stop` is set; then finish the attempts in flight."""
        loops: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._dispatch_forever()),
            asyncio.create_task(self._read_states_forever()),
            asyncio.create_task(self._measure_forever()),
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*loops, stopping], return_when=asyncio.FIRST_COMPLETED)
            for each in loops:
                if each.done():
                    each.result()
        finally:
            self._stopping = True
            await _cancel([*loops, stopping])
            attempts = list(self._busy.values())
            if attempts:
                await asyncio.wait(attempts, timeout=_STOP_S)
            await _cancel(attempts)

    async def _read_states_forever(self) -> None:
        while True:
            try:
                await self._states.since()  # before a new subscription has any other state
                for subscription, state in (await self._states.read()).items():
                    self._metrics.disabled.labels(subscription).set(state.disabled is not None)
                self._states_known.set()
            except PublishError as error:
                self._metrics.errors_total.labels(error.reason).inc()
            await asyncio.sleep(_STATES_S)

    async def _measure_forever(self) -> None:
        while True:
            try:
                found = await self._outbox.waiting(self._partitions, list(self._adapters))
                for subscription, (calls, dead) in found.items():
                    self._metrics.waiting_calls.labels(subscription).set(calls)
                    self._metrics.dead_letters.labels(subscription).set(dead)
            except PublishError as error:
                self._metrics.errors_total.labels(error.reason).inc()
            await asyncio.sleep(_MEASURE_S)

    async def _dispatch_forever(self) -> None:
        await self._states_known.wait()  # nothing is sent to an endpoint that is disabled
        while True:
            try:
                await self._scan()
            except PublishError as error:
                self._metrics.errors_total.labels(error.reason).inc()
                await asyncio.sleep(_RETRY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SCAN_S):
                    await self._rescan.wait()
            self._rescan.clear()
            self._rescan_is_planned = False

    async def _scan(self) -> None:
        """Begin to deliver what is due and has a free attempt."""
        room = {
            each: self._concurrency - self._in_flight[each]
            for each in self._adapters
            if self._states[each].disabled is None
        }
        self._saturated = {each for each, free in room.items() if free <= 0}
        free = {each: free for each, free in room.items() if free > 0}
        # Calls in flight are due only if their claims have expired.
        found = await self._outbox.due(self._partitions, free)
        self._random.shuffle(found)
        for call in found:
            self._begin(call)

    def _begin(self, call: DueCall) -> None:
        """Deliver the messages of a call, unless that is being done or no attempt is free."""
        subscription = call.subscription
        if call in self._busy:
            self._again.add(call)
        elif self._in_flight[subscription] >= self._concurrency:
            self._saturated.add(subscription)
        elif self._states[subscription].disabled is None and not self._stopping:
            self._in_flight[subscription] += 1
            self._busy[call] = asyncio.create_task(self._deliver_call(call))
            self._busy[call].add_done_callback(partial(self._release, call))

    def _release(self, call: DueCall, _: object) -> None:
        del self._busy[call]
        self._in_flight[call.subscription] -= 1
        has_more = call in self._again
        self._again.discard(call)
        if call.subscription in self._saturated:  # others wait, too: a scan chooses
            self._rescan_soon()
        elif has_more:
            self._begin(call)

    def _rescan_soon(self) -> None:
        if not self._rescan_is_planned:
            self._rescan_is_planned = True
            asyncio.get_running_loop().call_later(_SHORTEST_SCAN_S, self._rescan.set)

    async def _deliver_call(self, call: DueCall) -> None:
        """Deliver the messages of a call, one after another."""
        gauge = self._metrics.in_flight.labels(call.subscription)
        with gauge.track_inprogress():
            try:
                for _ in range(_IN_A_ROW):
                    if not await self._deliver_next(call):
                        return
                self._again.add(call)
            except PublishError as error:  # the claim expires
                self._metrics.errors_total.labels(error.reason).inc()
            except Exception as error:  # noqa: BLE001 - a bug must not end the other deliveries
                self._report(call, error)

    async def _deliver_next(self, call: DueCall) -> bool:
        """Try the first message of a call; return whether the next one may be tried now."""
        before_s = time.monotonic()
        claim = await self._outbox.claim(call, self._timeout_s + _MARGIN_S)
        if claim is None:
            return False
        # Suspended, or slow to get the reply: the claim may expire before the attempt ends.
        if time.monotonic() - before_s > _MARGIN_S / 2:
            await self._finish(call, claim, Retry(0.0), Result(reason="not-sent"), 0.0)
            return False
        begun_s = time.monotonic()
        result = await self._attempt(call, claim)
        took_s = time.monotonic() - begun_s
        step = delivery.decide(
            result, claim.attempt, claim.age_s + took_s, self._policy, self._random.random()
        )
        waiting = await self._finish(call, claim, step, result, took_s)
        await self._note(call, step, result, claim)
        return waiting > 0 and isinstance(step, Delivered | Skipped | Dead)

    async def _finish(
        self, call: DueCall, claim: Claim, step: Step, result: Result, took_s: float
    ) -> int:
        """End an attempt; return how many messages of the call wait, 0 if its claim has expired."""
        end = _end(step, result, round(took_s * 1000))
        left = await self._outbox.finish(call, claim.token, end)
        counted = end if left.is_mine else end._replace(step="expired")
        self._count(call.subscription, counted, took_s)
        return left.waiting

    async def _attempt(self, call: DueCall, claim: Claim) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s + _GRACE_S):
                return await self._adapters[call.subscription].deliver(claim.message, claim.attempt)
        except TimeoutError:
            return Result(reason="timeout")
        except Exception as error:  # noqa: BLE001 - a bug of an adapter must not end the worker
            self._report(call, error)
            return Result(reason="internal-error")

    def _report(self, call: DueCall, error: Exception) -> None:
        # Only the type: the text of an error may quote content.
        name = type(error).__name__
        _log.error("push-failed subscription=%s error=%s", call.subscription, name)

    async def _note(self, call: DueCall, step: Step, result: Result, claim: Claim) -> None:
        """Record what the attempt says about the endpoint."""
        subscription = call.subscription
        match step:
            case Delivered():
                await self._states.note_delivered(subscription)
            case Skipped():
                pass
            case Gone():
                await self._disable(subscription, "gone")
            case Retry() | Dead():
                if isinstance(step, Dead):
                    log_dead(subscription, call.partition, claim.message, step.reason)
                if result.is_about_message:
                    return
                state = await self._states.note_failed(subscription)
                now_ms = round(time.time() * 1000)
                if delivery.is_to_be_disabled(state.failing_since, now_ms, self._policy):
                    await self._disable(subscription, "failing")

    async def _disable(self, subscription: str, why: str) -> None:
        if self._states[subscription].disabled is None:
            await self._states.disable(subscription, why)
            _log.error("push-disabled subscription=%s why=%s", subscription, why)

    def _count(self, subscription: str, end: End, took_s: float) -> None:
        self._metrics.attempts_total.labels(subscription, end.step).inc()
        self._metrics.attempt_seconds.labels(subscription).observe(took_s)
        if end.reason and end.step != "skipped":
            self._metrics.failures_total.labels(subscription, end.reason).inc()


def _end(step: Step, result: Result, took_ms: int) -> End:
    about = End("", took_ms, result.status, result.reason)
    match step:
        case Delivered():
            return about._replace(step="delivered")
        case Skipped():
            return about._replace(step="skipped")
        case Retry(pause_s):
            return about._replace(step="retry", pause_s=pause_s)
        case Dead(reason):
            return about._replace(step="dead", dead=reason)
        case Gone():
            return about._replace(step="gone")


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
