"""A harness for one stream: the test sends the carrier's messages and the model's tokens."""

import asyncio
import base64
import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from gateway.calls.services import CallLimits, CallServices, Reservation, epochs
from gateway.calls.stream import CallStream
from gateway.calls.termination import Termination
from gateway.carriers.adapter import Adapter
from gateway.carriers.events import CallStarted
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import twilio
from gateway.errors import CarrierError
from gateway.metrics import Metrics
from gateway.transcript.events import StreamEnded, TranscriptEvent
from tests.gateway.scripted import ScriptedReservation, ScriptedStream, ScriptedTransport, settle
from tests.simulation import loop

WALL_S = 1_700_000_000.0
CHUNK = 640  # bytes of mu-law in 80 ms


class StreamHarness:
    """A stream with a scripted model; the test sends the carrier's messages."""

    def __init__(
        self,
        transport: ScriptedTransport,
        adapter: Adapter | None = None,
        *,
        reservation: Reservation | None = None,
        is_probed: bool = True,
        **limits: Any,
    ) -> None:
        self.transport = transport
        self.reservation = ScriptedReservation(transport)
        self.events: list[TranscriptEvent] = []
        self.fence: Callable[[], None] = lambda: None
        self.metrics = Metrics()
        self.woken = asyncio.Event()
        self.replies: list[str] = []
        self.accepts_replies = True
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
            adapter or JsonMediaAdapter(twilio.DIALECT),
            CallServices(
                open_writer=self.open_writer,
                metrics=self.metrics,
                limits=CallLimits(**settings | limits),
                monotonic_s=asyncio.get_running_loop().time,
                new_epoch=epochs(lambda: WALL_S),
                wall_s=lambda: WALL_S,
                random=Random(1),  # noqa: S311  # the same jitter in each run
            ),
            reservation or self.reservation,
            authorize=self.authorize,
            on_termination=lambda _: self.woken.set(),
            reply=self.reply,
            is_probed=is_probed,
        )

    def authorize(self, start: CallStarted) -> None:
        if start.params.get("tok") == "forged":
            raise CarrierError("token-invalid")

    def open_writer(
        self,
        call_id: str,
        stream_id: str,
        epoch: int,
        on_fenced: Callable[[], None],
        *,
        tenant: str,
        carrier: str,
    ) -> "StreamHarness":
        self.opened = (call_id, stream_id, epoch)
        self.owner = (tenant, carrier)
        self.fence = on_fenced
        return self

    def publish(self, event: TranscriptEvent) -> None:
        self.events.append(event)

    def reply(self, message: str) -> None:
        if not self.accepts_replies:
            raise CarrierError("replies-unread")
        self.replies.append(message)

    async def read(self) -> None:
        await self.woken.wait()

    # What the carrier sends

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

    def audio(self, chunks: int = 1, track: str = "inbound", code: int = 0, **media: Any) -> None:
        payload = base64.b64encode(bytes([code]) * (chunks * CHUNK)).decode()
        self.feed("media", media={"track": track, "payload": payload, **media})

    # What the model sends

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
async def running_stream(
    transport: ScriptedTransport | None = None, adapter: Adapter | None = None, **limits: Any
) -> AsyncIterator[tuple[StreamHarness, "asyncio.Task[Termination]"]]:
    """Run a stream; cancel it at the end of the context if it still runs."""
    harness = StreamHarness(transport or ScriptedTransport(), adapter, **limits)
    task = asyncio.create_task(harness.stream.run(harness.read))
    await settle()
    try:
        yield harness, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def in_virtual_time[**P](test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        loop.run(test(*args, **kwargs), limit_s=10_000)

    return run
