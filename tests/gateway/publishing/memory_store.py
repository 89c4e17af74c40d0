"""An event store in memory that behaves like `append.lua`, for tests without a server.

`test_event_store.py` compares it with the real one. It never waits, and fails only while `refuses`
is set. A test that needs an unavailable store wraps it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.errors import PublishError
from gateway.publishing.event_store import FENCED, RESUMED, STILL_LEASED, AppendCall
from gateway.transcript.keys import DEFAULT_TENANT, partition_key

_Batch = tuple[int, bool, list[list[str]], int]

type Name = tuple[int, str, str | None, str | None]  # epoch, gateway, tenant, carrier
type Entries = list[dict[str, str]]

_FORMER_CLAIMS = 8
_NEAR_MS = 250


class _Stream(msgspec.Struct, array_like=True):
    """The first argument of `append.lua`."""

    v: str
    call_id: str
    stream_id: str
    proposed: int
    gateway: str
    lease_ms: int
    retention_s: int
    length: int
    kept_ms: int
    tenant: str | None = None
    carrier: str | None = None


@dataclass
class Claim:
    """The latest claim of a stream by a gateway, as `append.lua` stores it."""

    name: Name
    epoch: int
    since_ms: int
    former: list[Name]
    base: int = 0
    started: dict[str, str] | None = None
    lost_epoch: int = 0
    lost_n: int = 0


@dataclass
class Owner:
    """The owner of a stream: the epoch that wrote last, and its last n."""

    epoch: int = 0
    n: int = 0
    claim: Claim | None = None


@dataclass(frozen=True)
class _Position:
    """Where a batch is written: its epoch, and what was written there before."""

    epoch: int
    base: int = 0
    written: int = 0
    is_late: bool = False
    resumes: int | None = None


@dataclass
class MemoryStore:
    """One server: its streams, owners and leases.

    Args:
        now_ms: the server's clock, in Unix ms.

    Attributes:
        refuses: whether it refuses writes, as a server without free memory does.
    """

    now_ms: Callable[[], int]
    refuses: bool = False
    streams: defaultdict[str, Entries] = field(default_factory=lambda: defaultdict(list))
    owners: defaultdict[str, dict[str, Owner]] = field(default_factory=lambda: defaultdict(dict))
    whose: dict[str, tuple[str, str]] = field(default_factory=dict)  # tenant, carrier
    live: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    expires_ms: dict[str, int] = field(default_factory=dict)
    erased: dict[str, tuple[str, str] | None] = field(default_factory=dict)  # and their owners
    _added_ms: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    async def append(
        self, calls: Sequence[AppendCall], timeout_s: float
    ) -> list[int | PublishError]:
        """Append each call's batch."""
        if self.refuses:
            return [PublishError("redis-unavailable", "OutOfMemoryError")] * len(calls)
        return [self._append(*call) for call in calls]

    def _append(
        self, keys: Sequence[str], stream_header: bytes, payload: bytes, age_ms: int = 0
    ) -> int | PublishError:
        _, _, events_key, live_key = keys
        stream = msgspec.msgpack.decode(stream_header, type=_Stream)
        first, ends_stream, events, lapsed_at_ms = msgspec.msgpack.decode(payload, type=_Batch)
        now_ms = self.now_ms()
        expire_ms = now_ms + 1000 * stream.retention_s
        self._expire(now_ms)
        call_id, writers_key, call_key = self._find(stream, keys, expire_ms)
        if call_id in self.erased:
            return PublishError("call-erased")
        tenant, _ = self.whose.get(writers_key, (stream.tenant or DEFAULT_TENANT, ""))
        owner = self.owners[writers_key].setdefault(stream.stream_id, Owner())
        member, live = f"{call_id} {stream.stream_id}", self.live[live_key]
        last = first + len(events) - 1
        if lapsed_at_ms:
            if owner.epoch > stream.proposed:
                return FENCED
            if member not in live or live[member] > min(now_ms, lapsed_at_ms):
                return STILL_LEASED
            position = _close(owner, stream.proposed)
        else:
            name = (stream.proposed, stream.gateway, stream.tenant, stream.carrier)
            found = _claim(owner, name, last, now_ms - max(0, age_ms), now_ms)
            if found is None:
                return FENCED
            position = found
        if ends_stream:
            live.pop(member, None)
        elif member in live or not position.is_late:
            live[member] = now_ms + stream.lease_ms
        self._trim(events_key, stream.length, now_ms - stream.kept_ms)

        def add(entry: dict[str, str]) -> None:
            for key in (call_key, events_key):
                self.streams[key].append(entry)
                self._added_ms[key].append(now_ms)

        if position.resumes is not None and owner.claim and owner.claim.started:
            again = {"epoch": str(position.epoch), "n": "1", "resumes": str(position.resumes)}
            add(owner.claim.started | again)
        for n, (kind, at, *fields) in enumerate(events, start=first):
            if n > position.written:
                head = {"v": stream.v, "type": kind, "call_id": call_id}
                head |= {"stream_id": stream.stream_id, "epoch": str(position.epoch)}
                head |= {"n": str(n - position.base), "at": at, "gateway": stream.gateway}
                head["tenant"] = tenant
                entry = head | dict(zip(fields[::2], fields[1::2], strict=True))
                add(entry)
                if kind == "stream.started" and owner.claim and not lapsed_at_ms:
                    owner.claim.started = entry
        owner.epoch, owner.n = position.epoch, max(position.written, last) - position.base
        if stream.tenant and stream.carrier:
            self.whose.setdefault(writers_key, (stream.tenant, stream.carrier))
        for key in (writers_key, call_key):
            self.expires_ms[key] = expire_ms
        return position.written if position.resumes is None else RESUMED - position.written

    def _find(self, stream: _Stream, keys: Sequence[str], expire_ms: int) -> tuple[str, str, str]:
        """Return a call's id and keys; derived ones if another call has its id."""
        call_id, writers_key, call_key = stream.call_id, *keys[:2]
        mine = (stream.tenant, stream.carrier)
        while stream.tenant and self._owner(call_id, writers_key, mine) != mine:
            if writers_key in self.expires_ms:
                self.expires_ms[writers_key] = max(self.expires_ms[writers_key], expire_ms)
            others, call_id = call_id, f"{stream.tenant}.{stream.carrier}.{call_id}"
            writers_key = writers_key.removesuffix(others) + call_id
            call_key = call_key.removesuffix(others) + call_id
        return call_id, writers_key, call_key

    def _owner(
        self, call_id: str, writers_key: str, mine: tuple[str | None, str | None]
    ) -> tuple[str | None, str | None]:
        return self.whose.get(writers_key) or self.erased.get(call_id) or mine

    def _trim(self, key: str, length: int, oldest_ms: int) -> None:
        added_ms = self._added_ms[key]
        excess = max(len(added_ms) - length, bisect_left(added_ms, oldest_ms))
        if excess > 0:
            del added_ms[:excess], self.streams[key][:excess]

    def _expire(self, now_ms: int) -> None:
        for key in [key for key, at_ms in self.expires_ms.items() if at_ms <= now_ms]:
            del self.expires_ms[key]
            for kept in (self.streams, self.owners, self.whose, self._added_ms):
                kept.pop(key, None)

    # Used by the janitor

    async def lapsed(self, partition: int, limit: int) -> tuple[int, list[str]]:
        """Return the server's Unix ms and the streams whose lease has lapsed."""
        self._probe()
        now_ms = self.now_ms()
        live = self.live[partition_key(partition, "live")]
        return now_ms, sorted(m for m, until_ms in live.items() if until_ms <= now_ms)[:limit]

    def _probe(self) -> None:
        if self.refuses:
            raise PublishError("redis-unavailable", "OutOfMemoryError")

    async def owner_epoch(self, writers_key: str, stream_id: str) -> int:
        """Return the epoch that owns a stream; 0 if none does."""
        return self.owners[writers_key].get(stream_id, Owner()).epoch

    async def events(self, call_key: str) -> AsyncIterator[dict[str, str]]:
        """Return the events of a call, in order."""
        for entry in self.streams[call_key]:
            yield entry


