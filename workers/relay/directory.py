"""The calls that the relay knows: those that are live, and those that ended a short time ago. Pure.

Changes are numbered, so that any number of viewers can ask what has changed since they last looked.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from workers.client.events import AnyEvent
from workers.relay.call_summary import CallState
from workers.relay.sign_in.viewer import Scope

_MAX_CALLS: Final = 10_000
_KEPT_REMOVALS: Final = 10_000


class Removed(NamedTuple):
    """A call that was removed, and what decides who may know that it existed."""

    call_id: str
    route: str
    tenant: str

    def is_in(self, scope: Scope) -> bool:
        """Return whether a viewer's scope admits the call."""
        return scope.admits(call_id=self.call_id, route=self.route, tenant=self.tenant)


class Changes(NamedTuple):
    """What has changed since a version."""

    version: int
    calls: list[CallState]
    gone: list[Removed]


@dataclass(slots=True)
class _Entry:
    call: CallState
    changed: int  # the version
    changed_s: float


@dataclass(slots=True)
class Directory:
    """Calls by id.

    Attributes:
        keep_s: how long an ended call is kept, in seconds.
        silent_s: how long a call without events is kept, in seconds.
        version: of the last change.
    """

    keep_s: float
    silent_s: float
    version: int = 0
    _entries: OrderedDict[str, _Entry] = field(default_factory=OrderedDict)  # by last change
    _gone: deque[tuple[int, Removed]] = field(default_factory=lambda: deque(maxlen=_KEPT_REMOVALS))

    def __len__(self) -> int:
        """Return the number of calls."""
        return len(self._entries)

    def get(self, call_id: str) -> CallState | None:
        """Return a call, or None if it is not known."""
        entry = self._entries.get(call_id)
        return entry.call if entry else None

    def calls(self) -> list[CallState]:
        """Return all calls; the one that changed last is the first."""
        return [entry.call for entry in reversed(self._entries.values())]

    def put(self, call: CallState, now_s: float) -> None:
        """Add a call, or replace it."""
        self.version += 1
        self._entries[call.call_id] = _Entry(call, self.version, now_s)
        self._entries.move_to_end(call.call_id)
        if len(self._entries) > _MAX_CALLS:
            self._remove(next(iter(self._entries)))

    def apply(self, event: AnyEvent, now_s: float) -> None:
        """Apply an event to a call that is known."""
        entry = self._entries[event.call_id]
        if entry.call.apply(event):
            self.put(entry.call, now_s)

    def touch(self, call_id: str, now_s: float) -> None:
        """Note that something else about a call has changed, if the call is known."""
        if entry := self._entries.get(call_id):
            self.put(entry.call, now_s)

    def expire(self, now_s: float) -> None:
        """Remove the calls that ended long enough ago, or had no events for too long."""
        for call_id, entry in list(self._entries.items()):
            age_s = now_s - entry.changed_s
            if age_s < self.keep_s:
                break  # the following ones changed later
            if age_s >= self.silent_s or entry.call.is_over:
                self._remove(call_id)

    def forget(self, call_id: str) -> None:
        """Remove a call, if it is known."""
        if call_id in self._entries:
            self._remove(call_id)

    def changes(self, since: int) -> Changes | None:
        """Return what has changed after a version; None if that is no longer known."""
        if len(self._gone) == _KEPT_REMOVALS and self._gone[0][0] > since:
            return None
        calls = []
        for entry in reversed(self._entries.values()):
            if entry.changed <= since:
                break
            calls.append(entry.call)
        gone = []
        for version, removed in reversed(self._gone):
            if version <= since:
                break
            if removed.call_id not in self:
                gone.append(removed)
        return Changes(self.version, calls[::-1], gone[::-1])

    def __contains__(self, call_id: object) -> bool:
        """Return whether a call is known."""
        return call_id in self._entries

    def _remove(self, call_id: str) -> None:
        call = self._entries.pop(call_id).call
        self.version += 1
        self._gone.append((self.version, Removed(call_id, call.route, call.tenant)))
