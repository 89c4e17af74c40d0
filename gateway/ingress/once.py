"""What must not be shown to us twice: nonces and tokens, remembered until they are too old anyway.

Gateways remember together, in Redis. While it does not answer each remembers for itself: calls
never fail because Redis did.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.carriers.carrier import Once
from gateway.errors import CarrierError, PublishError

_SLACK_S: Final = 60.0  # another gateway's clock may be behind ours
_MOST: Final = 100_000  # remembered here at once; then the oldest are forgotten

_log = structlog.get_logger()

type Claim = Callable[[str, float], Awaitable[bool]]  # key, seconds -> nobody had claimed it


class Shown:
    """What has been shown.

    Args:
        claim: claims a key for all gateways; raises PublishError.
        wall_s: Unix seconds.
    """

    def __init__(self, claim: Claim, wall_s: Callable[[], float] = time.time) -> None:
        self._claim = claim
        self._wall_s = wall_s
        self._here: dict[str, float] = {}  # key -> until when, in Unix seconds; oldest first

    async def refuse_again(self, once: Once | None) -> None:
        """Take something that is shown; None is nothing.

        Raises:
            CarrierError: replayed: it was shown before.
        """
        if once is None:
            return
        now_s = self._wall_s()
        key = hashlib.sha256(once.value.encode(errors="surrogateescape")).hexdigest()[:32]
        self._forget(now_s)
        if key in self._here:
            raise CarrierError("replayed")
        until_s = max(now_s, once.until_s) + _SLACK_S
        self._here[key] = until_s
        try:
            is_first = await self._claim(key, until_s - now_s)
        except PublishError as error:
            _log.warning("replays-checked-here-only", reason=error.reason)
            return
        if not is_first:
            raise CarrierError("replayed")

    def _forget(self, now_s: float) -> None:
        while self._here:
            oldest = next(iter(self._here))
            if self._here[oldest] > now_s and len(self._here) < _MOST:
                return
            del self._here[oldest]
