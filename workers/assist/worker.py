"""The worker `assist`: applies rules to the events of all calls, and writes alerts.

The state of a call is in memory. It is rebuilt from the call's own stream where it is missing,
where an event does not follow the last one, and when the rules have changed. Changes of alerts that
are on the call's stream of alerts are not written again.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.redis_client.client import RedisClient
from gateway.redis_client.commands import execute
from gateway.transcript.encode import rfc3339_ms
from gateway.transcript.keys import partition_key
from workers.assist.board import Alert
from workers.assist.call import Call
from workers.assist.metrics import Metrics
from workers.assist.program import Ruleset
from workers.assist.reload import RulesInForce
from workers.client import reading
from workers.client.events import AnyEvent, Entry, EventError, read_event
from workers.consumer import Append, Calls, Group, Identity, Progress, Received

SUFFIX: Final = "alerts"
_TIMEOUT_S: Final = 5.0
_MAX_WRITTEN: Final = 200  # calls; a commit has at most 100 events
_MAX_LIVE: Final = 1000  # calls that are taken over when a lease begins


@dataclass(slots=True)
class _State:
    """The state of one call; implements `CallState`."""

    call: Call
    ruleset: Ruleset
    tenant: str = ""
    last: Identity | None = None  # the last event
    progress: Progress = field(default_factory=Progress)
    published: Counter[str] = field(default_factory=Counter)  # changes, by alert

    def apply(self, event: AnyEvent) -> list[Alert]:
        """Apply an event; return the changes of alerts."""
        changes = self.call.apply(event, _written_ms(event.id))
        self.note(event)
        return changes

    def note(self, event: AnyEvent) -> None:
        """Record that an event was applied, or could not be."""
        self.last = Identity(event.stream_id, event.epoch, event.n)
        self.tenant = event.tenant
        self.progress.note(self.last, str(event.__struct_config__.tag))


class AssistHandler:
    """Applies rules to the events of one partition; implements `TimedHandler`.

    Args:
        client: from `create_client`.
        partition: the partition.
        rules: the rules in force.
        worker: the name of this worker, which its events carry.
        metrics: receives the results.
    """

    def __init__(
        self,
        client: RedisClient,
        partition: int,
        rules: RulesInForce,
        worker: str,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._partition = partition
        self._rules = rules
        self._worker = worker
        self._metrics = metrics
        self._calls: Calls[_State] = Calls()
        self._written: OrderedDict[str, Counter[str]] = OrderedDict()  # by call: see `_put`
        self._has_taken_over = False

    async def handle(self, received: Received) -> Sequence[Append]:
        """Return the alerts to write because of an event; see `Handler`."""
        self._rules.check()
        event = received.event
        identity = Identity(event.stream_id, event.epoch, event.n)
        state = self._calls.take(event.call_id, identity)
        changes: list[Append] = []
        if state is None or state.ruleset is not self._rules.current:
            state, changes = await self._rebuilt(event.call_id, until=identity)
        before = state.last or identity
        with self._measured():
            alerts = state.apply(event)
        written_ms = _written_ms(event.id)
        for alert in alerts:
            # What was due before the event is written as if `tick` had written it.
            after = before if alert.at_ms < written_ms else identity
            changes += self._appends(state, event.call_id, alert, after)
        self._put(event.call_id, state)
        return changes

    async def tick(self, until_ms: int) -> Sequence[Append]:
        """Return the alerts to write because time has passed; see `TimedHandler`."""
        self._rules.check()
        appends: list[Append] = []
        rebuilt: dict[str, _State] = {}
        for call_id in await self._outdated():
            rebuilt[call_id], changes = await self._rebuilt(call_id, until_ms=until_ms)
            appends += changes
        # An error before this point changes nothing, so the next tick begins again.
        self._has_taken_over = True
        for call_id, state in rebuilt.items():
            self._put(call_id, state)
        for call_id, state in self._calls.items():
            appends += self._advance(call_id, state, until_ms)
        return appends

    def _put(self, call_id: str, state: _State) -> None:
        """Store a call's state, and the changes that are written or will be.

        Those of the events of one commit are not on the call's stream of alerts yet when its state
        has to be rebuilt within them.
        """
        self._calls.put(call_id, state)
        self._written[call_id] = state.published
        self._written.move_to_end(call_id)
        if len(self._written) > _MAX_WRITTEN:
            self._written.popitem(last=False)

    async def _outdated(self) -> list[str]:
        """Return the calls to rebuild: after a change of rules, and when the lease begins.

        When it begins, those are the live calls of the partition, because a silent call gets no
        event that would bring it to memory.
        """
        states = self._calls.items()
        outdated = [each for each, state in states if state.ruleset is not self._rules.current]
        if not self._has_taken_over:
            key = partition_key(self._partition, "live")
            reply = await execute(
                self._client, "ZRANGE", key, 0, _MAX_LIVE - 1, timeout_s=_TIMEOUT_S
            )
            live = dict.fromkeys(_text(each).partition(" ")[0] for each in reply)
            outdated += live.keys() - dict(states).keys()
        return outdated

    def _advance(self, call_id: str, state: _State, until_ms: int) -> list[Append]:
        with self._measured():
            alerts = state.call.advance(until_ms)
        last = state.last
        return [
            append
            for alert in alerts
            if last
            for append in self._appends(state, call_id, alert, last)
        ]

    async def _rebuilt(
        self, call_id: str, *, until: Identity | None = None, until_ms: int | None = None
    ) -> tuple[_State, list[Append]]:
        """Return the state of a call before an event or a time, and alerts that are missing."""
        self._metrics.rebuilt_calls_total.inc()
        ruleset = self._rules.current
        state = _State(Call(ruleset), ruleset)
        key = partition_key(self._partition, f"call:{call_id}")
        for entry in await self._read(f"{key}:{SUFFIX}"):
            state.published[entry.fields.get("alert", "")] += 1
        state.published |= self._written.get(call_id, Counter())
        appends: list[Append] = []
        for entry in await self._read(key):
            if until_ms is not None and _written_ms(entry.id) >= until_ms:
                break
            try:
                event = read_event(entry.id, entry.fields)
            except EventError:
                continue  # it became a dead letter
            identity = Identity(event.stream_id, event.epoch, event.n)
            if identity == until:
                break
            before = state.last or identity
            with self._measured():
                alerts = state.apply(event)
            for alert in alerts:
                after = before if alert.at_ms < _written_ms(event.id) else identity
                appends += self._appends(state, call_id, alert, after)
        return state, appends

    async def _read(self, key: str) -> list[Entry]:
        pages = reading.pages(self._client, key)
        return [entry async for entries in pages for entry in entries]

    def _appends(self, state: _State, call_id: str, alert: Alert, after: Identity) -> list[Append]:
        """Return the event of a change, unless it was written before."""
        if alert.change < state.published[alert.id]:
            return []
        state.published[alert.id] = alert.change + 1
        self._metrics.alerts_total.labels(alert.rule.severity, alert.state).inc()
        return [Append(call_id, fields_of(alert, call_id, state.tenant, after, self._worker))]

    @contextmanager
    def _measured(self) -> Iterator[None]:
        begin_s = time.thread_time()
        yield
        self._metrics.events_total.inc()
        self._metrics.evaluation_seconds_total.inc(time.thread_time() - begin_s)


def fields_of(
    alert: Alert, call_id: str, tenant: str, after: Identity, worker: str
) -> Mapping[str, str]:
    """Return the fields of the event `assist.alert`."""
    cite = alert.cite
    fields = {
        "v": "1",
        "type": "assist.alert",
        "call_id": call_id,
        "stream_id": after.stream_id,
        "epoch": str(after.epoch),
        "n": str(after.n),
        "at": rfc3339_ms(alert.at_ms / 1000),
        "gateway": worker,
        "tenant": tenant,
        "alert": alert.id,
        "state": alert.state,
        "rule": alert.rule.id,
        "rule_version": alert.rule_version,
        "severity": alert.rule.severity,
        "title": alert.rule.title,
    }
    optional = {
        "cited_stream_id": cite.stream_id if cite.stream_id not in ("", after.stream_id) else None,
        "track": cite.track,
        "role": cite.role,
        "segment": cite.segment,
        "rev": cite.rev,
        "start_ms": cite.start_ms,
        "end_ms": cite.end_ms,
    }
    return fields | {name: str(value) for name, value in optional.items() if value is not None}


def group(partitions: int, retention_s: int, lease_s: float) -> Group:
    """Return the group of workers that apply rules."""
    return Group("assist", SUFFIX, partitions=partitions, retention_s=retention_s, lease_s=lease_s)


def _written_ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
