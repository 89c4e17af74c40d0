"""A simulated gateway with the real logic of calls, sessions, admission and publishing.

It is built like in `app.py`. Simulated are the media socket (`MediaLine`), the transport to the
model (`Link`), the connection to Redis (`Wire`), and the clocks.
"""

import asyncio
from pathlib import Path
from typing import Final

from gateway.admission.admission import Admission, pools
from gateway.admission.capacity import Capacity
from gateway.admission.endpoint import Access
from gateway.admission.routes import Routes
from gateway.calls.allowance import Allowance
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallLimits, CallServices, epochs
from gateway.calls.stream import CallStream
from gateway.calls.termination import CLOSED
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.vendors import twilio
from gateway.errors import CarrierError
from gateway.metrics import Metrics
from gateway.publishing.outbox import Limits
from gateway.publishing.publisher import Publisher
from gateway.publishing.spool.spool import Spool
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import make_dialect
from tests.simulation.model import MODEL, Endpoint, Link
from tests.simulation.plan import Plan, rng
from tests.simulation.process import Process
from tests.simulation.redis import Wire
from tests.simulation.trace import Trace

MAX_CALLS: Final = 100
_TURN_MESSAGES: Final = 60  # as in `ingress/turns.py`
PARTITIONS: Final = 2
LEASE_S: Final = 3.0
REPLAY_MS: Final = 4000
RETENTION_S: Final = 86_400
WALL_S: Final = 1_800_000_000.0  # wall clock at the beginning of virtual time
_SPOOL_BYTES: Final = 10_000_000


def call_limits(finish_timeout_s: float) -> CallLimits:
    """Return the limits of a call, scaled down to a tenth or less of the defaults."""
    return CallLimits(
        chunk_ms=80,
        open_timeout_s=1.0,
        done_timeout_s=2.0,
        finish_timeout_s=finish_timeout_s,
        replay_ms=REPLAY_MS,
        retry_budget_s=8.0,
        rollover_soft_s=2.5,
        rollover_hard_s=5.0,
        first_delta_late_s=0.5,
        mute_timeout_s=1.0,
        max_lag_ms=2500,
        rut_deltas=40,
        segment_pause_ms=400,
        segment_max_ms=2000,
        idle_timeout_s=4.0,
        silence_timeout_s=8.0,
        max_call_s=25.0,
        roles={"inbound": "customer", "outbound": "agent"},
    )


def _publishing(memory_events: int) -> Limits:
    """Return the limits of a publisher, scaled down in the same way."""
    return Limits(
        exchange_timeout_s=0.3,
        backoff_max_s=0.5,
        buffered_events=memory_events,
        buffered_events_hard=2 * memory_events,
        spill_events=20,
        lease_s=LEASE_S,
        retention_s=RETENTION_S,
    )


class MediaLine:
    """The gateway's end of a media socket; implements `carrier.Line`.

    Args:
        process: the gateway's. While it is stopped, messages from the carrier wait.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.stream: CallStream | None = None  # None: refused before the upgrade
        self.answered = asyncio.Event()  # set when the upgrade was accepted or refused
        self.closed = asyncio.Event()
        self.end_began_s: float | None = None  # when the stream's end began, on the loop's clock
        self._stopped_reading = asyncio.Event()
        self._error: CarrierError | None = None
        self._allowance = Allowance(asyncio.get_running_loop().time())
        self._messages = 0  # since the last check

    def receive(self, message: bytes) -> bool:
        """Pass a message to the stream."""
        if self.stream is None or self._stopped_reading.is_set():
            return False
        self._process.enter(self._process_message, message)
        return not self._stopped_reading.is_set()

    def _process_message(self, message: bytes) -> None:
        if self.stream is None or self._stopped_reading.is_set():
            return
        try:
            self._messages += 1
            if self._messages >= _TURN_MESSAGES:
                now_s = asyncio.get_running_loop().time()
                self._allowance.spend(self._messages, *self.stream.audio_ms, now_s)
                self._messages = 0
            self.stream.receive_text(message)
        except CarrierError as error:
            self._stop(error)

    def close(self) -> None:
        """Pass on the carrier's close."""
        if self.stream is not None:
            self._process.enter(self.stream.end, CLOSED)

    def lose(self) -> None:
        """End the reader with a lost connection."""
        self._process.enter(self._stop, CarrierError("socket-lost"))

    async def wait_closed(self) -> None:
        """Wait until the gateway has finished the stream."""
        await self.closed.wait()

    async def read(self) -> None:
        """Wait until reading stops; `receive` passes messages to the stream meanwhile."""
        await self._stopped_reading.wait()
        self.end_began_s = asyncio.get_running_loop().time()
        if self._error:
            raise self._error

    def release(self) -> None:
        """Close the socket, because the gateway no longer serves it."""
        self.answered.set()
        self.wake()
        self.closed.set()

    def wake(self) -> None:
        """Stop reading, because the stream is terminated."""
        self._stop(None)

    def _stop(self, error: CarrierError | None) -> None:
        if not self._stopped_reading.is_set():
            self._error = error
            self._stopped_reading.set()


