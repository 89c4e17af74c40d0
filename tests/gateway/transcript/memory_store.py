"""A store in memory that answers as `append.lua` does: for tests without a server.

Held to the real one by `test_store.py`. It never fails and never waits; whoever wants a store that
is away wraps it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from gateway.errors import PublishError
from gateway.transcript.keys import partition_key
from gateway.transcript.store import FENCED, STILL_LEASED, AppendCall

_Stream = tuple[str, str, str, int, str, int, int, int, int]
_Batch = tuple[int, bool, list[list[str]], bool]

type Entries = list[dict[str, str]]


class MemoryStore:
    """One server: its streams, owners and leases.

    Args:
        now_ms: the server's clock, in Unix ms.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.streams: defaultdict[str, Entries] = defaultdict(list)
        self.owners: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self.live: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.expires_ms: dict[str, int] = {}
        self._added_ms: defaultdict[str, list[int]] = defaultdict(list)  # per entry of a stream

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append each call's batch."""
        return [self._append(*call) for call in calls]

    def _append(self, keys: Sequence[str], constants: bytes, payload: bytes) -> int:
        writers_key, call_key, events_key, live_key = keys
        v, call_id, stream_id, epoch, gateway, lease_ms, retention_s, length, age_ms = (
            msgspec.msgpack.decode(constants, type=_Stream)
        )
        first, ends_stream, events, if_lapsed = msgspec.msgpack.decode(payload, type=_Batch)
        now_ms = self._now_ms()
        self._expire(now_ms)
        owner_epoch, owner_n = self.owners[writers_key].get(stream_id, (-1, 0))
        if owner_epoch > epoch:
            return FENCED
        written = owner_n if owner_epoch == epoch else 0
        is_late = owner_epoch == epoch and first + len(events) - 1 <= written
        member, live = f"{call_id} {stream_id}", self.live[live_key]
        if if_lapsed and (member not in live or live[member] > now_ms):
            return STILL_LEASED
        if ends_stream:
            live.pop(member, None)
        elif member in live or not is_late:
            live[member] = now_ms + lease_ms
        self._trim(events_key, length, now_ms - age_ms)
        for n, (kind, at, *fields) in enumerate(events, start=first):
            if n > written:
                head = {"v": v, "type": kind, "call_id": call_id, "stream_id": stream_id}
                head |= {"epoch": str(epoch), "n": str(n), "at": at, "gateway": gateway}
                entry = head | dict(zip(fields[::2], fields[1::2], strict=True))
                for key in (call_key, events_key):
                    self.streams[key].append(entry)
                    self._added_ms[key].append(now_ms)
        last = max(written, first + len(events) - 1)
        self.owners[writers_key][stream_id] = (epoch, last)
        for key in (writers_key, call_key):
            self.expires_ms[key] = now_ms + 1000 * retention_s
        return written

    def _trim(self, key: str, length: int, oldest_ms: int) -> None:
        added_ms = self._added_ms[key]
        excess = max(len(added_ms) - length, bisect_left(added_ms, oldest_ms))
        if excess > 0:
            del added_ms[:excess], self.streams[key][:excess]

    def _expire(self, now_ms: int) -> None:
        for key in [key for key, at_ms in self.expires_ms.items() if at_ms <= now_ms]:
            del self.expires_ms[key]
            for kept in (self.streams, self.owners, self._added_ms):
                kept.pop(key, None)

    # What the janitor asks

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Give the server's Unix ms and the streams whose lease has lapsed."""
        now_ms = self._now_ms()
        live = self.live[partition_key(partition, "live")]
        return now_ms, sorted(m for m, until_ms in live.items() if until_ms <= now_ms)[:limit]

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Give the epoch that owns a stream, 0 if none does."""
        return self.owners[writers_key].get(stream_id, (0, 0))[0]

    async def events(self, call_key: str) -> AsyncIterator[dict[str, str]]:
        """Give the events of a call, in order."""
        for entry in self.streams[call_key]:
            yield entry
