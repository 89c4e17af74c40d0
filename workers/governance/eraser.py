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

_ROUNDS: Final = 5


@dataclass(slots=True)
class Walked:
    """The result of walking all stores.

    Attributes:
        removed: keys, entries and files that were deleted, by store.
        left: what could not be deleted yet, by store; empty if nothing is left.
        failed: why a store could not be walked, by store.
    """

    removed: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

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
        copies: further places of the ledger.
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
            recorded = await self.ledger.get(call_id)
            await self.keep_copy(call_id, recorded or erasure)
            await self.note("erase-requested", actor, call_id, reason=reason)
        elif outcome is Recorded.ERASED:
            await self.note("erase-requested", actor, call_id, reason=reason, again="yes")
        else:
            await self.note("erase-refused", actor, call_id, reason=str(outcome))
        return outcome

    async def keep_copy(self, call_id: str, erasure: Erasure) -> None:
        """Write a record of the ledger to the other places."""
        for copy in self.copies:
            await copy.put(call_id, erasure)

    async def carry_out(self, call_ids: Collection[str], actor: Actor) -> Walked:
        """Delete all that any store keeps of calls that are in the ledger.

        Calls are marked as done if nothing is left of any of them. A store that fails does not keep
        the others from being walked.
        """
        walked = Walked()
        for call_id in call_ids:
            await self.ledger.note_owner(call_id)
        for _ in range(_ROUNDS):
            walked.left, walked.failed = Counter(), {}
            for store in self.stores:
                await _walk(store, call_ids, walked)
            if walked.is_done:
                await self._mark_done(call_ids, actor, walked)
                break
        return walked

    async def _mark_done(self, call_ids: Collection[str], actor: Actor, walked: Walked) -> None:
        at = self.now()
        removed = " ".join(f"{name}={count}" for name, count in sorted(walked.removed.items()))
        for call_id in call_ids:
            await self.ledger.mark_done(call_id, at)
        more = {"removed": removed, "together": str(len(call_ids))}
        await self.trail.append(
            [self._entry("erased", actor, call_id, more) for call_id in call_ids]
        )

    async def find(self, call_id: str) -> dict[str, int]:
        """Return how much each store keeps of a call."""
        return {store.name: await store.find([call_id]) for store in self.stores}

    async def hold(self, call_id: str, actor: Actor, reason: str) -> str:
        """Place a legal hold; return `placed`, `held` or `erased`."""
        outcome = await self.holds.place(call_id, Hold(self.now(), actor.name, reason))
        if outcome == "placed":
            await self.note("held", actor, call_id, reason=reason)
        return outcome

    async def release(self, call_id: str, actor: Actor, reason: str) -> bool:
        """Lift a legal hold; return False if there is none."""
        is_lifted = await self.holds.lift(call_id)
        if is_lifted:
            await self.note("released", actor, call_id, reason=reason)
        return is_lifted

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
