"""Metrics of the bridge, and the log line of each session. Neither contains what was said."""

import time
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from container.bridge.coalescing import TYPE_BYTES
from container.bridge.ends import End, Ended
from container.bridge.health import Ping

_DELTA: Final = b'"transcription.delta'  # or deltas: coalescing.py
_WAITS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10)
_AGES_S: Final = (1, 10, 60, 240, 600, 1500, 1800)  # 4 and 25 min: when sessions are replaced

_log = structlog.get_logger()


class Metrics:
    """The metrics of one bridge.

    Args:
        registry: where they are registered.
        max_sessions: the limit of live sessions, which is exported, too.
    """

    def __init__(self, registry: CollectorRegistry, max_sessions: int) -> None:
        def counter(name: str, text: str, label: str) -> Counter:
            return Counter(name, text, [label], namespace="callscribe_bridge", registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                name, text, namespace="callscribe_bridge", buckets=buckets, registry=registry
            )

        self.live = Gauge("callscribe_bridge_sessions", "Live sessions.", registry=registry)
        limit = "Live sessions above which further ones are refused."
        Gauge("callscribe_bridge_sessions_limit", limit, registry=registry).set(max_sessions)
        ended = counter("sessions_ended", "Sessions, also refused ones, by how they ended.", "end")
        self.ended = {end: ended.labels(end) for end in End}
        frames = counter("frames", "Frames forwarded, by receiver.", "receiver")
        self.frames_to_engine = frames.labels("engine")
        self.frames_to_platform = frames.labels("platform")
        pings = counter("pings", "Requests of /ping, by result.", "result")
        self.pings = {ping: pings.labels(ping) for ping in Ping}
        self.engine_open_seconds = histogram(
            "engine_open_seconds", "Time to open a session at the engine.", _WAITS_S
        )
        self.first_delta_seconds = histogram(
            "first_delta_seconds", "Time from a session's start to its first delta.", _WAITS_S
        )
        self.session_seconds = histogram(
            "session_seconds", "Duration of sessions that were not refused.", _AGES_S
        )


class SessionRecord:
    """Records what one session does, from the moment it is accepted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began_s = time.monotonic()
        self._engine_open_s: float | None = None
        self._first_delta_s: float | None = None
        self._requests = 0
        self._replies = 0

    def engine_opened(self) -> None:
        """Record that the engine has accepted the session."""
        self._engine_open_s = self._age_s()
        self._metrics.engine_open_seconds.observe(self._engine_open_s)

    def requested(self) -> None:
        """Record a frame that was sent to the engine."""
        self._requests += 1
        self._metrics.frames_to_engine.inc()

    def replied(self, message: bytes) -> None:
        """Record a frame that was sent to the platform."""
        self._replies += 1
        self._metrics.frames_to_platform.inc()
        if self._first_delta_s is None and message.find(_DELTA, 0, TYPE_BYTES) >= 0:
            self._first_delta_s = self._age_s()
            self._metrics.first_delta_seconds.observe(self._first_delta_s)

    def refused(self, ended: Ended) -> None:
        """Record that the session was refused."""
        self._metrics.ended[ended.end].inc()
        _log.warning("session-refused", end=ended.end, code=ended.code)

    def ended(self, ended: Ended) -> None:
        """Record the end; write the session's log line."""
        self._metrics.ended[ended.end].inc()
        self._metrics.session_seconds.observe(self._age_s())
        _log.info(
            "session-ended",
            end=ended.end,
            code=ended.code,
            duration_ms=_ms(self._age_s()),
            engine_open_ms=_ms(self._engine_open_s),
            first_delta_ms=_ms(self._first_delta_s),
            frames_to_engine=self._requests,
            frames_to_platform=self._replies,
        )

    def _age_s(self) -> float:
        return time.monotonic() - self._began_s


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
