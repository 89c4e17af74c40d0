"""What was shown to us before: nonces, tokens and signatures, remembered until they are too old.

    refuse_again     a nonce, or a token that is good once: the second time it is refused
    refuse_used_up   a token that is good until its stream has ended, which `use_up` notes
    first_shown      a webhook: carriers repeat one that was not answered in time, so it may come
                     again for a while, and is told from a new one

Gateways remember together, in Redis, each thing as a digest. While Redis does not answer each
gateway remembers for itself: calls never fail because Redis did.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from gateway.carriers.auth.signatures.checks import TOLERANCE_S
from gateway.carriers.carrier import SingleUse
from gateway.errors import CarrierError, PublishError

_SLACK_S: Final = 60.0  # another gateway's clock may be behind ours
_MOST: Final = 100_000  # of each kind, remembered here at once; then the oldest are forgotten

_log = structlog.get_logger()


class Memory(Protocol):
    """What all gateways remember together: moments by keys. Both raise PublishError."""

    async def claim(self, key: str, now_s: float, seconds: float) -> float | None:
        """Note the moment of a key that has none, for so long; return the one that it has had."""

    async def find(self, key: str) -> float | None:
        """Return the moment of a key, if it has one."""


class ReplayGuard:
    """What has been shown.

    Args:
        memory: all gateways'.
        wall_s: Unix seconds.
        remember_s: for so long, what does not say itself how old it is.
    """

    def __init__(
        self,
        memory: Memory,
        wall_s: Callable[[], float] = time.time,
        remember_s: float = 86_400,
    ) -> None:
        self._memory = memory
        self._wall_s = wall_s
        self._remember_s = remember_s
        # Key -> (moment, until when), Unix seconds, the oldest first: for a while, and for long.
        self._briefly: dict[str, tuple[float, float]] = {}
        self._long: dict[str, tuple[float, float]] = {}

    async def refuse_again(self, once: SingleUse | None) -> None:
        """Claim something that is good once; None is nothing.

        Raises:
            CarrierError: replayed: it was shown before.
        """
        if once is not None and await self._note(once) is not None:
            raise CarrierError("replayed")

    async def refuse_used_up(self, once: SingleUse) -> None:
        """Claim something that is good until `use_up`.

        Raises:
            CarrierError: replayed: it is used up.
        """
        key = _digest(once)
        if key in self._kept(once) or await self._find(key) is not None:
            raise CarrierError("replayed")

    async def use_up(self, once: SingleUse) -> None:
        """Note that something is good for nothing more."""
        await self._note(once)

    async def first_shown(self, once: SingleUse) -> float:
        """Return when something was shown first, in Unix seconds; now, if it never was.

        Raises:
            CarrierError: replayed: that is longer ago than carriers repeat what they send.
        """
        now_s = self._wall_s()
        first_s = await self._note(once)
        if first_s is None:
            return now_s
        if now_s - first_s > TOLERANCE_S:
            raise CarrierError("replayed")
        return first_s

    async def _note(self, once: SingleUse) -> float | None:
        """Note a first time; return the moment of the one before, if there was one."""
        now_s = self._wall_s()
        here, key = self._kept(once), _digest(once)
        _forget(here, now_s)
        if key in here:
            return here[key][0]
        until_s = now_s + self._remember_s if once.until_s is None else once.until_s
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

    def _kept(self, once: SingleUse) -> dict[str, tuple[float, float]]:
        return self._long if once.until_s is None else self._briefly


def _forget(kept: dict[str, tuple[float, float]], now_s: float) -> None:
    while kept:
        oldest = next(iter(kept))
        if kept[oldest][1] > now_s and len(kept) < _MOST:
            return
        del kept[oldest]


def _digest(once: SingleUse) -> str:
    return hashlib.sha256(once.value.encode(errors="surrogateescape")).hexdigest()[:32]
