"""Measures a gateway's memory, tasks, files and slots through its /metrics, to detect leaks."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_WARM_UP: Final = 0.2  # share of the samples to skip: while caches fill, memory grows anyway
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """The resources of the gateway at one moment."""

    rss_bytes: int
    tasks: int
    fds: int
    slots: int  # for sessions
    sessions: int
    live_calls: int
    ended_calls: int  # since the start
    reconnects: int  # since the start
    rollovers: int  # since the start

    @property
    def is_idle(self) -> bool:
        """Whether the gateway holds no resources of calls."""
        return not (self.slots or self.sessions or self.live_calls)


class Watch:
    """Reads a gateway's metrics periodically.

    Args:
        http: the client to use.
        admin_url: URL of the gateway's private port.
        every_s: seconds between two readings.
    """

    def __init__(
        self, http: aiohttp.ClientSession, admin_url: str, *, every_s: float = 2.0
    ) -> None:
        self._http = http
        self._url = f"{admin_url}/metrics"
        self._every_s = every_s
        self._samples: list[tuple[float, int]] = []  # monotonic seconds, bytes

    @property
    def rss_mb(self) -> float:
        """Megabytes of memory at the last reading; 0 before the first."""
        return self._samples[-1][1] / _MB if self._samples else 0.0

    @property
    def rss_mb_per_min(self) -> float:
        """Growth of memory, in megabytes per minute."""
        return mb_per_min(self._samples)

    async def run(self) -> None:
        """Record the memory periodically until cancelled."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # skip this sample
                reading = await self.read()
                self._samples.append((time.monotonic(), reading.rss_bytes))
            await asyncio.sleep(self._every_s)

    async def read(self) -> Reading:
        """Return one reading."""
        async with self._http.get(self._url, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            return parse(await response.text())

    async def until_idle(self, before: Reading, timeout_s: float) -> Reading:
        """Wait until the gateway holds no more than before the calls; return the last reading.

        Args:
            before: the reading before the calls.
            timeout_s: seconds to wait at most.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            now = await self.read()
            is_back = now.is_idle and now.tasks <= before.tasks and now.fds <= before.fds
            if is_back or time.monotonic() > deadline_s:
                return now
            await asyncio.sleep(self._every_s)


def parse(exposition: str) -> Reading:
    """Parse a reading from Prometheus' text format; missing metrics are 0."""
    values: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            values[sample.name] += sample.value
    return Reading(
        rss_bytes=int(values["process_resident_memory_bytes"]),
        tasks=int(values["callscribe_tasks"]),
        fds=int(values["process_open_fds"]),
        slots=int(values["callscribe_places_held"]),
        sessions=int(values["callscribe_sessions_live"]),
        live_calls=int(values["callscribe_live_streams"]),
        ended_calls=int(values["callscribe_streams_total"]),
        reconnects=int(values["callscribe_reconnects_total"]),
        rollovers=int(values["callscribe_rollovers_total"]),
    )


def mb_per_min(samples: Sequence[tuple[float, int]]) -> float:
    """Return the least-squares slope of (seconds, bytes) after the warm-up; 0 if undefined."""
    warm = samples[int(len(samples) * _WARM_UP) :]
    if len(warm) < 2:
        return 0.0
    seconds, sizes = np.array(warm, np.float64).T
    slope = np.polyfit(seconds - seconds[0], sizes, 1)[0]
    return float(slope * 60 / _MB)
