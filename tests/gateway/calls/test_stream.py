"""A stream's life: carrier messages in, a scripted model behind, transcript events out."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.calls.services import CallLimits, CallServices
from gateway.calls.stream import CLOSED, DRAINED, CallStream, Ending, StreamState
from gateway.carriers.events import CallStarted
from gateway.carriers.twilio import TwilioAdapter
from gateway.errors import CarrierError, UpstreamError
from gateway.metrics import Metrics
from gateway.transcript.events import (
    FinalReason,
    GapCause,
    Status,
    StreamDtmf,
    StreamEnded,
    StreamStarted,
    TranscriptDelta,
    TranscriptEvent,
    TranscriptFinal,
    TranscriptGap,
)
from tests.gateway.scripted import ScriptedStream, ScriptedTicket, ScriptedTransport, settle

CHUNK = 640  # bytes of mu-law in 80 ms


class Scene:
    """A stream with a scripted model; the test plays the carrier."""

    def __init__(self, transport: ScriptedTransport, **limits: Any) -> None:
        self.transport = transport
        self.events: list[TranscriptEvent] = []
        self.fence: Callable[[], None] = lambda: None
        self.metrics = Metrics()
        self.woken = asyncio.Event()
        self.now_s = 100.0
        settings: dict[str, Any] = {
            "chunk_ms": 80,
            "open_timeout_s": 5,
            "done_timeout_s": 5,
            "finish_timeout_s": 5,
            "replay_ms": 30_000,
            "retry_budget_s": 60,
            "rollover_soft_s": 240,
            "rollover_hard_s": 1500,
            "first_delta_late_s": 3,
            "mute_timeout_s": 8,
            "max_lag_ms": 10_000,
            "rut_deltas": 200,
            "idle_timeout_s": 60,
            "silence_timeout_s": 600,
            "max_call_s": 3600,
            "segment_pause_ms": 1000,
            "segment_max_ms": 30_000,
            "roles": {"inbound": "customer", "outbound": "agent"},
        }
        self.stream = CallStream(
            "twilio",
            TwilioAdapter(),
            CallServices(
                open_writer=self.open_writer,
                metrics=self.metrics,
                limits=CallLimits(**settings | limits),
                monotonic_s=lambda: self.now_s,
                wall_s=lambda: 1_700_000_000.0,
            ),
            ScriptedTicket(transport),
            authorize=self.authorize,
            hidden_params=frozenset({"tok"}),
            wake=self.woken.set,
        )

    def authorize(self, start: CallStarted) -> None:
        if start.params.get("tok") == "forged":
            raise CarrierError("token-invalid")

    def open_writer(
        self, call_id: str, stream_id: str, epoch: int, on_fenced: Callable[[], None]
    ) -> "Scene":
        self.opened = (call_id, stream_id, epoch)
        self.fence = on_fenced
        return self

    def publish(self, event: TranscriptEvent) -> None:
        self.events.append(event)

    async def read(self) -> None:
        await self.woken.wait()

    # The carrier's part

    def feed(self, event: str, **fields: Any) -> None:
        self.stream.receive_text(json.dumps({"event": event, **fields}).encode())

    def start(self, *tracks: str, **params: str) -> None:
        body = {
            "callSid": "CA1",
            "streamSid": "MZ1",
            "tracks": list(tracks or ["inbound"]),
            "customParameters": params,
        }
        self.feed("start", start=body)

    def audio(self, chunks: int = 1, track: str = "inbound", **media: Any) -> None:
        payload = base64.b64encode(bytes(chunks * CHUNK)).decode()
        self.feed("media", media={"track": track, "payload": payload, **media})

    # The model's part

    @property
    def peer(self) -> ScriptedStream:
        return self.transport.streams[0]

    def finish_all(self) -> None:
        for stream in self.transport.streams:
            stream.answer_all()

    def of[E: TranscriptEvent](self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ended(self) -> StreamEnded:
        [event] = self.of(StreamEnded)
        assert self.events[-1] is event
        return event


@asynccontextmanager
async def living(
    transport: ScriptedTransport | None = None, **limits: Any
) -> AsyncIterator[tuple[Scene, "asyncio.Task[Ending]"]]:
    scene = Scene(transport or ScriptedTransport(), **limits)
    task = asyncio.create_task(scene.stream.run(scene.read))
    await settle()
    try:
        yield scene, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_whole_call() -> None:
    async with living() as (scene, task):
        scene.start("inbound", "outbound", tok="t", queue="sales")
        await settle()
        scene.audio(2)
        assert scene.metrics.registry.get_sample_value("callscribe_sessions_live") == 2
        scene.peer.delta(" hello")
        scene.peer.delta(" you")
        scene.feed("stop")
        await settle()
        assert [p.types for p in scene.transport.streams] == [
            ["session.update", "commit", "append", "append", "append", "commit"],
            ["session.update", "commit", "commit"],
        ]
        scene.peer.delta(" there")
        scene.finish_all()
        ending = await task
    assert ending.close_code == 1000
    assert scene.opened == ("CA1", "MZ1", 1_700_000_000_000)
    [started] = scene.of(StreamStarted)
    assert [(t.track, t.role, t.encoding, t.rate) for t in started.tracks] == [
        ("inbound", "customer", "pcmu", 8000),
        ("outbound", "agent", "pcmu", 8000),
    ]
    assert started.params == {"queue": "sales"}
    assert [d.text for d in scene.of(TranscriptDelta)] == ["hello", " you", " there"]
    [final] = scene.of(TranscriptFinal)
    assert (final.text, final.start_ms, final.end_ms) == ("hello you there", 0, 160)
    assert (final.segment, final.role, final.reason) == (1, "customer", FinalReason.HANGUP)
    assert scene.ended == StreamEnded(Status.COMPLETED, "carrier-stopped", 160, 1, 0)
    assert scene.metrics.registry.get_sample_value("callscribe_sessions_live") == 0
    assert scene.stream.state is StreamState.ENDED


async def test_what_prometheus_sees_of_a_call() -> None:
    async with living() as (scene, task):
        scene.start("inbound", "outbound")
        scene.feed("mark")
        await settle()
        scene.audio(2, timestamp="0", chunk="1")
        scene.audio(1, timestamp="400", chunk="2")
        scene.peer.delta(" hello")
        scene.transport.streams[1].close(UpstreamError("access-denied"))
        await settle()
        scene.feed("stop")
        await settle()
        scene.peer.answer_all()
        await task
    carrier = {"carrier": "twilio"}
    for name, labels, value in (
        ("frames_total", carrier, 2),
        ("audio_seconds_total", carrier, 0.48),
        ("gaps_total", {"cause": "carrier_loss"}, 1),
        ("gap_seconds_total", {"cause": "carrier_loss"}, 0.24),
        ("ignored_messages_total", carrier | {"kind": "mark"}, 1),
        ("sessions_opened_total", {}, 2),
        ("session_failures_total", {"fault": "credentials", "reason": "access-denied"}, 1),
        ("session_open_seconds_count", {}, 2),
        ("first_delta_seconds_count", {}, 1),
        ("calls_total", carrier | {"status": "failed"}, 1),
        ("live_calls", carrier, 0),
    ):
        sample = scene.metrics.registry.get_sample_value(f"callscribe_{name}", labels)
        assert sample == pytest.approx(value), name


class TestBeforeTheStart:
    async def test_a_stream_that_never_starts_publishes_nothing(self) -> None:
        async with living() as (scene, task):
            scene.feed("connected")
            scene.stream.end(CLOSED)
            await task
        assert scene.events == []
        assert scene.transport.streams == []

    async def test_a_forged_token_creates_nothing(self) -> None:
        async with living() as (scene, _):
            with pytest.raises(CarrierError, match="token-invalid"):
                scene.start("inbound", tok="forged")
            await settle()
        assert scene.events == []
        assert scene.transport.streams == []


class TestAudio:
    async def test_audio_waits_for_the_session_and_is_sent_in_order(self) -> None:
        transport = ScriptedTransport()
        transport.gate.clear()
        async with living(transport) as (scene, task):
            scene.start()
            for _ in range(3):
                scene.audio()
            scene.feed("stop")
            await settle()
            transport.gate.set()
            await settle()
            assert scene.peer.types.count("append") == 4  # the fourth: the interpolator's tail
            assert scene.peer.sent[-1]["final"] is True
            scene.finish_all()
            await task
        assert scene.ended.gap_ms == 0

    async def test_a_window_that_stays_full_drops_the_oldest_as_one_gap(self) -> None:
        async with living(replay_ms=160) as (scene, task):
            scene.start()
            await settle()
            scene.peer.room = 1
            for _ in range(5):  # one is sent, two wait, two are dropped
                scene.audio()
            assert scene.of(TranscriptGap) == []
            scene.peer.make_room(100)
            scene.audio()
            scene.feed("stop")
            await settle()
            scene.finish_all()
            await task
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 80, 240, GapCause.BACKPRESSURE)]
        assert scene.ended.gap_ms == 160
        assert scene.ended.status is Status.COMPLETED

    async def test_deltas_after_dropped_audio_keep_their_place_on_the_media_clock(self) -> None:
        async with living(replay_ms=160) as (scene, _):
            scene.start()
            await settle()
            scene.peer.room = 1
            for _ in range(5):
                scene.audio()
            scene.peer.make_room(100)
            scene.peer.delta(" one")
            scene.peer.delta(" two")
        assert [(d.start_ms, d.end_ms) for d in scene.of(TranscriptDelta)] == [(0, 80), (240, 320)]

    async def test_a_jump_of_the_timestamps_is_a_gap_and_silence(self) -> None:
        async with living() as (scene, task):
            scene.start()
            await settle()
            scene.audio(timestamp="0", chunk="1")
            scene.audio(timestamp="400", chunk="2")
            scene.feed("stop")
            await settle()
            assert scene.peer.types.count("append") == 7  # 480 ms and the interpolator's tail
            scene.finish_all()
            await task
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 80, 400, GapCause.CARRIER_LOSS)]
        assert (scene.ended.duration_ms, scene.ended.gap_ms) == (480, 320)

    async def test_a_key_is_told_without_its_digit(self) -> None:
        async with living() as (scene, _):
            scene.start()
            scene.feed("dtmf", dtmf={"track": "inbound_track", "digit": "7"})
        assert scene.of(StreamDtmf) == [StreamDtmf("inbound")]

    async def test_a_flood_of_keys_is_told_up_to_a_bound(self) -> None:
        async with living() as (scene, _):
            scene.start()
            for _ in range(1100):
                scene.feed("dtmf", dtmf={"digit": "7"})
        assert len(scene.of(StreamDtmf)) == 1000


class TestFailures:
    async def test_one_track_fails_for_good_the_other_keeps_every_word(self) -> None:
        async with living() as (scene, task):
            scene.start("inbound", "outbound")
            await settle()
            scene.audio(3, "inbound")
            scene.peer.delta(" heard")
            scene.peer.close(UpstreamError("access-denied"))
            await settle()
            scene.audio(2, "inbound")
            scene.audio(1, "outbound")
            scene.feed("stop")
            await settle()
            other = scene.transport.streams[1]
            other.delta(" fine")
            other.answer_all()
            await task
        assert {f.text for f in scene.of(TranscriptFinal)} == {"heard", "fine"}
        # 80 ms were answered before the failure; the rest of the track is declared
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 80, 400, GapCause.RECONNECT)]
        assert (scene.ended.status, scene.ended.reason) == (Status.FAILED, "access-denied")

    async def test_when_every_track_failed_the_stream_ends_by_itself(self) -> None:
        transport = ScriptedTransport()
        transport.refusal = UpstreamError("access-denied")
        async with living(transport) as (scene, task):
            scene.start("inbound", "outbound")
            scene.audio(1, "inbound")
            ending = await task
        assert ending.close_code == 1011
        assert (scene.ended.status, scene.ended.reason) == (Status.FAILED, "access-denied")
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 0, 80, GapCause.RECONNECT)]

    async def test_a_failed_track_on_a_lossy_line_declares_one_gap(self) -> None:
        async with living() as (scene, task):
            scene.start("inbound", "outbound")
            await settle()
            scene.peer.close(UpstreamError("access-denied"))
            await settle()
            for frame in range(50):
                scene.audio(1, timestamp=str(frame * 400), chunk=str(frame))
            scene.feed("stop")
            await settle()
            scene.transport.streams[1].answer_all()
            await task
        assert [(g.from_ms, g.to_ms) for g in scene.of(TranscriptGap)] == [(0, 49 * 400 + 80)]

    async def test_done_before_all_was_answered_is_declared(self) -> None:
        """Symptom: the context was full at the hang-up; the tail was lost without a word."""
        async with living() as (scene, task):
            scene.start()
            await settle()
            scene.audio(4)
            scene.feed("stop")
            await settle()
            scene.peer.delta(" one")
            scene.peer.done()
            await task
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 80, 320, GapCause.MODEL_MUTE)]
        assert (scene.ended.status, scene.ended.gap_ms) == (Status.COMPLETED, 240)

    async def test_a_bug_in_one_track_costs_the_other_no_final_and_no_gap(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with living() as (scene, task):
            scene.start("inbound", "outbound")
            await settle()
            scene.audio(2, "inbound")
            scene.peer.delta(" one")
            outbound = scene.stream._tracks["outbound"]  # noqa: SLF001 - the bug is planted there
            monkeypatch.setattr(outbound._sessions, "_look_after", lambda _: 1 / 0)  # noqa: SLF001
            scene.feed("stop")
            await task
        assert [f.text for f in scene.of(TranscriptFinal)] == ["one"]
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 80, 160, GapCause.MODEL_MUTE)]
        assert (scene.ended.reason, scene.ended.segments) == ("internal-error", 1)

    async def test_a_model_that_never_says_done(self) -> None:
        async with living(done_timeout_s=0.01, finish_timeout_s=0.3) as (scene, task):
            scene.start()
            await settle()
            scene.audio(2)
            scene.feed("stop")
            await task
        assert len(scene.transport.streams) > 1  # it was tried again
        assert (scene.ended.status, scene.ended.reason) == (Status.FAILED, "done-timeout")
        assert scene.of(TranscriptGap)[0].to_ms == 160

    async def test_a_stalled_upstream_cannot_hold_the_hang_up(self) -> None:
        async with living(finish_timeout_s=0.01) as (scene, task):
            scene.start()
            await settle()
            scene.peer.room = 0
            scene.audio(2)
            scene.feed("stop")
            await task
        assert (scene.ended.status, scene.ended.reason) == (Status.FAILED, "finish-timeout")
        assert scene.of(TranscriptGap) == [TranscriptGap("inbound", 0, 160, GapCause.RECONNECT)]

    async def test_a_carrier_that_breaks_its_protocol(self) -> None:
        scene = Scene(ScriptedTransport())

        async def read() -> None:
            scene.start()
            raise CarrierError("malformed-message")

        task = asyncio.create_task(scene.stream.run(read))
        await settle()
        scene.finish_all()
        ending = await task
        assert ending.close_code == 1007
        assert (scene.ended.status, scene.ended.reason) == (Status.FAILED, "malformed-message")

    async def test_a_bug_still_ends_the_stream(self) -> None:
        async def read() -> None:
            raise ZeroDivisionError

        scene = Scene(ScriptedTransport())
        ending = await scene.stream.run(read)
        assert (ending.status, ending.reason) == (Status.FAILED, "internal-error")


class TestEnds:
    async def test_drained_with_the_last_words(self) -> None:
        async with living() as (scene, task):
            scene.start()
            await settle()
            scene.audio(1)
            scene.stream.end(DRAINED)
            await settle()
            scene.peer.delta(" bye")
            scene.finish_all()
            ending = await task
        assert ending.close_code == 1012
        assert [f.text for f in scene.of(TranscriptFinal)] == ["bye"]
        assert scene.ended.status is Status.DRAINED

    async def test_fenced_by_another_gateway(self) -> None:
        async with living() as (scene, task):
            scene.start()
            await settle()
            scene.fence()
            await settle()
            scene.finish_all()
            ending = await task
        assert (ending.status, ending.reason) == (Status.FAILED, "fenced")

    async def test_the_first_reason_stays(self) -> None:
        async with living() as (scene, task):
            scene.start()
            await settle()
            scene.feed("stop")
            scene.stream.end(DRAINED)
            await settle()
            scene.finish_all()
            await task
        assert scene.ended.status is Status.COMPLETED