class Gateway:
    """One gateway process.

    Args:
        name: its id.
        plan: of the world.
        wire: its connection to Redis.
        endpoints: by name.
        trace: records what happens.
        folder: of its spool.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        wire: Wire,
        endpoints: dict[str, Endpoint],
        trace: Trace,
        folder: Path,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.process = Process(name)
        self.has_crashed = False
        self.streams = LiveStreams(MAX_CALLS)
        self.links = {
            each: Link(endpoint, name, self.process) for each, endpoint in endpoints.items()
        }
        wall_s = WALL_S + plan.clocks_s[int(name.rpartition("-")[2])]
        self._metrics = metrics = Metrics()
        self.spool = Spool(folder, name, _SPOOL_BYTES, lambda reason: trace.note(name, reason))
        self.publisher = Publisher(
            wire,
            gateway=name,
            metrics=metrics,
            partitions=PARTITIONS,
            limits=_publishing(plan.memory_events),
            spool=self.spool,
            jitter=rng(plan.seed, name, "publisher"),
            clock=loop.time,
            wall=lambda: wall_s + loop.time(),
        )
        self._services = CallServices(
            open_writer=self.publisher.open_stream,
            metrics=metrics,
            limits=call_limits(plan.finish_timeout_s),
            monotonic_s=loop.time,
            new_epoch=epochs(lambda: wall_s + loop.time()),
            wall_s=lambda: wall_s + loop.time(),
            random=rng(plan.seed, name, "calls"),
        )
        routes = _routes(plan)
        self.capacity = Capacity(wire, pools(routes), owner=name, lease_s=LEASE_S)
        self._admission = Admission(
            routes,
            {
                spec.name: Access(
                    self.links[spec.name],
                    make_dialect(spec.dialect or plan.dialect),
                    Options(MODEL),
                )
                for spec in plan.endpoints
            },
            self.capacity,
            metrics,
            wait_s=plan.admission_wait_s,
            random=rng(plan.seed, name, "admission"),
            monotonic_s=loop.time,
        )
        self._trace = trace
        self._wire = wire
        self._serving: dict[asyncio.Task[None], None] = {}

    @property
    def publisher_errors(self) -> float:
        """Number of internal errors in the publisher."""
        labels = {"reason": "internal-error"}
        value = self._metrics.registry.get_sample_value("callscribe_redis_errors_total", labels)
        return value or 0.0

    @property
    def unproven_ms(self) -> int:
        """Loud audio right after text without times; see `docs/models.md`."""
        name = "callscribe_unproven_speech_seconds_total"
        return round(1000 * (self._metrics.registry.get_sample_value(name) or 0.0))

    async def start(self) -> None:
        """Start publishing and renewing leases."""
        await self.process.spawn(self._start())

    async def _start(self) -> None:
        self.publisher.start()
        await self.capacity.__aenter__()

    async def connect(self) -> MediaLine:
        """Open a media socket; its `stream` is None if the gateway refused it."""
        line = MediaLine(self.process)
        task = self.process.spawn(self._serve(line))
        self._serving[task] = None
        task.add_done_callback(self._serving.pop)
        task.add_done_callback(lambda _: line.release())
        await line.answered.wait()
        return line

    async def _serve(self, line: MediaLine) -> None:
        """Serve one stream, as `ingress/media.py` does."""
        try:
            with self.streams.admit():
                async with self._admission.enter("twilio") as reservation:
                    line.stream = stream = CallStream(
                        "twilio",
                        JsonMediaAdapter(twilio.DIALECT),
                        self._services,
                        reservation,
                        authorize=lambda _: None,
                        on_termination=lambda _: line.wake(),
                        reply=lambda _: None,
                    )
                    line.answered.set()
                    with self.streams.hold(stream):
                        termination = await stream.run(line.read)
                    self._trace.note(
                        self.name, f"stream over: {termination.status} {termination.reason}"
                    )
        except CarrierError as error:
            self._trace.note(self.name, f"refused: {error.reason}")

    async def crash(self) -> None:
        """Crash as by `kill -9`: cut its connections, so that its tasks have no effect."""
        self.has_crashed = True
        self._wire.is_cut = True
        for link in self.links.values():
            link.crash()
        self.process.resume()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self.publisher.close(0.0)
        await self.capacity.__aexit__(None, None, None)

    async def stop(self, drain_s: float, finish_timeout_s: float) -> None:
        """End as after a SIGTERM: let calls continue for `drain_s`, then finish them."""
        await self.process.spawn(self._stop(drain_s, finish_timeout_s))

    async def _stop(self, drain_s: float, finish_timeout_s: float) -> None:
        await self.streams.drain(drain_s, asyncio.Event())
        await self.streams.end_all(finish_timeout_s)

    async def close(self) -> None:
        """Flush pending events and release all resources."""
        for link in self.links.values():
            await link.close()
        await self.capacity.__aexit__(None, None, None)
        await self.publisher.close()


def _routes(plan: Plan) -> Routes:
    """Return a route to all endpoints; unless `route_known`, one with parameters precedes it."""
    names = [spec.name for spec in plan.endpoints]
    routes: list[dict[str, object]] = [{"name": "all", "endpoints": names}]
    if not plan.route_known:
        routes.insert(0, {"name": "other", "endpoints": names, "params": {"line": "other"}})
    return Routes.model_validate(
        {
            "endpoints": {
                spec.name: {"url": f"ws://{spec.name}/", "sessions": capacity}
                for spec, capacity in zip(plan.endpoints, plan.capacity, strict=True)
            },
            "routes": routes,
        }
    )
