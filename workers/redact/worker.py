"""The worker `redact`: copies the events of all calls to redacted streams.

The state of a call is in memory. It is rebuilt from the call's own stream where it is missing, or
where an event does not follow the last one: after a takeover, a hole, or a retry. An event that was
published before is recognized by its `source_n`, so it is published once, even if a newer version
of the rules holds or releases other events.

An event that can't be redacted is not published. Its number is left out, so that readers see the
hole.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key
from workers.client import reading
from workers.consumer import Append, Calls, Group, Identity, Progress, Received
from workers.redact.call import CallRedactor, Redacted

_log = logging.getLogger("workers.redact")

SUFFIX: Final = "redacted"

type NewRedactor = Callable[[str], CallRedactor]  # for the calls of a route


@dataclass(slots=True)
class _Call:
    """The state of one call."""

    redactor: CallRedactor
    progress: Progress = field(default_factory=Progress)
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)  # of the redacted events
    published: frozenset[Identity] = frozenset()  # when it was rebuilt

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
        self._calls: Calls[_Call] = Calls()

    async def handle(self, received: Received) -> Sequence[Append]:
        """Return the redacted events to publish; see `Handler`."""
        fields = received.fields
        call_id, event = fields["call_id"], Identity.of(fields)
        call = self._calls.take(call_id, event)
        redacted: list[Redacted] = []
        if call is None:
            call, redacted = await self._rebuild(fields, event)
        before = call.redactor.counts.copy()
        redacted += call.redactor.apply(fields)
        call.progress.note(event, fields["type"])
        for kind, count in (call.redactor.counts - before).items():
            self._metrics.masks_total.labels(kind).inc(count)
        self._calls.put(call_id, call)
        return [
            Append(call_id, call.number(each))
            for each in redacted
            if Identity.of(each.source) not in call.published
        ]

    async def _rebuild(
        self, fields: Mapping[str, str], until: Identity
    ) -> tuple[_Call, list[Redacted]]:
        """Return the state of a call before an event, and what should have been published."""
        self._metrics.rebuilt_calls_total.inc()
        key = partition_key(self._partition, f"call:{fields['call_id']}")
        published = await self._read(f"{key}:{SUFFIX}")
        raw = await self._read(key)
        route = next((each["route"] for each in [*raw, fields] if "route" in each), "")
        call = _Call(
            self._new_redactor(route),
            published=frozenset(Identity.of(each, "source_n") for each in published),
        )
        for each in published:
            writer = each["stream_id"], int(each["epoch"])
            call.numbers[writer] = max(call.numbers.get(writer, 0), int(each["n"]))
        redacted: list[Redacted] = []
        for each in raw:
            event = Identity.of(each)
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
                if event.precedes(until):
                    writer = event.stream_id, event.epoch
                    call.numbers[writer] = call.numbers.get(writer, 0) + 1
            call.progress.note(event, each["type"])
        return call, redacted

    async def _read(self, key: str) -> list[dict[str, str]]:
        """Return the fields of all entries of a stream."""
        pages = reading.pages(self._client, key)
        return [entry.fields async for entries in pages for entry in entries]


def group(partitions: int, retention_s: int, lease_s: float) -> Group:
    """Return the group of workers that redact."""
    return Group("redact", SUFFIX, partitions=partitions, retention_s=retention_s, lease_s=lease_s)
