"""What a gateway holds (memory, tasks, files, places), how it grows, and if it is given back.

Names are those of its /metrics.
"""

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
_WARM_UP: Final = 0.2  # of the samples: the first fifth says how caches fill, not what leaks
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What it holds at one moment."""

    rss_bytes: int
    tasks: int
    fds: int
    places: int  # for sessions
    sessions: int
    live_calls: int
    ended_calls: int  # ever
    reconnects: int  # ever
    rollovers: int  # ever

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a call is left in it."""
        return not (self.places or self.sessions or self.live_calls)


class Watch:
    """Reads a gateway again and again.

    Args:
        http: the client to use.
        admin_url: the gateway's private port.
        every_s: how often.
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
        """Its memory when it was last looked at."""
        return self._samples[-1][1] / _MB if self._samples else 0.0

    @property
    def rss_mb_per_min(self) -> float:
        """How its memory grew while it was watched."""
        return mb_per_min(self._samples)

    async def run(self) -> None:
        """Watch its memory, until cancelled."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # a sample less
                reading = await self.read()
                self._samples.append((time.monotonic(), reading.rss_bytes))
            await asyncio.sleep(self._every_s)

    async def read(self) -> Reading:
        """Look once."""
        async with self._http.get(self._url, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            return parse(await response.text())

    async def until_idle(self, before: Reading, timeout_s: float) -> Reading:
        """Wait, so long at most, until it holds no more than before the calls; gives its state."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            now = await self.read()
            is_back = now.is_idle and now.tasks <= before.tasks and now.fds <= before.fds
            if is_back or time.monotonic() > deadline_s:
                return now
            await asyncio.sleep(self._every_s)


def parse(exposition: str) -> Reading:
    """Find a reading in Prometheus' text format; what is not there is 0."""
    values: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            values[sample.name] += sample.value
    return Reading(
        rss_bytes=int(values["process_resident_memory_bytes"]),
        tasks=int(values["callscribe_tasks"]),
        fds=int(values["process_open_fds"]),
        places=int(values["callscribe_places_held"]),
        sessions=int(values["callscribe_sessions_live"]),
        live_calls=int(values["callscribe_live_streams"]),
        ended_calls=int(values["callscribe_streams_total"]),
        reconnects=int(values["callscribe_reconnects_total"]),
        rollovers=int(values["callscribe_rollovers_total"]),
    )


def mb_per_min(samples: Sequence[tuple[float, int]]) -> float:
    """The slope of (seconds, bytes) by least squares, once warm; 0 of less than two samples."""
    warm = samples[int(len(samples) * _WARM_UP) :]
    if len(warm) < 2:
        return 0.0
    seconds, sizes = np.array(warm, np.float64).T
    slope = np.polyfit(seconds - seconds[0], sizes, 1)[0]
    return float(slope * 60 / _MB)
