"""A capacity store in memory that behaves like leases.lua, with a clock set by the test."""

from collections.abc import Callable, Sequence

from gateway.admission.lease_pool import Acquisition
from gateway.errors import PublishError


class MemoryCapacityStore:
    """Implements `CapacityStore`. `unavailable` and `loses_answers` simulate failures."""

    def __init__(self, server_s: Callable[[], float]) -> None:
        self.unavailable = False  # requests are not executed
        self.loses_answers = False  # requests are executed, but fail
        self._server_s = server_s
        self._ends_s: dict[str, dict[str, float]] = {}  # pool -> lease -> expiry

    def taken(self, pool: str) -> int:
        """Return the number of leases now."""
        return len(self._leases(pool))

    async def acquire(
        self, pool: str, leases: Sequence[str], limit: int, lease_s: float
    ) -> Acquisition:
        held = self._reach(pool)
        granted = len(held.keys() | set(leases)) <= limit
        if granted:
            self._register(held, leases, lease_s)
        self._answer()
        return Acquisition(granted, len(held))

    async def renew(self, pool: str, leases: Sequence[str], lease_s: float) -> int:
        held = self._reach(pool)
        self._register(held, leases, lease_s)
        self._answer()
        return len(held)

    async def release(self, pool: str, leases: Sequence[str]) -> None:
        held = self._reach(pool)
        for lease in leases:
            held.pop(lease, None)
        self._answer()

    def _leases(self, pool: str) -> dict[str, float]:
        held = self._ends_s.setdefault(pool, {})
        now_s = self._server_s()
        for lease in [lease for lease, end_s in held.items() if end_s <= now_s]:
            del held[lease]
        return held

    def _register(self, held: dict[str, float], leases: Sequence[str], lease_s: float) -> None:
        held.update(dict.fromkeys(leases, self._server_s() + lease_s))

    def _reach(self, pool: str) -> dict[str, float]:
        if self.unavailable:
            raise PublishError("redis-unavailable")
        return self._leases(pool)

    def _answer(self) -> None:
        if self.loses_answers:
            raise PublishError("redis-unavailable")