def _close(owner: Owner, proposed: int) -> _Position:
    """Return where a janitor's record is written."""
    if owner.epoch == proposed:
        return _Position(proposed, written=owner.n)
    if owner.claim and owner.claim.epoch == owner.epoch:
        owner.claim.lost_epoch, owner.claim.lost_n = proposed, owner.n
    return _Position(proposed)


def _claim(owner: Owner, name: Name, last: int, since_ms: int, now_ms: int) -> _Position | None:
    """Return where a gateway's batch is written; None if another gateway owns the stream."""
    claim = owner.claim
    if claim and claim.name == name:
        if owner.epoch == claim.epoch:
            written = owner.n + claim.base
            return _Position(claim.epoch, claim.base, written, is_late=last <= written)
        return _resume(owner, claim)
    if claim and name in claim.former:
        return None
    if claim and _is_older(claim, name[0], since_ms, now_ms):
        claim.former = [*claim.former, name][-_FORMER_CLAIMS:]
        return None
    former = [*claim.former, claim.name][-_FORMER_CLAIMS:] if claim else []
    epoch = decide_epoch(name[0], owner.epoch)
    owner.claim = Claim(name, epoch, since_ms, former)
    return _Position(epoch)


def _is_older(claim: Claim, proposed: int, since_ms: int, now_ms: int) -> bool:
    older_ms = claim.since_ms - since_ms
    is_older = older_ms > _NEAR_MS
    if abs(older_ms) <= _NEAR_MS:
        is_older = 0 < claim.name[0] - proposed <= _NEAR_MS
    return is_older and claim.since_ms <= now_ms


def _resume(owner: Owner, claim: Claim) -> _Position | None:
    if owner.epoch != claim.lost_epoch:
        return None
    resumes, written = claim.epoch, claim.lost_n + claim.base
    claim.epoch, claim.lost_epoch = owner.epoch + 1, 0
    claim.base = written - bool(claim.started)
    return _Position(claim.epoch, claim.base, written, resumes=resumes)


def decide_epoch(proposed: int, owner_epoch: int) -> int:
    """Return the epoch of a claim."""
    return max(proposed, owner_epoch + 1)
