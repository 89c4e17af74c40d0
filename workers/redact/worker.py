"""The worker `redact`: copies the events of all calls to redacted streams.

The state of a call is in memory. It is rebuilt from the call's own stream where it is missing, or
where an event does not follow the last one: after a takeover, a hole, or a retry. An event that was
published before is recognized by its `source_n`, so it is published once, even if a newer version
of the rules holds or releases other events.

An event that can't be redacted is not published. Its number is left out, so that readers see the
hole.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.client import reading
from workers.client.transcript import Numbering
from workers.consumer import Append, Group, Received
from workers.redact.call import CallRedactor, Redacted

_log = logging.getLogger("workers.redact")

SUFFIX: Final = "redacted"
_MAX_CALLS: Final = 1000  # of a partition, in memory; others are rebuilt when they continue

type NewRedactor = Callable[[str], CallRedactor]  # for the calls of a route


class _Identity(NamedTuple):
    """What identifies a raw event of a call."""

    stream_id: str
    epoch: int
    n: int

    @classmethod
    def of(cls, fields: Mapping[str, str], number: str = "n") -> "_Identity":
        return cls(fields["stream_id"], int(fields["epoch"]), int(fields[number]))


@dataclass(slots=True)
class _Call:
    """The state of one call."""

    redactor: CallRedactor
    streams: dict[str, Numbering] = field(default_factory=dict)
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)  # of the redacted events
    published: frozenset[_Identity] = frozenset()  # when it was rebuilt
    open_streams: set[str] = field(default_factory=set)

    def is_next(self, event: _Identity) -> bool:
        """Return whether an event is the next one of its stream, or the first."""
        numbering = self.streams.get(event.stream_id)
        if numbering is None:
            return event.n == 1
        return event.epoch >= numbering.epoch and event.n == numbering.expected(event.epoch)

    def note(self, event: _Identity, kind: str) -> None:
        """Record that an event was applied."""
        numbering = self.streams.setdefault(event.stream_id, Numbering())
        numbering.epoch, numbering.n = event.epoch, event.n
        if kind == "stream.ended":
            self.open_streams.discard(event.stream_id)
        else:
            self.open_streams.add(event.stream_id)

    def number(self, redacted: Redacted) -> dict[str, str]:
        """Return the fields of an event to publish, with its number."""
        fields = redacted.fields
        writer = fields["stream_id"], int(fields["epoch"])
        self.numbers[writer] = self.numbers.get(writer, 0) + 1
        return {**fields, "n": str(self.numbers[writer])}


class Metrics:
    """The metrics of redaction."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.masks_total = Counter(
            "redact_masks_total",
            "Values masked in published finals, by kind.",
            ["kind"],
            namespace="callscribe",
            registry=registry,
        )
        self.rebuilt_calls_total = Counter(
            "redact_rebuilt_calls_total",
            "Calls whose state was read from Redis: new ones, and those taken over.",
            namespace="callscribe",
            registry=registry,
        )


class RedactHandler:
    """Redacts the events of one partition; implements `Handler`.

    Args:
        client: from `create_client`.
        partition: the partition.
        new_redactor: creates the redactor of a call of a route.
        metrics: receives the results.
    """

    def __init__(
        self, client: RedisClient, partition: int, new_redactor: NewRedactor, metrics: Metrics
    ) -> None:
        self._client = client
        self._partition = partition
        self._new_redactor = new_redactor
        self._metrics = metrics
        self._calls: OrderedDict[str, _Call] = OrderedDict()

    async def handle(self, received: Received) -> Sequence[Append]:
        """Return the redacted events to publish; see `Handler`."""
        fields = received.fields
        call_id, event = fields["call_id"], _Identity.of(fields)
        call = self._calls.pop(call_id, None)  # stored again below, unless an error is raised
        redacted: list[Redacted] = []
        if call is None or not call.is_next(event):
            call, redacted = await self._rebuild(fields, event)
        before = call.redactor.counts.copy()
        redacted += call.redactor.apply(fields)
        call.note(event, fields["type"])
        for kind, count in (call.redactor.counts - before).items():
            self._metrics.masks_total.labels(kind).inc(count)
        if call.open_streams:
            self._calls[call_id] = call
            if len(self._calls) > _MAX_CALLS:
                self._calls.popitem(last=False)
        return [
            Append(call_id, call.number(each))
            for each in redacted
            if _Identity.of(each.source) not in call.published
        ]

    async def _rebuild(
        self, fields: Mapping[str, str], until: _Identity
    ) -> tuple[_Call, list[Redacted]]:
        """Return the state of a call before an event, and what should have been published."""
        self._metrics.rebuilt_calls_total.inc()
        key = partition_key(self._partition, f"call:{fields['call_id']}")
        published = await self._read(f"{key}:{SUFFIX}")
        raw = await self._read(key)
        route = next((each["route"] for each in [*raw, fields] if "route" in each), "")
        call = _Call(
            self._new_redactor(route),
            published=frozenset(_Identity.of(each, "source_n") for each in published),
        )
        for each in published:
            writer = each["stream_id"], int(each["epoch"])
            call.numbers[writer] = max(call.numbers.get(writer, 0), int(each["n"]))
        redacted: list[Redacted] = []
        for each in raw:
            event = _Identity.of(each)
            if event == until:
                break
            try:
                redacted += call.redactor.apply(each)
            except Exception as error:  # noqa: BLE001 - it became a dead letter, or will not be shown
                _log.error(  # without the message, which may quote content
                    "redact-failed call_id=%s stream_id=%s n=%d error=%s",
                    fields["call_id"],
                    event.stream_id,
                    event.n,
                    type(error).__name__,
                )
                if _follows(event, until):
                    writer = event.stream_id, event.epoch
                    call.numbers[writer] = call.numbers.get(writer, 0) + 1
            call.note(event, each["type"])
        return call, redacted

    async def _read(self, key: str) -> list[dict[str, str]]:
        """Return the fields of all entries of a stream."""
        pages = reading.pages(self._client, key)
        return [entry.fields async for entries in pages for entry in entries]


def _follows(event: _Identity, other: _Identity) -> bool:
    """Return whether another event is the next one of the same stream."""
    return other == event._replace(n=event.n + 1)


def group(partitions: int, retention_s: int, lease_s: float) -> Group:
    """Return the group of workers that redact."""
    return Group("redact", SUFFIX, partitions=partitions, retention_s=retention_s, lease_s=lease_s)
