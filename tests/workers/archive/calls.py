"""Written calls, as their entries are in Redis."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.redis_client.client import RedisClient
from gateway.transcript.keys import partition_key, partition_of
from tests.workers.client.stories import fields
from workers.archive.evidence import SOURCES, Evidence
from workers.archive.record import Text
from workers.client.events import Entry

TRACKS: Final = json.dumps(
    [
        {"track": "inbound", "role": "customer", "encoding": "pcmu", "rate": 8000},
        {"track": "outbound", "role": "agent", "encoding": "pcmu", "rate": 8000},
    ]
)
ROLES: Final = {"inbound": "customer", "outbound": "agent"}
WORDS: Final = ("inbound", "hello there"), ("outbound", "how can I help"), ("inbound", "my bill")

type Fields = dict[str, str]


class Story:
    """The events of one stream of a call, numbered as a gateway does.

    Args:
        call: the call.
        stream: the stream.
        own: fields of all events.
    """

    def __init__(self, call: str = "CA1", stream: str = "MZ1", epoch: int = 1, **own: Any) -> None:
        self.events: list[Fields] = []
        self._where: dict[str, Any] = {"call": call, "stream": stream, **own}
        self.epoch = epoch
        self._n = 0
        self._segments = 0

    def add(self, kind: str, **own: Any) -> "Story":
        self._n += 1
        where = {**self._where, "epoch": self.epoch, **own}
        self.events.append(fields(kind, self._n, **where))
        return self

    def start(self, **own: Any) -> "Story":
        values = {"tracks": TRACKS, "route": "sales", "params": '{"agent": "7"}'}
        return self.add("stream.started", **{**values, **own})

    def say(self, track: str, text: str, *, partial: bool = False, **own: Any) -> "Story":
        """Add the deltas of a segment and, unless it is partial, its final."""
        self._segments += 1
        start_ms = 1000 * self._segments
        where = {"track": track, "role": ROLES.get(track, "unknown"), "segment": self._segments}
        for position, word in enumerate(text.split(" ")):
            at_ms = start_ms + 80 * position
            spot = {"rev": 0, "start_ms": at_ms, "end_ms": at_ms + 80, **where, **own}
            self.add("transcript.delta", text=f" {word}" if position else word, **spot)
        if partial:
            self._segments -= 1
            return self
        spot = {"rev": 0, "start_ms": start_ms, "end_ms": start_ms + 800, **where, **own}
        return self.add("transcript.final", text=text, **spot)

    def end(self, status: str = "completed", **own: Any) -> "Story":
        values = {"status": status, "reason": "stopped", "duration_ms": 5000, "gap_ms": 0}
        return self.add("stream.ended", **{**values, "segments": self._segments, **own})

    def next_epoch(self, epoch: int) -> "Story":
        self.epoch, self._n = epoch, 0
        return self


def whole(call: str = "CA1", words: Iterable[tuple[str, str]] = WORDS, **own: Any) -> list[Fields]:
    """Return the events of a call with one stream."""
    story = Story(call, **own).start()
    for track, text in words:
        story.say(track, text)
    return story.end().events


def alert(call: str = "CA1", name: str = "a1", state: str = "raised", **own: Any) -> Fields:
    values = {"alert": name, "state": state, "rule": "no-promise", "rule_version": "3"}
    words = {"severity": "warning", "title": "Never promise", "segment": 1, "track": "inbound"}
    return fields("assist.alert", 4, call=call, **{**values, **words, **own})


def wrapup(call: str = "CA1", made_from: str = "redacted", **own: Any) -> Fields:
    cited = {"stream_id": "MZ1", "track": "inbound", "segment": 1, "start_ms": 0, "end_ms": 80}
    summary = json.dumps([{"text": own.pop("text", "A bill."), "citations": [cited]}])
    values = {"wrapup": "w1", "made_from": made_from, "trigger": "ended", "model": "m"}
    more = {"summary": summary, "follow_ups": "[]", "disposition": "billing"}
    return fields("assist.wrapup", 4, call=call, **{**values, **more, **own})


def entries(events: Iterable[Fields]) -> Iterator[Entry]:
    for number, each in enumerate(events, start=1):
        yield Entry(f"{number}-0", each)


def evidence(events: Iterable[Fields], text: Text = Text.RAW, **added: list[Fields]) -> Evidence:
    """Return a call's evidence; `added` are the entries of other streams, with `_` for `-`."""
    made = Evidence("CA1", text)
    for entry in entries(events):
        made.add(next(iter(SOURCES[text])), entry)
    for source, others in added.items():
        for entry in entries(others):
            made.add(source.replace("_", "-"), entry)
    return made


async def publish(client: RedisClient, *events: Fields, source: str = "events") -> None:
    """Write events as the gateway and the workers do: to the partition's stream and the call's."""
    for each in events:
        call, values = each["call_id"], dict[Any, Any](each)
        partition = partition_of(call, 64)
        entry_id: Any = await client.xadd(partition_key(partition, source), values)
        suffix = "" if source == "events" else f":{source}"
        await client.xadd(partition_key(partition, f"call:{call}{suffix}"), values, id=entry_id)
