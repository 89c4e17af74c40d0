"""What every store of calls does for erasure, retention and the report. Pure.

A store is one small class. To add one, write it and create it in `assembly.py`; everything else,
`./run govern` and the worker, walks all of them.
"""

from collections.abc import AsyncIterator, Collection
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec


class StoreError(Exception):
    """A store failed; `reason` is a slug. The message quotes no content."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"{store}: {reason}")
        self.reason = reason


class Kept(NamedTuple):
    """A call that a store keeps, with what decides for how long.

    Attributes:
        call_id: the call.
        tenant: its tenant.
        route: its route; empty if unknown.
        last_ms: when something of it was written last, Unix ms.
    """

    call_id: str
    tenant: str
    route: str
    last_ms: int


class Holding(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the report.

    Attributes:
        store: the store.
        where: the place in it.
        what: what is kept there.
        until: for how long, in words.
        calls: how many calls, if it is known.
        entries: how many entries, files or rows.
        oldest: when the oldest was written, RFC 3339.
    """

    store: str
    where: str
    what: str
    until: str
    calls: int | None = None
    entries: int | None = None
    oldest: str | None = None


class Store(Protocol):
    """A place where something of calls is kept.

    Every method may raise `PublishError` or `StoreError`.
    """

    @property
    def name(self) -> str:
        """The store's name, such as `redis`."""

    async def erase(self, calls: Collection[str]) -> int:
        """Delete all that is kept of some calls; return how many keys, entries or files.

        It can be repeated, and continues what was interrupted.
        """

    async def find(self, calls: Collection[str]) -> int:
        """Return how many keys, entries or files of some calls there are."""

    async def describe(self) -> list[Holding]:
        """Return what is kept, without content."""


@runtime_checkable
class Expiring(Protocol):
    """A store whose calls are deleted when their time is over."""

    def ids(self) -> AsyncIterator[str]:
        """Yield the ids of all calls that are kept; one may come several times."""

    def calls(self) -> AsyncIterator[Kept]:
        """Yield all calls that may be deleted when their time is over."""

    async def expire(self, calls: Collection[str]) -> int:
        """Delete what is kept of calls whose time is over; return how many calls."""
