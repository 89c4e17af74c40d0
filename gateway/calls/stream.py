"""One media stream of a call: from the carrier's first message to `stream.ended`.

state            accepts                                next state
AWAITING_START   messages without media                 LIVE: CallStarted
LIVE             audio, DTMF, pauses                    ENDING: stop, close, failure, limit, drain
ENDING           pending words from the model           ENDED: all tracks have finished
ENDED            nothing; `stream.ended` is published

One TaskGroup runs a task per track, one that reserves slots and starts the tracks, and one that
watches the limits. The reader of the carrier's socket is a separate task (`ingress/media.py`),
which `run` awaits. The first reason to end the stream is kept. Whatever it is, all tracks finish,
and no word that was received is dropped. Nothing is published for a stream that never started.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Final

import structlog

from gateway.calls.arrivals import Arrivals
from gateway.calls.services import CallServices, Reservation
from gateway.calls.snapshot import StreamSnapshot
from gateway.calls.stream_reporter import StreamReporter
from gateway.calls.termination import (
    IDLE,
    SILENT,
    STOPPED,
    TOO_LONG,
    UNUSABLE_TIMESTAMPS,
    Termination,
)
from gateway.calls.track import Track
from gateway.calls.track_audio import STALL_S
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import (
    AudioHeld,
    AudioLost,
    AudioReceived,
    CallStarted,
    CallStopped,
    CarrierEvent,
    DtmfReceived,
    MessageIgnored,
    Reply,
    StreamPaused,
    StreamResumed,
)
from gateway.errors import CarrierError, Fault, GatewayError, UpstreamError
from gateway.tracing import OFF, Span
from gateway.transcript import events
from gateway.transcript.events import Status, TranscriptFinal

_TICK_S: Final = 1.0  # how often limits are checked and tracks are tended

_log = structlog.get_logger()


class StreamState(Enum):
    """State of a stream; see the module's docstring."""

    AWAITING_START = auto()
    LIVE = auto()
    ENDING = auto()
    ENDED = auto()


