"""Erases calls: records them in the ledger, then walks all stores until nothing is left.

The record comes first. From then on, no writer writes anything of the call, so what a walk has
deleted stays deleted. A walk that is interrupted leaves the record without `done`; the worker
repeats it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.transcript.encode import rfc3339_ms
from workers.governance.copies import LedgerCopy
from workers.governance.holds import Hold, Holds
from workers.governance.ledger import Erasure, Ledger, Recorded
from workers.governance.stores import Store, StoreError
from workers.governance.trail import Trail

_ROUNDS: Final = 5  # entries move between streams while they are walked
_COPIES: Final = "ledger copy"


@dataclass(slots=True)
class Walked:
    """The result of walking all stores.

    Attributes:
        removed: keys, entries and files that were deleted, by store.
        left: what could not be deleted yet, by store; empty if nothing is left.
        failed: why a store, or a further place of the ledger, failed, by its name.
        done: the calls of which nothing is left.
    """

    removed: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    done: Sequence[str] = ()

    @property
    def is_done(self) -> bool:
        """Whether all stores were walked, and nothing is left."""
        return not self.left and not self.failed


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        name: for people.
        subject: their identity at the sign-in, if any.
        ip: their address, if any.
    """

    name: str
    subject: str | None = None
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class Governance:
    """Erasure and legal holds.

    Every method may raise `PublishError` or `StoreError`; it can be repeated.

    Attributes:
        ledger: the ledger.
        holds: the legal holds.
        trail: the audit trail.
        stores: all stores.
        copies: further places of the ledger and the holds.
        wall_s: the current time, in Unix seconds.
    """

    ledger: Ledger
    holds: Holds
    trail: Trail
    stores: Sequence[Store]
    copies: Sequence[LedgerCopy]
    wall_s: Callable[[], float]

    async def request(
        self, call_id: str, actor: Actor, reason: str, *, even_live: bool = False
    ) -> Recorded:
        """Record that a call is to be erased; from then on, nothing of it is written."""
        erasure = Erasure(self.now(), actor.name, reason)
        outcome = await self.ledger.record(call_id, erasure, even_live=even_live)
        if outcome is Recorded.RECORDED:
            await self.note("erase-requested", actor, call_id, reason=reason)
        elif outcome is Recorded.ERASED:
            await self.note("erase-requested", actor, call_id, reason=reason, again="yes")
        else:
            await self.note("erase-refused", actor, call_id, reason=str(outcome))
        return outcome

    async def carry_out(self, call_ids: Collection[str], actor: Actor) -> Walked:
        """Delete all that any store keeps of those of some calls that are in the ledger.

        The calls of which nothing is left are marked as done, if the other places have their
        records. A store or a place that fails does not keep the others from being walked.
        """
        walked = Walked()
        calls = sorted(await self.ledger.records(call_ids))
        if not calls:
            return walked
        await self._copy_records(calls, walked)
        for _ in range(_ROUNDS):
            removed = walked.removed.total()
            walked.left.clear()
            for store in self.stores:
                await _walk(store, calls, walked)
            is_stuck = walked.removed.total() == removed
            if not walked.left or walked.failed or is_stuck:
                break
        if not walked.failed:
            stores = [store for store in self.stores if store.name in walked.left]
            walked.done = await _without_rest(calls, stores)
            await self._mark_done(walked, actor)
        return walked

    async def _copy_records(self, calls: Sequence[str], walked: Walked) -> None:
        """Write records, with the owners of the calls, to the other places."""
        for call_id in calls:
            await self.ledger.complete(call_id)
        records = await self.ledger.records(calls)
        for copy in self.copies:
            try:
                for call_id, erasure in records.items():
                    await copy.put(call_id, erasure)
            except StoreError as error:
                walked.failed[_COPIES] = error.reason

    async def _mark_done(self, walked: Walked, actor: Actor) -> None:
        at = self.now()
        removed = " ".join(f"{name}={count}" for name, count in sorted(walked.removed.items()))
        more = {"removed": removed, "together": str(len(walked.done))}
        if walked.done:
            await self.trail.append(
                [self._entry("erased", actor, call_id, more) for call_id in walked.done]
            )
        for call_id in walked.done:
            await self.ledger.mark_done(call_id, at)

    async def find(self, call_id: str) -> dict[str, int]:
        """Return how much each store keeps of a call."""
        return {store.name: await store.find([call_id]) for store in self.stores}

    async def hold(self, call_id: str, actor: Actor, reason: str) -> str:
        """Place a legal hold; return `placed`, `held` or `erased`."""
        outcome = await self.holds.place(call_id, Hold(self.now(), actor.name, reason))
        if outcome == "placed":
            await self.note("held", actor, call_id, reason=reason)
        if hold := await self.holds.get(call_id):
            for copy in self.copies:
                await copy.put_hold(call_id, hold)
        return outcome

    async def release(self, call_id: str, actor: Actor, reason: str) -> bool:
        """Lift a legal hold; return False if there is none."""
        await self._remove_copies(call_id)  # before the hold, else a worker restores it
        is_lifted = await self.holds.lift(call_id)
        if is_lifted:
            await self.note("released", actor, call_id, reason=reason)
            await self._remove_copies(call_id)  # one that a worker has written meanwhile
        return is_lifted

    async def _remove_copies(self, call_id: str) -> None:
        for copy in self.copies:
            await copy.remove_hold(call_id)

    async def note(self, action: str, actor: Actor, call_id: str | None, **more: str) -> None:
        """Append an action to the audit trail."""
        await self.trail.append([self._entry(action, actor, call_id, more)])

    def _entry(
        self, action: str, actor: Actor, call_id: str | None, more: dict[str, str]
    ) -> dict[str, str | None]:
        who = {"who": actor.name, "subject": actor.subject, "ip": actor.ip}
        return {"at": self.now(), "action": action, **who, "call_id": call_id, **more}

    def now(self) -> str:
        """Return the current time, RFC 3339."""
        return rfc3339_ms(self.wall_s())


async def _walk(store: Store, call_ids: Collection[str], walked: Walked) -> None:
    """Delete all that a store keeps of some calls; add the result to `walked`."""
    try:
        walked.removed[store.name] += await store.erase(call_ids)
        if left := await store.find(call_ids):
            walked.left[store.name] = left
    except StoreError as error:
        walked.failed[store.name] = error.reason


async def _without_rest(calls: Sequence[str], stores: Sequence[Store]) -> list[str]:
    """Return those of some calls of which stores keep nothing, by halving."""
    if not sum([await store.find(calls) for store in stores]):
        return list(calls)
    if len(calls) == 1:
        return []
    middle = len(calls) // 2
    return [
        *await _without_rest(calls[:middle], stores),
        *await _without_rest(calls[middle:], stores),
    ]
