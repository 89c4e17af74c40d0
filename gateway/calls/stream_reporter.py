"""What readers are told of a stream besides its words, and its one line in the log."""

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

_MAX_DTMF: Final = 1000  # told per stream
_MAX_PAUSES: Final = 1000  # begun or ended, likewise; even, so that the last one told has an end

_log = structlog.get_logger()


class StreamReporter:
    """One stream's record, from `stream.started` to `stream.ended`; nothing is told before that.

    Args:
        carrier: the carrier's name, for events and metrics.
        services: what all calls share.

    Attributes:
        call_id: the carrier's own, encoded as in events; empty before `open`.
        stream_id: likewise.
        tenant: whose call it is.
        epoch: the proposed one, Unix ms; Redis decides the one that events have.
    """

    def __init__(self, carrier: str, services: CallServices) -> None:
        self.call_id = self.stream_id = self.tenant = ""
        self.epoch = 0
        self._carrier = carrier
        self._services = services
        self._writer: EventWriter | None = None
        self._dtmf_count = 0
        self._pause_count = 0

    @property
    def is_open(self) -> bool:
        """Whether the carrier has announced the stream."""
        return self._writer is not None

    @property
    def _call(self) -> str:
        """What tells the call from others of its carrier."""
        return f"{self.tenant} {self.call_id}"

    def open(self, start: CallStarted, tenant: str, on_fenced: Callable[[], None]) -> None:
        """Begin the record of an announced stream; `on_fenced`: another gateway has taken it."""
        self.tenant = tenant
        self.call_id, self.stream_id = encode_id(start.call_id), encode_id(start.stream_id)
        self.epoch = self._services.new_epoch()
        structlog.contextvars.bind_contextvars(call_id=self.call_id, stream_id=self.stream_id)
        self._writer = self._services.open_writer(
            start.call_id,
            start.stream_id,
            self.epoch,
            on_fenced,
            tenant=tenant,
            carrier=self._carrier,
        )
        self._services.metrics.note_stream_start(self._carrier, self._call)

    def publish(self, event: TranscriptEvent) -> None:
        """Publish an event, once the record is open."""
        if self._writer:
            self._writer.publish(event)

    def report_start(
        self, start: CallStarted, tracks: Sequence[Track], publish_params: Collection[str] | None
    ) -> None:
        """Publish that the stream has begun.

        Args:
            start: its announcement.
            tracks: its tracks.
            publish_params: names of the custom parameters to publish; None: as the settings say.
        """
        if publish_params is None:
            publish_params = self._services.limits.publish_params
        params = start.public_params if publish_params is None else start.params_of(publish_params)
        infos = (
            TrackInfo(track.form.track, track.role, track.form.encoding, track.form.rate_hz)
            for track in tracks
        )
        self.publish(StreamStarted(self._carrier, tuple(infos), params))

    def report_key(self, track: str | None) -> None:
        """Publish that a key was pressed; a flood must not crowd out other calls' words."""
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
        """Publish the last event, and write the log line."""
        segments = sum(track.segments for track in tracks)
        gap_ms = sum(track.gap_ms for track in tracks)
        if self.is_open:
            suspected = {
                track.form.track: track.pipeline.suspected_encoding
                for track in tracks
                if track.pipeline.suspected_encoding
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
        endpoints = set().union(*(track.endpoints for track in tracks))
        went_wrong = termination.status in (Status.FAILED, Status.REFUSED)
        write = _log.warning if went_wrong else _log.info
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
            hint=hint(termination.reason) if went_wrong else None,
            duration_ms=duration_ms,
            frames=sum(track.pipeline.frames for track in tracks),
            duplicates=sum(track.pipeline.duplicates for track in tracks),
            segments=segments,
            words=sum(track.words for track in tracks),
            reconnects=sum(track.reconnects for track in tracks),
            rollovers=sum(track.rollovers for track in tracks),
            gap_ms=gap_ms,
            dropped_ms=sum(track.dropped_ms for track in tracks),
            first_delta_ms=_ms(min(first_deltas, default=None)),
            latency_p50_ms=_ms(latency.quantile(0.5)),
            latency_p99_ms=_ms(latency.quantile(0.99)),
        )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)
