"""The ends of some streams: reads what is written from now on, whatever happens to Redis."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from gateway.errors import PublishError
from gateway.redis_client.client import RedisClient
from workers.client import reading
from workers.client.reading import Found
from workers.relay.metrics import Metrics

_log = logging.getLogger("workers.relay")

_RETRY_S: Final = 0.5
_CLOCK_MARGIN_S: Final = 60  # by which clocks may differ


class Tail:
    """Reads some streams from their ends on.

    Args:
        client: from `create_client`.
        keys: the streams.
        metrics: receives the failures.
        name: begins the log lines `<name>-unavailable` and `<name>-back`.
    """

    def __init__(
        self, client: RedisClient, keys: Iterable[str], metrics: Metrics, name: str
    ) -> None:
        self._client = client
        self._keys = list(keys)
        self._metrics = metrics
        self._name = name
        self._positions: dict[str, str] = {}
        self._is_available = True
        self.ready = asyncio.Event()  # set once everything that is written from now on is read

    async def start(self) -> None:
        """Find the ends, for as long as it takes."""
        await self.until_done(self._find_ends)
        self.ready.set()

    async def read(self, *, wait_s: float) -> Found:
        """Return what is new, of a cluster's available nodes if others are not.

        Raises:
            PublishError: a single server is unavailable, or refuses the command.
        """
        found = await reading.read_available(self._client, self._positions, wait_s=wait_s)
        self._positions |= {key: entries[-1].id for key, entries in found.entries.items()}
        return found

    async def until_done(self, operation: Callable[[], Awaitable[None]]) -> None:
        """Run an operation again until it does not raise `PublishError`."""
        while True:
            try:
                await operation()
            except PublishError as error:
                self._metrics.count_error(error.reason)
                self._note_availability(is_available=False)
            else:
                return self._note_availability(is_available=True)
            await asyncio.sleep(_RETRY_S)

    def _note_availability(self, *, is_available: bool) -> None:
        if is_available != self._is_available:
            _log.warning("%s-%s", self._name, "back" if is_available else "unavailable")
        self._is_available = is_available

    async def _find_ends(self) -> None:
        """Find where to begin; on a cluster's unavailable nodes, at entries of the last minute."""
        now = str(round((time.time() - _CLOCK_MARGIN_S) * 1000))
        ends = await reading.last_ids(self._client, self._keys)
        self._positions = {key: ends.get(key, now) for key in self._keys}
