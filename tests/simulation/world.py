"""Run one simulated world according to its plan, and collect the evidence."""

import asyncio
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.transcript.keys import call_keys
from tests.gateway.admission.memory_capacity import MemoryCapacityStore
from tests.gateway.publishing.memory_store import MemoryStore
from tests.simulation import loop
from tests.simulation.carrier import Caller, make_audio
from tests.simulation.gateways import (
    LEASE_S,
    PARTITIONS,
    REPLAY_MS,
    RETENTION_S,
    WALL_S,
    Gateway,
    MediaLine,
)
from tests.simulation.model import Endpoint
from tests.simulation.plan import GATEWAYS, Call, Event, Fault, Plan, draw_stream_fault, rng
from tests.simulation.redis import Conditions, Wire
from tests.simulation.trace import Trace
from workers.janitor import Janitor
from workers.janitor import Metrics as JanitorMetrics

LIMIT_S: Final = 200.0  # of virtual time; every run ends before
_REDIAL_DELAY_S: Final = 0.5
_SLACK_S: Final = 1.5  # beyond the finish timeout, for opening, closing and a tick

_SETTLING_S: Final = 15.0  # for pending work, and for the janitors to close lost streams
_JANITORS: Final = 2

_REDIS_FAULTS: Final = {
    Fault.REDIS_UNAVAILABLE, Fault.REDIS_LOSES_REPLIES, Fault.REDIS_LATE, Fault.REDIS_SLOW,
    Fault.DISCONNECTED, Fault.REDIS_REJECTS_WRITES, Fault.SUSPENDED,
}  # fmt: skip

type Events = list[dict[str, str]]


@dataclass(slots=True)
class Incarnation:
    """One gateway's ownership of a stream, and the audio that it received."""

    call: Call
    leg: int
    gateway: str
    begin_s: float
    received: dict[str, bytearray]


@dataclass(slots=True)
class Evidence:
    """The results of a run."""

    plan: Plan
    trace: Trace
    incarnations: list[Incarnation] = field(default_factory=list)
    records: dict[str, Events] = field(default_factory=dict)  # events in Redis, by call
    unreachable: set[str] = field(default_factory=set)  # crashed, suspended, disconnected
    crashed: set[str] = field(default_factory=set)  # gateways that crashed
    problems: list[str] = field(default_factory=list)  # found during the run
    # Audio that each gateway has counted as undecided.
    unproven_ms: dict[str, int] = field(default_factory=dict)


def run(plan: Plan) -> Evidence:
    """Run one world to its end."""
    clock: list[Callable[[], float]] = [lambda: 0.0]
    trace = Trace(lambda: clock[0]())
    evidence = Evidence(plan, trace)

    async def main() -> None:
        running = asyncio.get_running_loop()
        clock[0] = running.time
        running.set_exception_handler(
            lambda _, context: evidence.problems.append(f"unhandled: {context.get('exception')!r}")
        )
        with tempfile.TemporaryDirectory() as folder:
            await _World(plan, evidence, Path(folder)).run()

    try:
        loop.run(main(), LIMIT_S)
    except (loop.Standstill, loop.Overtime) as error:
        evidence.problems.append(f"{type(error).__name__}: the world does not end")
    return evidence