class CallStream:
    """One media stream.

    Args:
        carrier: the carrier's name, for events and metrics.
        adapter: parses its messages.
        services: what all calls share.
        reservation: the session slots of its tracks.
        authorize: checks the start message against the credentials; raises CarrierError.
        on_termination: called once with why the stream ends; wakes the reader of the socket.
        reply: sends a text message to the carrier; never waits.
        trace: the span of the stream.
        is_probed: the socket is closed when its peer stops answering pings, so the stream may be
            without media. If False, the idle limit ends such a stream.

    Attributes:
        state: see the module's docstring.
        termination: why the stream ends; None while it is live.
    """

    def __init__(
        self,
        carrier: str,
        adapter: Adapter,
        services: CallServices,
        reservation: Reservation,
        *,
        authorize: Callable[[CallStarted], None],
        on_termination: Callable[[Termination], None],
        reply: Callable[[str], None],
        trace: Span = OFF,
        is_probed: bool = True,
    ) -> None:
        self.state = StreamState.AWAITING_START
        self.termination: Termination | None = None
        self._carrier = carrier
        self._adapter = adapter
        self._services = services
        self._reservation = reservation
        self._authorize = authorize
        self._on_termination = on_termination
        self._reply = reply
        self._is_probed = is_probed
        self._group = asyncio.TaskGroup()
        self._over = asyncio.Event()  # `termination` is set
        self._trace = trace
        self._finish = OFF  # the span from the hang-up to the last final
        self._reporter = StreamReporter(carrier, services, trace)
        self._started_s = 0.0
        self._media_s = 0.0  # when the newest frame arrived, or a pause ended
        self._silent_from_s = 0.0  # start of the current silence; stalls are excluded
        self._is_paused = False
        self._is_stopped = False  # the carrier sent its stop message
        self._tracks: dict[str, Track] = {}

    async def run(self, read: Callable[[], Awaitable[None]]) -> Termination:
        """Run the stream until it has ended.

        Args:
            read: feeds the socket's messages to `receive_text` and `receive_binary` until
                `termination` is set or it raises. Whatever it raises, the tracks finish what was
                received.

        Returns:
            Why it ended; its last event has been published.
        """
        try:
            async with self._group:
                try:
                    await read()
                except CarrierError as error:
                    self.end(Termination.failed(error))
                except Exception:  # noqa: BLE001  # of a socket or an adapter: the tracks finish
                    _log.exception("stream-reader-crashed")
                    self.end(Termination.failed(GatewayError("internal-error")))
                self.begin()
                self._finish = self._trace.child("finish")
                for name in self._tracks:
                    self._flush_held(name)
                if self.state is StreamState.LIVE:
                    self.state = StreamState.ENDING
                for track in self._tracks.values():
                    track.hang_up()
        except* Exception:  # noqa: BLE001  # the stream must have its last event despite a bug
            _log.exception("stream-crashed")
            self.termination = Termination.failed(GatewayError("internal-error"))
        finally:
            termination = self._publish_end()
        return termination

    @property
    def started(self) -> bool:
        """Whether the carrier has announced the stream."""
        return self._reporter.is_open

    @property
    def _position_ms(self) -> int:
        """Media time up to which audio was received on any track."""
        return max((track.position_ms for track in self._tracks.values()), default=0)

    @property
    def audio_ms(self) -> tuple[float, float]:
        """Audio received in ms: the total of all tracks, and the longest track's."""
        each = [track.audio.pipeline.received_ms for track in self._tracks.values()]
        return sum(each), max(each, default=0.0)

    def snapshot(self) -> StreamSnapshot | None:
        """Return the stream's state without content; None before its start."""
        if not self.started:
            return None
        now_s = self._services.monotonic_s()
        return StreamSnapshot(
            call_id=self._reporter.call_id,
            tenant=self._reporter.tenant,
            stream_id=self._reporter.stream_id,
            carrier=self._carrier,
            state=self.state.name.lower().replace("_", "-"),
            epoch=self._reporter.epoch,
            age_s=now_s - self._started_s,
            idle_s=now_s - self._media_s,
            tracks=tuple(track.snapshot(self._started_s) for track in self._tracks.values()),
        )

    def end(self, termination: Termination) -> None:
        """End the stream. If it is ending already, the first reason is kept."""
        if self.termination is None:
            is_ours = termination.fault is Fault.OURS  # for example fenced
            self.termination = STOPPED if self._is_stopped and not is_ours else termination
            self._over.set()
            self._on_termination(self.termination)

    def fail_unreachable(self, after_s: float) -> None:
        """Fail the tracks that have had no live session for `after_s`."""
        for track in self._tracks.values():
            track.fail_unreachable(after_s)

    def _stop(self, late_s: float) -> None:
        """End the stream at the carrier's request, once no more media can be in flight."""
        self._is_stopped = True
        if late_s:
            asyncio.get_running_loop().call_later(late_s, self.end, STOPPED)
        else:
            self.end(STOPPED)

    def receive_text(self, message: bytes) -> None:
        """Process one text message; raises CarrierError as the adapter does."""
        for event in self._adapter.receive_text(message):
            self._handle(event)

    def receive_binary(self, message: bytes) -> None:
        """Process one binary message; raises CarrierError as the adapter does."""
        for event in self._adapter.receive_binary(message):
            self._handle(event)

    def begin(self) -> None:
        """Start with the media received so far, for carriers that may omit the announcement."""
        try:
            for event in self._adapter.begin():
                self._handle(event)
        except CarrierError as error:
            self.end(Termination.failed(error))

    def _handle(self, event: CarrierEvent) -> None:
        match event:
            case AudioReceived() | AudioLost():
                track = self._tracks[event.track]
                now_s = self._note_media()
                track.receive(event, now_s)
                if track.audio.pipeline.has_unusable_timestamps:
                    self.end(UNUSABLE_TIMESTAMPS)
            case AudioHeld():
                self._tracks[event.track].audio.note_arrival(self._note_media())
            case CallStarted():
                self._start(event)
            case CallStopped():
                self._stop(event.late_ms / 1000)
            case Reply():
                self._reply(event.message)
            case StreamPaused() | StreamResumed():
                self._note_pause(event)
            case DtmfReceived():
                self._reporter.report_key(event.track)
            case MessageIgnored():
                metric = self._services.metrics.ignored_messages_total
                metric.labels(self._carrier, event.kind).inc()

    def _note_media(self) -> float:
        """Record that media arrived; return when. A stall before it does not count as silence."""
        now_s = self._services.monotonic_s()
        stalled_s = now_s - self._media_s
        if stalled_s >= STALL_S:
            self._silent_from_s = max(self._silent_from_s, self._loud_s) + stalled_s
        self._media_s = now_s
        return now_s

    @property
    def _loud_s(self) -> float:
        """When the newest audio that may be speech arrived on any track; else the start."""
        return max(track.loud_s or self._started_s for track in self._tracks.values())

    def _note_pause(self, event: StreamPaused | StreamResumed) -> None:
        """Record and publish that a pause began or ended. The idle limit does not apply in one."""
        is_paused = isinstance(event, StreamPaused)
        if is_paused == self._is_paused or not self.started:
            return
        self._is_paused = is_paused
        at_ms = None
        if isinstance(event, StreamResumed):
            self._note_media()
            at_ms = event.at_ms
        kind = events.StreamPaused if is_paused else events.StreamResumed
        self._reporter.report_pause(kind(self._position_ms if at_ms is None else at_ms))
        if is_paused:
            for track in self._tracks.values():
                track.pause()

    def _tend_tracks(self, now_s: float) -> None:
        """Flush pending words on idle tracks: carriers may omit silence or put calls on hold."""
        for name, track in self._tracks.items():
            is_stalled = track.audio.is_stalled(now_s, self._started_s)
            if is_stalled and self._flush_held(name):
                is_stalled = False
            track.tend(now_s, is_stalled=is_stalled)

    def _flush_held(self, name: str) -> bool:
        """Process the frames that the adapter holds back; return whether there were any."""
        track, frames = self._tracks[name], self._adapter.flush_held(name)
        arrived_s = track.audio.arrived_s or self._media_s
        for frame in frames:
            track.receive(frame, arrived_s)
        return bool(frames)

    def _reply_with(self, final: TranscriptFinal) -> None:
        """Send a final transcript to a carrier that accepts them; end the stream on failure."""
        times = {"start_ms": final.start_ms, "end_ms": final.end_ms}
        replies = self._adapter.transcript(final.track, final.segment, final.text, **times)
        try:
            for reply in replies:
                self._reply(reply.message)
        except CarrierError as error:
            self.end(Termination.failed(error))

    def _start(self, event: CallStarted) -> None:
        """Open the transcript, create the tracks and start their sessions."""
        self._authorize(event)
        services = self._services
        self._started_s = self._media_s = services.monotonic_s()
        terms = self._reservation.choose(event)
        writer = self._reporter.open(
            event, terms.tenant, lambda: self.end(Termination.failed(GatewayError("fenced")))
        )
        untimed_peers: list[Arrivals] | None = None if event.is_timed else []
        roles = {**services.limits.roles, **event.roles, **terms.roles}
        self._tracks = {
            form.track: Track(
                form,
                roles.get(form.track, "unknown"),
                self._carrier,
                services,
                self._reservation,
                writer,
                self._reply_with,
                self._on_track_failed,
                trace=self._trace.of_track(form.track),
                untimed_peers=untimed_peers,
            )
            for form in event.tracks
        }
        self._reporter.report_start(
            event, [*self._tracks.values()], self._reservation.route, terms.publish_params
        )
        self.state = StreamState.LIVE
        self._group.create_task(self._transcribe(event))
        self._group.create_task(self._watch())

    async def _transcribe(self, start: CallStarted) -> None:
        """Reserve session slots, then run the tracks."""
        try:
            with self._trace.child("admission"):
                await self._reservation.reserve_slots(start)
        except CarrierError as error:
            refused = Termination.failed(error, Status.REFUSED)
            self.end(refused)
            if self.termination and self.termination.status is Status.COMPLETED:
                self.termination = refused  # the carrier hung up while the stream waited for slots
            for track in self._tracks.values():
                track.refuse(UpstreamError(error.reason))
        for track in self._tracks.values():
            self._group.create_task(track.run())

    async def _watch(self) -> None:
        """End the stream when it reaches a limit; until then tend its tracks."""
        while not self._over.is_set():
            now_s = self._services.monotonic_s()
            due_s, termination = min(self._limits_due(now_s), key=lambda due: due[0])
            if due_s <= now_s:
                self.end(termination)
                return
            self._tend_tracks(now_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(due_s - now_s, _TICK_S)):
                    await self._over.wait()

    def _limits_due(self, now_s: float) -> Iterator[tuple[float, Termination]]:
        """Yield the limits that apply now: when each ends the stream, and the termination."""
        limits = self._services.limits
        yield self._started_s + limits.max_call_s, TOO_LONG
        if now_s - self._media_s < STALL_S:
            silent_from_s = max(self._silent_from_s, self._loud_s)
            yield silent_from_s + limits.silence_timeout_s, SILENT
        if not (self._is_probed or self._is_paused):
            yield self._media_s + limits.idle_timeout_s, IDLE

    def _on_track_failed(self) -> None:
        """End the stream when all its tracks have failed."""
        errors = [track.error for track in self._tracks.values()]
        if errors[0] and all(errors):
            self.end(Termination.failed(errors[0]))

    def _publish_end(self) -> Termination:
        """Publish `stream.ended` and write the stream's log line."""
        self._finish.end()
        tracks = list(self._tracks.values())
        termination = self.termination or Termination.failed(GatewayError("internal-error"))
        error = next((track.error for track in tracks if track.error), None) or _decoding_error(
            tracks
        )
        if error and termination.status is Status.COMPLETED:
            termination = replace(Termination.failed(error), close_code=termination.close_code)
        self._reporter.report_end(termination, tracks, self._position_ms, self._reservation.route)
        self.state = StreamState.ENDED
        return termination


def _decoding_error(tracks: Sequence[Track]) -> CarrierError | None:
    """Return an error if media arrived and none could be decoded."""
    pipelines = [track.audio.pipeline for track in tracks]
    has_lost = any(each.lost_frames for each in pipelines)
    is_undecodable = has_lost and not any(each.received_bytes for each in pipelines)
    return CarrierError("undecodable-media") if is_undecodable else None
