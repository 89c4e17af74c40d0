"""The worker `assist`: applies rules to the events of all calls, and writes alerts.

The state of a call is in memory. It is rebuilt from the call's own stream where it is missing,
where an event does not follow the last one, and when the rules have changed. Changes of alerts that
are on the call's stream of alerts are not written again.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
from workers.client.ids import order, written_ms
from workers.consumer import Append, Calls, Group, Identity, Progress, Received

_log = logging.getLogger("workers.assist")

SUFFIX: Final = "alerts"
_TIMEOUT_S: Final = 5.0
_MAX_WRITTEN: Final = 200  # calls; a commit has at most 100 events
_MAX_LIVE: Final = 1000  # calls that are taken over when a lease begins


class _Written(NamedTuple):
    """The last change of an alert that was written.

    Attributes:
        fields: its fields.
        changes: how many changes its version of the rule has written, since another version did.
    """

    fields: Mapping[str, str]
    changes: int

    @classmethod
    def after(cls, before: "_Written | None", fields: Mapping[str, str]) -> "_Written":
        """Return what follows when one more change is written."""
        is_same = before and before.fields["rule_version"] == fields["rule_version"]
        changes = before.changes if before and is_same else 0
        # A version's own changes begin with `raised`; before that, it withdraws another version's.
        is_own = changes > 0 or fields["state"] == "raised"
        return cls(fields, changes + is_own)


@dataclass(slots=True)
class _State:
    """The state of one call; implements `CallState`."""

    call: Call
    ruleset: Ruleset
    tenant: str = ""
    last: Identity | None = None  # the last event
    progress: Progress = field(default_factory=Progress)
    written: dict[str, _Written] = field(default_factory=dict)  # by alert

    def apply(self, event: AnyEvent) -> list[Alert]:
        """Apply an event; return the changes of alerts."""
        changes = self.call.apply(event, written_ms(event.id))
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
        self._written: OrderedDict[str, dict[str, _Written]] = OrderedDict()  # see `_put`
        self._handled = "0"  # id of the last event
        self._has_taken_over = False

    async def handle(self, received: Received) -> Sequence[Append]:
        """Return the alerts to write because of an event; see `Handler`."""
        self._rules.check()
        event = received.event
        identity = Identity(event.stream_id, event.epoch, event.n)
        state = self._calls.take(event.call_id, identity)
        appends: list[Append] = []
        is_rebuilt = state is None or state.ruleset is not self._rules.current
        if state is None or is_rebuilt:
            state, appends = await self._rebuilt(event.call_id, until=identity)
        appends += self._apply(state, event)
        if is_rebuilt:
            appends += self._withdrawals(state, event.call_id, written_ms(event.id))
        self._put(event.call_id, state)
        self._handled = max(self._handled, event.id, key=order)
        return appends

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
            appends += self._advance(call_id, state, until_ms, is_rebuilt=call_id in rebuilt)
        return appends

    def _put(self, call_id: str, state: _State) -> None:
        """Store a call's state, and the changes that are written or will be.

        Those of the events of one commit are not on the call's stream of alerts yet when its state
        has to be rebuilt within them.
        """
        self._calls.put(call_id, state)
        self._written[call_id] = state.written
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
            live = dict.fromkeys(reading.text(each).partition(" ")[0] for each in reply)
            outdated += live.keys() - dict(states).keys()
        return outdated

    def _apply(self, state: _State, event: AnyEvent) -> list[Append]:
        """Apply an event; return the changes that were not written before."""
        identity = Identity(event.stream_id, event.epoch, event.n)
        before = state.last or identity
        with self._measured():
            alerts = state.apply(event)
        self._count_dropped(state)
        event_ms = written_ms(event.id)
        # What was due before the event is written as if `tick` had written it.
        return [
            append
            for alert in alerts
            for append in self._appends(
                state, event.call_id, alert, before if alert.at_ms < event_ms else identity
            )
        ]

    def _advance(
        self, call_id: str, state: _State, until_ms: int, *, is_rebuilt: bool
    ) -> list[Append]:
        """Do what is due in a call; if that fails, drop its state until its next event."""
        try:
            with self._measured():
                alerts = state.call.advance(until_ms)
        except Exception as error:  # noqa: BLE001 - other calls of the partition continue
            self._calls.drop(call_id)
            self._report(call_id, error)
            return []
        last = state.last
        appends = [
            append
            for alert in alerts
            if last
            for append in self._appends(state, call_id, alert, last)
        ]
        return appends + (self._withdrawals(state, call_id, until_ms) if is_rebuilt else [])

    async def _rebuilt(
        self, call_id: str, *, until: Identity | None = None, until_ms: int | None = None
    ) -> tuple[_State, list[Append]]:
        """Return the state of a call before an event or a time, and alerts that are missing."""
        self._metrics.rebuilt_calls_total.inc()
        ruleset = self._rules.current
        key = partition_key(self._partition, f"call:{call_id}")
        state = _State(Call(ruleset), ruleset, written=await self._written_of(call_id, key))
        appends: list[Append] = []
        for entry in await self._read(key):
            # A tick's time is a little before the events that were handled last.
            is_handled = order(entry.id) <= order(self._handled)
            if until_ms is not None and written_ms(entry.id) >= until_ms and not is_handled:
                break
            try:
                event = read_event(entry.id, entry.fields)
            except EventError:
                continue  # it became a dead letter
            if Identity(event.stream_id, event.epoch, event.n) == until:
                break
            try:
                appends += self._apply(state, event)
            except Exception as error:  # noqa: BLE001 - it became a dead letter
                state.note(event)
                self._report(call_id, error)
        return state, appends

    async def _written_of(self, call_id: str, key: str) -> dict[str, _Written]:
        """Return the last changes of a call's alerts, as `_put` stored them or from its stream."""
        if (known := self._written.get(call_id)) is not None:
            return dict(known)
        written: dict[str, _Written] = {}
        for entry in await self._read(f"{key}:{SUFFIX}"):
            alert = entry.fields["alert"]
            written[alert] = _Written.after(written.get(alert), entry.fields)
        return written

    async def _read(self, key: str) -> list[Entry]:
        pages = reading.pages(self._client, key)
        return [entry async for entries in pages for entry in entries]

    def _appends(self, state: _State, call_id: str, alert: Alert, after: Identity) -> list[Append]:
        """Return the event of a change, unless it was written before."""
        written = state.written.get(alert.id)
        is_same = written and written.fields["rule_version"] == alert.rule_version
        if written and is_same and alert.change < written.changes:
            return []
        fields = fields_of(alert, state, call_id, after, self._worker)
        return [self._append(state, call_id, fields)]

    def _withdrawals(self, state: _State, call_id: str, at_ms: int) -> list[Append]:
        """Return the withdrawals of alerts that other versions of the rules have raised.

        Those that the rules in force raise, too, were written again, with their version.
        """
        appends = []
        for fields, _ in list(state.written.values()):
            version = state.ruleset.versions.get(fields["rule"])
            if version not in (None, fields["rule_version"]) and fields["state"] == "raised":
                changed = {
                    "state": "withdrawn",
                    "rule_version": str(version),
                    "at": rfc3339_ms(at_ms / 1000),
                    "gateway": self._worker,
                }
                appends.append(self._append(state, call_id, {**fields, **changed}))
        return appends

    def _append(self, state: _State, call_id: str, fields: Mapping[str, str]) -> Append:
        alert = fields["alert"]
        state.written[alert] = _Written.after(state.written.get(alert), fields)
        self._metrics.alerts_total.labels(fields["severity"], fields["state"]).inc()
        return Append(call_id, fields)

    def _count_dropped(self, state: _State) -> None:
        for limit, count in state.call.take_dropped().items():
            self._metrics.dropped_total.labels(limit).inc(count)

    def _report(self, call_id: str, error: Exception) -> None:
        """Count and log an error, without its message, which may quote content."""
        name = type(error).__name__
        self._metrics.errors_total.labels(name).inc()
        _log.error("assist-failed call_id=%s error=%s", call_id, name)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        begin_s = time.thread_time()
        yield
        self._metrics.events_total.inc()
        self._metrics.evaluation_seconds_total.inc(time.thread_time() - begin_s)


def fields_of(
    alert: Alert, state: _State, call_id: str, after: Identity, worker: str
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
        "tenant": state.tenant,
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
        "route": state.call.route,
    }
    return fields | {name: str(value) for name, value in optional.items() if value is not None}


def group(partitions: int, retention_s: int, lease_s: float) -> Group:
    """Return the group of workers that apply rules."""
    return Group("assist", SUFFIX, partitions=partitions, retention_s=retention_s, lease_s=lease_s)