class _World:
    def __init__(self, plan: Plan, evidence: Evidence, folder: Path) -> None:
        running = asyncio.get_running_loop()
        chance, planned = rng(plan.seed, "fates"), iter(plan.stream_faults)
        self._plan = plan
        self._evidence = evidence
        self._trace = evidence.trace
        self._conditions = Conditions(plan.redis_latency_s)
        self._store = MemoryStore(lambda: int(1000 * (WALL_S + running.time())))
        self._capacity = MemoryCapacityStore(running.time)
        # A gateway without a reply from Redis counts only its own sessions.
        is_counted = not any(event.fault in _REDIS_FAULTS for event in plan.events)
        self._endpoints = {
            spec.name: Endpoint(
                spec,
                lambda: next(planned, None) or draw_stream_fault(chance, plan),
                self._trace,
                capacity,
                shared=is_counted,
                dialect=spec.dialect or plan.dialect,
            )
            for spec, capacity in zip(plan.endpoints, plan.capacity, strict=True)
        }
        self._wires = [
            Wire(self._store, self._capacity, self._conditions, rng(plan.seed, number, "wire"))
            for number in range(GATEWAYS)
        ]
        self._gateways = [
            Gateway(f"gateway-{n}", plan, wire, self._endpoints, self._trace, folder)
            for n, wire in enumerate(self._wires)
        ]
        self._janitors = [self._janitor(number) for number in range(_JANITORS)]
        self._callers: dict[str, Caller] = {}  # the newest by stream
        self._legs = itertools.count()

    def _janitor(self, number: int) -> Janitor:
        chance = rng(self._plan.seed, number, "janitor")
        return Janitor(
            Wire(self._store, self._capacity, self._conditions, chance),
            gateway=f"janitor-{number}",
            partitions=PARTITIONS,
            lease_s=LEASE_S,
            retention_s=RETENTION_S,
            metrics=JanitorMetrics(),
        )

    async def run(self) -> None:
        for gateway in self._gateways:
            await gateway.start()
        janitors = [asyncio.create_task(janitor.run()) for janitor in self._janitors]
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch())
            faults = [group.create_task(self._inject(event)) for event in self._plan.events]
            calls = [group.create_task(self._play_call(call)) for call in self._plan.calls]
            await asyncio.wait(calls + faults)
            watch.cancel()
        await self._end_gateways()
        await asyncio.sleep(_SETTLING_S)
        for janitor in janitors:
            janitor.cancel()
        await asyncio.gather(*janitors, return_exceptions=True)
        self._check_leftovers()

    # Calls

    async def _play_call(self, call: Call) -> None:
        """Play a call; if its gateway crashes, continue at the other one."""
        await asyncio.sleep(call.begins_s)
        audio = make_audio(call)
        number, frame = call.gateway, 0
        for _ in range(4):
            caller = self._caller(call, audio, frame)
            crashed = await self._play_on_socket(caller, self._gateways[number])
            if caller.is_played or not (crashed and call.redials):
                return
            await asyncio.sleep(_REDIAL_DELAY_S)
            number, frame = 1 - number, caller.frame

    def _caller(self, call: Call, audio: dict[str, bytes], frame: int) -> Caller:
        return Caller(call, audio, next(self._legs), frame)

    async def _play_on_socket(self, caller: Caller, gateway: Gateway) -> bool:
        """Play on one socket; return whether it was refused or its gateway crashed."""
        if gateway.has_crashed:
            return True
        line = await gateway.connect()
        if line.stream is None:
            return True
        self._callers[caller.call.stream_id] = caller
        begin_s = asyncio.get_running_loop().time()
        mine = Incarnation(caller.call, caller.leg, gateway.name, begin_s, caller.received)
        self._evidence.incarnations.append(mine)
        self._trace.note(gateway.name, f"{caller.call.stream_id} leg {caller.leg}")
        await caller.play(line)
        await line.wait_closed()
        if not line.stream.started:  # the gateway ended it before the start message came
            self._evidence.incarnations.remove(mine)
        self._check_end(line, gateway)
        return gateway.has_crashed

    def _check_end(self, line: MediaLine, gateway: Gateway) -> None:
        begin_s = line.end_began_s or 0
        took_s = asyncio.get_running_loop().time() - begin_s - gateway.process.stopped_s(begin_s)
        if not gateway.has_crashed and took_s > self._plan.finish_timeout_s + _SLACK_S:
            self._report(f"a stream took {took_s:.1f} s to end")

    # Faults

    async def _inject(self, event: Event) -> None:
        await asyncio.sleep(event.at_s)
        self._trace.note("world", f"{event.fault} for {event.for_s:.2f} s, {event.gateway}")
        gateway = self._gateways[event.gateway]
        match event.fault:
            case Fault.ENDPOINT_REFUSES:
                endpoint = list(self._endpoints.values())[event.endpoint]
                endpoint.refusal = event.reason
                await asyncio.sleep(event.for_s)
                endpoint.refusal = None
            case Fault.ENDPOINT_RESTARTS:
                endpoint = list(self._endpoints.values())[event.endpoint]
                endpoint.break_all("connection-lost")
            case Fault.CRASH:
                self._evidence.unreachable.add(gateway.name)
                self._evidence.crashed.add(gateway.name)
                if not gateway.has_crashed:
                    await gateway.crash()
            case Fault.SUSPENDED:
                self._evidence.unreachable.add(gateway.name)
                gateway.process.stop()
                await asyncio.sleep(event.for_s)
                gateway.process.resume()
            case Fault.REDIS_REJECTS_WRITES:
                self._store.refuses = True
                await asyncio.sleep(event.for_s)
                self._store.refuses = False
            case Fault.DISCONNECTED:
                self._evidence.unreachable.add(gateway.name)
                self._wires[event.gateway].is_cut = True
                await asyncio.sleep(event.for_s)
                self._wires[event.gateway].is_cut = gateway.has_crashed
            case Fault.DRAIN:
                if not gateway.has_crashed:
                    await gateway.stop(event.for_s, self._plan.finish_timeout_s + _SLACK_S)
            case Fault.TAKEOVER:
                await self._take_over(event)
            case _:
                self._conditions.fault = event.fault
                await asyncio.sleep(event.for_s)
                self._conditions.fault = None
        self._trace.note("world", f"{event.fault} is over")

    async def _take_over(self, event: Event) -> None:
        """Send a live stream to the other gateway as well, from its current frame on."""
        for caller in list(self._callers.values()):
            if not caller.is_played and caller.call.gateway == event.gateway:
                again = self._caller(caller.call, make_audio(caller.call), caller.frame)
                await self._play_on_socket(again, self._gateways[1 - event.gateway])
                return

    async def _watch(self) -> None:
        """Check regularly that buffers do not exceed their limits."""
        while True:
            await asyncio.sleep(0.5)
            for gateway in self._gateways:
                if gateway.spool.bytes and not gateway.has_crashed:
                    self._trace.note(gateway.name, "spools")
                for snapshot in gateway.streams.snapshots():
                    for track in snapshot.tracks:
                        if track.buffered_ms > REPLAY_MS:
                            self._report(f"{track.buffered_ms} ms of audio are buffered")

    def _report(self, what: str) -> None:
        self._trace.note("world", f"PROBLEM: {what}")
        self._evidence.problems.append(what)

    # The end

    async def _end_gateways(self) -> None:
        self._conditions.fault = None
        for gateway, wire in zip(self._gateways, self._wires, strict=True):
            if not gateway.has_crashed:
                wire.is_cut = False
                await gateway.stop(0, self._plan.finish_timeout_s + _SLACK_S)
                if gateway.streams.admitted:
                    self._report(f"{gateway.name}: {gateway.streams.admitted} streams left")
                for name in self._endpoints:
                    if held := gateway.capacity[f"endpoint:{name}"].held:
                        self._report(f"{gateway.name} still holds {held} slots of {name}")
                await gateway.close()
                if gateway.publisher_errors:
                    self._report(f"{gateway.name}: its publisher had an internal error")
                if gateway.publisher.buffered_events or gateway.spool.bytes:
                    self._report(f"{gateway.name}: {gateway.publisher.buffered_events} events left")

    def _check_leftovers(self) -> None:
        self._evidence.unproven_ms = {each.name: each.unproven_ms for each in self._gateways}
        for endpoint in self._endpoints.values():
            self._evidence.problems += endpoint.breaches
            if endpoint.held:
                self._report(f"{len(endpoint.held)} sessions left at {endpoint.spec.name}")
            # Half-closed streams end when their network and their transport have finished.
            if left := [stream for stream in endpoint.streams if not stream.is_half_closed]:
                self._report(f"{len(left)} streams left in {endpoint.spec.name}")
            if taken := self._capacity.taken(f"endpoint:{endpoint.spec.name}"):
                self._report(f"{taken} slots left at {endpoint.spec.name}")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            self._report(f"a task is left: {task.get_name()}")
        for call in self._plan.calls:
            key = call_keys(call.call_id, PARTITIONS).call
            self._evidence.records[call.call_id] = list(self._store.streams[key])
