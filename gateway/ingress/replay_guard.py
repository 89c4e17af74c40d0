"""Rejects replays: records the nonces, tokens and signatures that were accepted, until they expire.

    use_once       for a nonce or a single-use token: the second use is rejected
    check_not_revoked   for a token that is valid until its stream has ended: `revoke` expires it
    first_seen     for a webhook: carriers retry webhooks that received no response in time, so a
                   repetition is accepted for five minutes, and the caller can recognize it

All gateways share the record in Redis, which contains only digests. If Redis is unavailable, each
gateway uses its own record, so that no call fails because Redis does.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from gateway.carriers.auth.signatures.checks import TOLERANCE_S
from gateway.carriers.carrier import SingleUse
from gateway.errors import CarrierError, PublishError

_SLACK_S: Final = 60.0  # another gateway's clock may be behind
_MAX_ENTRIES: Final = 100_000  # per local record; above that, the oldest are evicted

_log = structlog.get_logger()


class SharedRecord(Protocol):
    """The record that all gateways share: a time for each key. Both methods raise PublishError."""

    async def claim(self, key: str, now_s: float, seconds: float) -> float | None:
        """Store a key with a time, for `seconds`. If it is stored already, return its time."""

    async def find(self, key: str) -> float | None:
        """Return the time of a key, or None if it is not stored."""


class ReplayGuard:
    """Records single-use values and rejects replays.

    Args:
        memory: the record that all gateways share.
        wall_s: the time, in Unix seconds.
        retention_s: how long values without an expiry of their own are kept, in seconds.
    """

    def __init__(
        self,
        memory: SharedRecord,
        wall_s: Callable[[], float] = time.time,
        retention_s: float = 86_400,
    ) -> None:
        self._memory = memory
        self._wall_s = wall_s
        self._retention_s = retention_s
        # This gateway's record: key -> (first seen, expiry) in Unix seconds, the oldest first.
        # Values without an expiry of their own are separate, so that the oldest expires first.
        self._expiring: dict[str, tuple[float, float]] = {}
        self._retained: dict[str, tuple[float, float]] = {}

    async def use_once(self, once: SingleUse | None) -> None:
        """Record the use of a single-use value; None is ignored.

        Raises:
            CarrierError: replayed, if it was used before.
        """
        if once is not None and await self._record(once) is not None:
            raise CarrierError("replayed")

    async def check_not_revoked(self, once: SingleUse) -> None:
        """Check that `revoke` was not called for a value.

        Raises:
            CarrierError: replayed, if it was.
        """
        key = _digest(once)
        if key in self._local(once) or await self._find(key) is not None:
            raise CarrierError("replayed")

    async def revoke(self, once: SingleUse) -> None:
        """Expire a value at all gateways."""
        await self._record(once)

    async def record_first_seen(self, once: SingleUse) -> float:
        """Return when a value was first seen, in Unix seconds; the current time if it is new.

        Raises:
            CarrierError: replayed, if that is longer ago than carriers retry a webhook.
        """
        now_s = self._wall_s()
        first_s = await self._record(once)
        if first_s is None:
            return now_s
        if now_s - first_s > TOLERANCE_S:
            raise CarrierError("replayed")
        return first_s

    async def _record(self, once: SingleUse) -> float | None:
        """Record a value; return when it was first seen if it is recorded already, else None."""
        now_s = self._wall_s()
        here, key = self._local(once), _digest(once)
        _evict(here, now_s)
        if key in here:
            return here[key][0]
        until_s = now_s + self._retention_s if once.until_s is None else once.until_s
        until_s = max(now_s, until_s) + _SLACK_S
        here[key] = (now_s, until_s)
        try:
            before_s = await self._memory.claim(key, now_s, until_s - now_s)
        except PublishError as error:
            _log.warning("replays-checked-here-only", reason=error.reason)
            return None
        if before_s is not None:
            here[key] = (before_s, until_s)
        return before_s

    async def _find(self, key: str) -> float | None:
        try:
            return await self._memory.find(key)
        except PublishError as error:
            _log.warning("replays-checked-here-only", reason=error.reason)
            return None

    def _local(self, once: SingleUse) -> dict[str, tuple[float, float]]:
        return self._retained if once.until_s is None else self._expiring


def _evict(record: dict[str, tuple[float, float]], now_s: float) -> None:
    while record:
        oldest = next(iter(record))
        if record[oldest][1] > now_s and len(record) < _MAX_ENTRIES:
            return
        del record[oldest]


def _digest(once: SingleUse) -> str:
    return hashlib.sha256(once.value.encode(errors="surrogateescape")).hexdigest()[:32]
