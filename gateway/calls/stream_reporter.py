"""Publishes a stream's events that are not words, and writes its log line."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog

from gateway.calls.services import CallServices
from gateway.calls.termination import Termination
from gateway.calls.track import Track
from gateway.carriers.events import CallStarted
from gateway.hints import hint
from gateway.histogram import Histogram
from gateway.metrics import LATENCY_OF_WORDS_S
from gateway.tracing import Span
from gateway.transcript.events import (
    EventWriter,
    Status,
    StreamDtmf,
    StreamEnded,
    StreamPaused,
    StreamResumed,
    StreamStarted,
    TrackInfo,
    TranscriptEvent,
)
from gateway.transcript.keys import encode_id

_MAX_DTMF: Final = 1000  # published per stream
_MAX_PAUSES: Final = 1000  # begun or ended, likewise; even, so that the last published one ends

_log = structlog.get_logger()


class StreamReporter:
    """Reports on one stream, from `stream.started` to `stream.ended`.

    Args:
        carrier: the carrier's name, for events and metrics.
        services: what all calls share.
        trace: the span of the stream.

    Attributes:
        call_id: the carrier's id, encoded as in events; empty before `open`.
        stream_id: likewise.
        tenant: who owns the call; empty before `open`.
        epoch: the proposed epoch, Unix ms; Redis decides the epoch of the events.
    """

    def __init__(self, carrier: str, services: CallServices, trace: Span) -> None:
        self.call_id = self.stream_id = self.tenant = ""
        self.epoch = 0
        self._carrier = carrier
        self._services = services
        self._trace = trace
        self._writer: EventWriter | None = None
        self._dtmf_count = 0
        self._pause_count = 0

    @property
    def is_open(self) -> bool:
        """Whether the carrier has announced the stream."""
        return self._writer is not None

    @property
    def _call(self) -> str:
        """Key that distinguishes the call from others of its carrier."""
        return f"{self.tenant} {self.call_id}"

    def open(self, start: CallStarted, tenant: str, on_fenced: Callable[[], None]) -> EventWriter:
        """Open the transcript of an announced stream, and return its writer.

        Args:
            start: the announcement.
            tenant: who owns the call.
            on_fenced: called when another gateway has taken the stream over.
        """
        self.tenant = tenant
        self.call_id, self.stream_id = encode_id(start.call_id), encode_id(start.stream_id)
        self.epoch = self._services.new_epoch()
        structlog.contextvars.bind_contextvars(call_id=self.call_id, stream_id=self.stream_id)
        self._trace.set(call_id=self.call_id, stream_id=self.stream_id, tenant=tenant)
        self._writer = self._services.open_writer(
            start.call_id,
            start.stream_id,
            self.epoch,
            on_fenced,
            tenant=tenant,
            carrier=self._carrier,
        )
        self._services.metrics.note_stream_start(self._carrier, self._call)
        return self._writer

    def publish(self, event: TranscriptEvent) -> None:
        """Publish an event; ignore it before `open`."""
        if self._writer:
            self._writer.publish(event)

    def report_start(
        self,
        start: CallStarted,
        tracks: Sequence[Track],
        route: str | None,
        publish_params: Collection[str] | None,
    ) -> None:
        """Publish `stream.started`.

        Args:
            start: its announcement.
            tracks: its tracks.
            route: the name of its route, if one matches.
            publish_params: names of the custom parameters to publish; None: as set for all calls.
        """
        if publish_params is None:
            publish_params = self._services.limits.publish_params
        params = start.public_params if publish_params is None else start.params_of(publish_params)
        infos = (
            TrackInfo(track.form.track, track.role, track.form.encoding, track.form.rate_hz)
            for track in tracks
        )
        self.publish(StreamStarted(self._carrier, tuple(infos), params, route))

    def report_key(self, track: str | None) -> None:
        """Publish that a DTMF key was pressed, up to a limit per stream."""
        self._dtmf_count += 1
        if self._writer and self._dtmf_count <= _MAX_DTMF:
            self._writer.publish(StreamDtmf(track))
        else:
            metric = self._services.metrics.ignored_messages_total
            metric.labels(self._carrier, "dtmf").inc()

    def report_pause(self, event: StreamPaused | StreamResumed) -> None:
        """Publish that a pause began or ended, up to a limit per stream."""
        self._pause_count += 1
        if self._pause_count <= _MAX_PAUSES:
            self.publish(event)

    def report_end(
        self, termination: Termination, tracks: Sequence[Track], duration_ms: int, route: str | None
    ) -> None:
        """Publish `stream.ended`, write the stream's log line and complete its trace."""
        segments = sum(track.segments for track in tracks)
        gap_ms = sum(track.gap_ms for track in tracks)
        if self.is_open:
            suspected = {
                track.form.track: track.audio.pipeline.suspected_encoding
                for track in tracks
                if track.audio.pipeline.suspected_encoding
            }
            self.publish(
                StreamEnded(
                    termination.status, termination.reason, duration_ms, segments, gap_ms, suspected
                )
            )
            ids = self._carrier, self._call
            self._services.metrics.note_stream_end(*ids, termination.status, termination.reason)
        first_deltas = [track.first_delta_s for track in tracks if track.first_delta_s is not None]
        latency = Histogram.merged((track.latency for track in tracks), LATENCY_OF_WORDS_S)
        endpoints = set().union(*(track.sessions.endpoints for track in tracks))
        has_failed = termination.status in (Status.FAILED, Status.REFUSED)
        self._trace.set(status=termination.status, reason=termination.reason, route=route)
        if has_failed:
            self._trace.fail(termination.reason)
        write = _log.warning if has_failed else _log.info
        write(
            "stream-ended" if self.is_open else "stream-never-started",
            carrier=self._carrier,
            tenant=self.tenant or None,
            route=route,
            endpoint=",".join(sorted(endpoints)) or None,
            status=termination.status,
            reason=termination.reason,
            fault=termination.fault,
            detail=termination.detail,
            hint=hint(termination.reason) if has_failed else None,
            duration_ms=duration_ms,
            frames=sum(track.audio.pipeline.frames for track in tracks),
            duplicates=sum(track.audio.pipeline.duplicates for track in tracks),
            segments=segments,
            words=sum(track.words for track in tracks),
            reconnects=sum(track.sessions.reconnects for track in tracks),
            rollovers=sum(track.sessions.rollovers for track in tracks),
            gap_ms=gap_ms,
            dropped_ms=sum(track.dropped_ms for track in tracks),
            first_delta_ms=_ms(min(first_deltas, default=None)),
            latency_p50_ms=_ms(latency.quantile(0.5)),
            latency_p99_ms=_ms(latency.quantile(0.99)),
        )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)
