"""One media stream of a call: from the carrier's first message to `stream.ended`.

state            may                                    leaves it
AWAITING_START   messages that are no media             CallStarted -> LIVE
LIVE             audio, keys                            stop, close, failure, limit, drain -> ENDING
ENDING           the model's last words                 all tracks finished -> ENDED
ENDED            nothing: `stream.ended` was published

A stream is one TaskGroup: a task per track, beside the one that reads the carrier's socket. The
first reason to end wins; whatever it is, the tracks finish in order and no word that was received
is dropped. Nothing is published for a stream that never started.
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
from gateway.calls.termination import IDLE, NONSENSE, SILENT, STOPPED, TOO_LONG, Termination
from gateway.calls.track import STALL_S, Track
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
from gateway.transcript import events
from gateway.transcript.events import Status, TranscriptEvent, TranscriptFinal

_TICK_S: Final = 1.0  # how often a stream is looked after

_log = structlog.get_logger()


class StreamState(Enum):
    """Where a stream is in its life."""

    AWAITING_START = auto()
    LIVE = auto()
    ENDING = auto()
    ENDED = auto()


class CallStream:
    """One media stream.

    Args:
        carrier: the carrier's name, for events and metrics.
        adapter: reads its messages.
        services: what all calls share.
        reservation: its admission.
        authorize: checks what only the start message can show; raises CarrierError.
        on_termination: called once with why the stream ends; wakes the reader of the socket.
        reply: sends a text message to the carrier; never waits.
        is_probed: the socket is closed once its peer answers no pings, so that a stream without
            media may live; else the idle limit ends it.
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
        self._over = asyncio.Event()  # `ending` is set
        self._record = StreamReporter(carrier, services)
        self._started_s = 0.0
        self._media_s = 0.0  # when the last frame came, or a pause ended
        self._silent_from_s = 0.0  # no track was loud since then, holds left out
        self._is_paused = False
        self._is_stopped = False  # by the carrier
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
                except Exception:  # noqa: BLE001  # of a socket or an adapter: no track's fault
                    _log.exception("stream-reader-crashed")
                    self.end(Termination.failed(GatewayError("internal-error")))
                self.begin()
                for name in self._tracks:
                    self._release(name)
                if self.state is StreamState.LIVE:
                    self.state = StreamState.ENDING
                for track in self._tracks.values():
                    track.hang_up()
        except* Exception:  # noqa: BLE001  # a bug in one call must not end without its last event
            _log.exception("stream-crashed")
            self.termination = Termination.failed(GatewayError("internal-error"))
        finally:
            termination = self._publish_end()
        return termination

    @property
    def started(self) -> bool:
        """Whether the carrier has announced the call."""
        return self._record.is_open

    @property
    def _position_ms(self) -> int:
        """How far the stream's audio has come on the media clock."""
        return max((track.pipeline.position_ms for track in self._tracks.values()), default=0)

    @property
    def audio_ms(self) -> tuple[float, float]:
        """Audio received in ms: the total of all tracks, and the longest track's."""
        each = [track.pipeline.received_ms for track in self._tracks.values()]
        return sum(each), max(each, default=0.0)

    def snapshot(self) -> StreamSnapshot | None:
        """Return the stream's state without content; None before its start."""
        if not self.started:
            return None
        now_s = self._services.monotonic_s()
        return StreamSnapshot(
            call_id=self._record.call_id,
            tenant=self._record.tenant,
            stream_id=self._record.stream_id,
            carrier=self._carrier,
            state=self.state.name.lower().replace("_", "-"),
            epoch=self._record.epoch,
            age_s=now_s - self._started_s,
            idle_s=now_s - self._media_s,
            tracks=tuple(track.snapshot(self._started_s) for track in self._tracks.values()),
        )

    def end(self, termination: Termination) -> None:
        """End the stream; the first reason stays."""
        if self.termination is None:
            is_ours = termination.fault is Fault.OURS  # fenced, say
            self.termination = STOPPED if self._is_stopped and not is_ours else termination
            self._over.set()
            self._on_termination(self.termination)

    def fail_unreachable(self, after_s: float) -> None:
        """Stop waiting for tracks that have been without a session for so long."""
        for track in self._tracks.values():
            track.fail_unreachable(after_s)

    def _stop(self, late_s: float) -> None:
        """End the stream as the carrier said, now or once media can't come late any more."""
        self._is_stopped = True
        if late_s:
            asyncio.get_running_loop().call_later(late_s, self.end, STOPPED)
        else:
            self.end(STOPPED)

    def receive_text(self, message: bytes) -> None:
        """Process one text message; raises CarrierError as the adapter does."""
        for event in self._adapter.receive_text(message):
            self._take(event)

    def receive_binary(self, message: bytes) -> None:
        """Process one binary message; raises CarrierError as the adapter does."""
        for event in self._adapter.receive_binary(message):
            self._take(event)

    def begin(self) -> None:
        """Start with the media that are there, if the carrier need not announce the stream."""
        try:
            for event in self._adapter.begin():
                self._take(event)
        except CarrierError as error:
            self.end(Termination.failed(error))

    def _take(self, event: CarrierEvent) -> None:
        match event:
            case AudioReceived() | AudioLost():
                track = self._tracks[event.track]
                track.receive(event, self._note_media())
                if track.pipeline.is_nonsense:
                    self.end(NONSENSE)
            case AudioHeld():
                self._tracks[event.track].note_arrival(self._note_media())
            case CallStarted():
                self._start(event)
            case CallStopped():
                self._stop(event.late_ms / 1000)
            case Reply():
                self._reply(event.message)
            case StreamPaused():
                self._note_pause(is_paused=True)
            case StreamResumed():
                self._note_pause(is_paused=False, at_ms=event.at_ms)
            case DtmfReceived():
                self._record.report_key(event.track)
            case MessageIgnored():
                metric = self._services.metrics.ignored_messages_total
                metric.labels(self._carrier, event.kind).inc()

    def _note_media(self) -> float:
        """Note that media came; return when. A hold before it was no silence."""
        now_s = self._services.monotonic_s()
        stalled_s = now_s - self._media_s
        if stalled_s >= STALL_S:
            self._silent_from_s = max(self._silent_from_s, self._loud_s) + stalled_s
        self._media_s = now_s
        return now_s

    @property
    def _loud_s(self) -> float:
        """When audio that may be speech came last, on any track; else the stream's start."""
        return max(track.loud_s or self._started_s for track in self._tracks.values())

    def _note_pause(self, *, is_paused: bool, at_ms: int | None = None) -> None:
        """Note that a pause began or ended, once each; meanwhile no media is due."""
        if is_paused == self._is_paused or not self.started:
            return
        self._is_paused = is_paused
        if not is_paused:
            self._note_media()
        kind = events.StreamPaused if is_paused else events.StreamResumed
        self._record.report_pause(kind(self._position_ms if at_ms is None else at_ms))
        if is_paused:
            for track in self._tracks.values():
                track.pause()

    def _look_after_tracks(self, now_s: float) -> None:
        """Flush pending words on idle tracks; carriers may leave silence out, or hold the call."""
        for name, track in self._tracks.items():
            is_stalled = track.is_stalled(now_s, self._started_s) and not self._release(name)
            track.look_after(now_s, is_stalled=is_stalled)

    def _release(self, track: str) -> bool:
        """Process what was held back of a track, as of its arrival; False if nothing was."""
        frames = self._adapter.flush_held(track)
        arrived_s = self._tracks[track].arrived_s or self._media_s
        for frame in frames:
            self._tracks[track].receive(frame, arrived_s)
        return bool(frames)

    def publish(self, event: TranscriptEvent) -> None:
        """Publish a track's event; a final may be for the carrier, too."""
        self._record.publish(event)
        if isinstance(event, TranscriptFinal) and event.text:
            self._tell(event)

    def _tell(self, final: TranscriptFinal) -> None:
        """Send a final text to the carrier, if it wants any; end the stream if it takes none."""
        times = {"start_ms": final.start_ms, "end_ms": final.end_ms}
        replies = self._adapter.transcript(final.track, final.segment, final.text, **times)
        try:
            for reply in replies:
                self._reply(reply.message)
        except CarrierError as error:
            self.end(Termination.failed(error))

    def _start(self, event: CallStarted) -> None:
        """Make the stream known: its events, its tracks, their sessions."""
        self._authorize(event)
        services = self._services
        self._started_s = self._media_s = services.monotonic_s()
        terms = self._reservation.choose(event)
        self._record.open(
            event, terms.tenant, lambda: self.end(Termination.failed(GatewayError("fenced")))
        )
        counted: list[Arrivals] | None = None if event.is_timed else []
        roles = {**services.limits.roles, **event.roles, **terms.roles}
        self._tracks = {
            form.track: Track(
                form,
                roles.get(form.track, "unknown"),
                self._carrier,
                services,
                self._reservation,
                self,
                self._on_track_failed,
                counted=counted,
            )
            for form in event.tracks
        }
        self._record.report_start(event, [*self._tracks.values()], terms.publish_params)
        self.state = StreamState.LIVE
        self._group.create_task(self._transcribe(event))
        self._group.create_task(self._watch())

    async def _transcribe(self, start: CallStarted) -> None:
        """Get the tracks their places; then each lives its life."""
        try:
            await self._reservation.reserve_slots(start)
        except CarrierError as error:
            refused = Termination.failed(error, Status.REFUSED)
            self.end(refused)
            if (
                self.termination and self.termination.status is Status.COMPLETED
            ):  # hung up while it waited
                self.termination = refused
            for track in self._tracks.values():
                track.refuse(UpstreamError(error.reason))
        for track in self._tracks.values():
            self._group.create_task(track.run())

    async def _watch(self) -> None:
        """End the stream when it is too old, silent or idle; meanwhile look after its tracks."""
        while not self._over.is_set():
            now_s = self._services.monotonic_s()
            due_s, termination = min(self._limits_due(now_s), key=lambda due: due[0])
            if due_s <= now_s:
                self.end(termination)
                return
            self._look_after_tracks(now_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(due_s - now_s, _TICK_S)):
                    await self._over.wait()

    def _limits_due(self, now_s: float) -> Iterator[tuple[float, Termination]]:
        """Yield the limits that apply now: when each ends the stream, and how."""
        limits = self._services.limits
        yield self._started_s + limits.max_call_s, TOO_LONG
        if now_s - self._media_s < STALL_S:
            silent_from_s = max(self._silent_from_s, self._loud_s)
            yield silent_from_s + limits.silence_timeout_s, SILENT
        if not (self._is_probed or self._is_paused):
            yield self._media_s + limits.idle_timeout_s, IDLE

    def _on_track_failed(self) -> None:
        """End the stream once no track has a way to the model."""
        errors = [track.error for track in self._tracks.values()]
        if errors[0] and all(errors):
            self.end(Termination.failed(errors[0]))

    def _publish_end(self) -> Termination:
        """Publish the last event, and write the log line."""
        tracks = list(self._tracks.values())
        termination = self.termination or Termination.failed(GatewayError("internal-error"))
        error = next((track.error for track in tracks if track.error), None) or _deafness(tracks)
        if error and termination.status is Status.COMPLETED:
            termination = replace(Termination.failed(error), close_code=termination.close_code)
        self._record.report_end(termination, tracks, self._position_ms, self._reservation.route)
        self.state = StreamState.ENDED
        return termination


def _deafness(tracks: Sequence[Track]) -> CarrierError | None:
    """Find that media came and none of them could be decoded."""
    pipelines = [track.pipeline for track in tracks]
    has_lost = any(each.lost_frames for each in pipelines)
    is_deaf = has_lost and not any(each.received_bytes for each in pipelines)
    return CarrierError("undecodable-media") if is_deaf else None
