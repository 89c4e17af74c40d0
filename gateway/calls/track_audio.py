"""The audio of one track on its way in: frames to chunks and gaps.

frame -> arrivals (only if frames have no times) -> pipeline -> chunks, gaps
"""

from collections.abc import Sequence
from typing import Final

import structlog

from gateway.audio.encodings import TrackFormat
from gateway.audio.pipeline import AudioChunk, AudioGap, TrackPipeline
from gateway.calls.arrivals import Arrivals
from gateway.calls.services import CallServices
from gateway.carriers.events import AudioFrame, AudioLost
from gateway.transcript.events import GapCause

STALL_S: Final = 3.0  # without audio for this long, the carrier holds the call or omits silence
_AFTER_STALL_S: Final = 2.0  # audio that timestamps skip this soon after a stall was never sent

_log = structlog.get_logger()

type Piece = AudioChunk | AudioGap


class TrackAudio:
    """Receives one track's frames.

    Args:
        form: the track's name and encoding.
        role: who speaks on it, for metrics.
        carrier: for metrics and the log.
        services: what all calls share.
        untimed_peers: the arrivals of the stream's other tracks, if frames have no timestamps; this
            track adds its own. None: frames have timestamps.

    Attributes:
        pipeline: places, decodes and resamples frames.
        first_s: when the first frame arrived, on the monotonic clock; None before it.
        arrived_s: when the newest frame with audio arrived, likewise.
    """

    def __init__(
        self,
        form: TrackFormat,
        role: str,
        carrier: str,
        services: CallServices,
        untimed_peers: list[Arrivals] | None,
    ) -> None:
        metrics = services.metrics
        self.pipeline = TrackPipeline(form, services.limits.chunk_ms)
        self.first_s: float | None = None
        self.arrived_s: float | None = None
        self._form = form
        self._carrier = carrier
        self._arrivals = (
            None if untimed_peers is None else Arrivals(form.bytes_per_ms, untimed_peers)
        )
        self._stall_ended_s: float | None = None
        self._frames_total = metrics.frames_total.labels(carrier)
        self._audio_seconds_total = metrics.audio_seconds_total.labels(carrier, role)
        self._codec_mismatches_total = metrics.codec_mismatches_total
        self._frames_counted = 0
        self._uncounted_ms = 0  # audio in chunks, not in the metrics yet
        self._mismatch_reported = False

    def receive(self, frame: AudioFrame, now_s: float) -> Sequence[Piece]:
        """Process a frame; return the chunks and gaps that it completed, usually none."""
        if self.first_s is None:
            self.first_s = now_s
        if self._arrivals is None:
            return self._process(frame, now_s)
        if frame.payload and not isinstance(frame, AudioLost):
            self.note_arrival(now_s)
        return self._process_all(self._arrivals.receive(frame, now_s * 1000), now_s)

    def pop_due(self, now_s: float) -> Sequence[Piece]:
        """Process frames that were held back until their times could be judged."""
        if self._arrivals is None:
            return ()
        return self._process_all(self._arrivals.pop_due(now_s * 1000), now_s)

    def flush(self, now_s: float) -> Sequence[Piece]:
        """Process everything that is held back: the track has ended."""
        held = self._arrivals.flush() if self._arrivals else ()
        return [*self._process_all(held, now_s), *self._count(self.pipeline.flush())]

    def note_arrival(self, now_s: float) -> None:
        """Record that audio arrived, even if the carrier's adapter still holds it back."""
        if self.arrived_s is not None and now_s - self.arrived_s >= STALL_S:
            self._stall_ended_s = now_s
        self.arrived_s = now_s

    def is_stalled(self, now_s: float, started_s: float) -> bool:
        """Return whether no audio has arrived for `STALL_S`; before any, since `started_s`."""
        since_s = started_s if self.arrived_s is None else self.arrived_s
        return now_s - since_s >= STALL_S

    def cause_of(self, gap: AudioGap, now_s: float, *, is_paused: bool) -> GapCause:
        """Distinguish audio that was lost in transit from audio that was never sent.

        Args:
            gap: the missing audio.
            now_s: on the monotonic clock.
            is_paused: the gap begins where the carrier paused the stream.
        """
        if gap.is_lost:
            return GapCause.CARRIER_LOSS
        if is_paused:
            return GapCause.PAUSED
        ended_s = self._stall_ended_s
        was_stalled = ended_s is not None and now_s - ended_s < _AFTER_STALL_S
        return GapCause.NOT_SENT if was_stalled or self._arrivals else GapCause.CARRIER_LOSS

    def report(self) -> None:
        """Add what arrived since the last call to the metrics."""
        self._frames_total.inc(self.pipeline.frames - self._frames_counted)
        self._frames_counted = self.pipeline.frames
        self._audio_seconds_total.inc(self._uncounted_ms / 1000)
        self._uncounted_ms = 0

    def report_mismatch(self) -> None:
        """Log and count, once, that the payload is not in the encoding it is decoded in."""
        found = self.pipeline.suspected_encoding
        if found is None or self._mismatch_reported:
            return
        self._mismatch_reported = True
        self._codec_mismatches_total.labels(self._carrier, self._form.encoding, found).inc()
        _log.warning(
            "codec-mismatch",
            carrier=self._carrier,
            track=self._form.track,
            announced=self._form.encoding,
            found=found,
            set=f'GATEWAY_{self._carrier.upper()}_ENCODING={found}, or encoding = "{found}" of '
            "its route",
        )

    def _process_all(self, frames: Sequence[AudioFrame], now_s: float) -> list[Piece]:
        return [piece for frame in frames for piece in self._process(frame, now_s)]

    def _process(self, frame: AudioFrame, now_s: float) -> list[Piece]:
        pipeline = self.pipeline
        if isinstance(frame, AudioLost):
            size = len(frame.payload)
            return self._count(pipeline.lose(size, frame.timestamp_ms, frame.sequence))
        received_bytes = pipeline.received_bytes  # unchanged by duplicates and empty frames
        pieces = pipeline.receive(frame.payload, frame.timestamp_ms, frame.sequence)
        if pipeline.received_bytes > received_bytes and self._arrivals is None:
            self.note_arrival(now_s)
        return self._count(pieces) if pieces else pieces

    def _count(self, pieces: list[Piece]) -> list[Piece]:
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                self._uncounted_ms += piece.end_ms - piece.start_ms
        return pieces
