"""One small world, from its first call to its last trace: what happens in it is its plan's."""

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
from tests.simulation.plan import GATEWAYS, Call, Event, Plan, Trouble, draw_fate, rng
from tests.simulation.redis import Weather, Wire
from tests.simulation.trace import Trace
from workers.janitor import Janitor
from workers.janitor import Metrics as JanitorMetrics

LIMIT_S: Final = 200.0  # of virtual time: what is not over by then never will be
_DIALS_AGAIN_S: Final = 0.5
_SLACK_S: Final = 1.5  # beyond the finish time-out: for opening, closing and a tick

_SETTLING_S: Final = 15.0  # for what is under way, and for the janitors to find what is lost
_JANITORS: Final = 2

_OF_REDIS: Final = {
    Trouble.REDIS_AWAY, Trouble.REDIS_FORGETS_ANSWERS, Trouble.REDIS_LATE, Trouble.REDIS_SLOW,
    Trouble.CUT_OFF, Trouble.REDIS_REFUSES, Trouble.SLEEP,
}  # fmt: skip

type Events = list[dict[str, str]]


@dataclass(slots=True)
class Incarnation:
    """One gateway's ownership of a stream, and the audio it got."""

    call: Call
    leg: int
    gateway: str
    begin_s: float
    heard: dict[str, bytearray]


@dataclass(slots=True)
class Evidence:
    """What a run left behind."""

    plan: Plan
    trace: Trace
    incarnations: list[Incarnation] = field(default_factory=list)
    records: dict[str, Events] = field(default_factory=dict)  # per call, as Redis has them
    unreachable: set[str] = field(default_factory=set)  # gateways that died, slept, or were cut off
    dead: set[str] = field(default_factory=set)  # gateways that died
    broken: list[str] = field(default_factory=list)  # what was seen to be wrong meanwhile


def run(plan: Plan) -> Evidence:
    """Live one world to its end."""
    clock: list[Callable[[], float]] = [lambda: 0.0]
    trace = Trace(lambda: clock[0]())
    evidence = Evidence(plan, trace)

    async def main() -> None:
        running = asyncio.get_running_loop()
        clock[0] = running.time
        running.set_exception_handler(
            lambda _, context: evidence.broken.append(f"unhandled: {context.get('exception')!r}")
        )
        with tempfile.TemporaryDirectory() as folder:
            await _World(plan, evidence, Path(folder)).live()

    try:
        loop.run(main(), LIMIT_S)
    except (loop.Standstill, loop.Overtime) as error:
        evidence.broken.append(f"{type(error).__name__}: the world does not end")
    return evidence


class _World:
    def __init__(self, plan: Plan, evidence: Evidence, folder: Path) -> None:
        running = asyncio.get_running_loop()
        chance, fixed = rng(plan.seed, "fates"), iter(plan.fates)
        self._plan = plan
        self._evidence = evidence
        self._trace = evidence.trace
        self._weather = Weather(plan.redis_latency_s)
        self._store = MemoryStore(lambda: int(1000 * (WALL_S + running.time())))
        self._places = MemoryCapacityStore(running.time)
        # A gateway that Redis does not answer counts its own sessions only.
        is_counted = not any(event.trouble in _OF_REDIS for event in plan.events)
        self._endpoints = {
            nature.name: Endpoint(
                nature,
                lambda: next(fixed, None) or draw_fate(chance, plan),
                self._trace,
                capacity,
                shared=is_counted,
            )
            for nature, capacity in zip(plan.endpoints, plan.capacity, strict=True)
        }
        self._wires = [
            Wire(self._store, self._places, self._weather, rng(plan.seed, number, "wire"))
            for number in range(GATEWAYS)
        ]
        self._gateways = [
            Gateway(f"gateway-{n}", plan, wire, self._endpoints, self._trace, folder)
            for n, wire in enumerate(self._wires)
        ]
        self._janitors = [self._janitor(number) for number in range(_JANITORS)]
        self._callers: dict[str, Caller] = {}  # by stream, the last one
        self._legs = itertools.count()

    def _janitor(self, number: int) -> Janitor:
        chance = rng(self._plan.seed, number, "janitor")
        return Janitor(
            Wire(self._store, self._places, self._weather, chance),
            gateway=f"janitor-{number}",
            partitions=PARTITIONS,
            lease_s=LEASE_S,
            retention_s=RETENTION_S,
            metrics=JanitorMetrics(),
        )

    async def live(self) -> None:
        for gateway in self._gateways:
            await gateway.start()
        janitors = [asyncio.create_task(janitor.run()) for janitor in self._janitors]
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch())
            troubles = [group.create_task(self._befall(event)) for event in self._plan.events]
            calls = [group.create_task(self._phone(call)) for call in self._plan.calls]
            await asyncio.wait(calls + troubles)
            watch.cancel()
        await self._end_gateways()
        await asyncio.sleep(_SETTLING_S)
        for janitor in janitors:
            janitor.cancel()
        await asyncio.gather(*janitors, return_exceptions=True)
        self._look_for_leftovers()

    # Calls

    async def _phone(self, call: Call) -> None:
        """Play a call; go on at the other gateway if the first one dies."""
        await asyncio.sleep(call.begins_s)
        audio = make_audio(call)
        number, frame = call.gateway, 0
        for _ in range(4):
            caller = self._caller(call, audio, frame)
            died = await self._slot(caller, self._gateways[number])
            if caller.is_played or not (died and call.comes_again):
                return
            await asyncio.sleep(_DIALS_AGAIN_S)
            number, frame = 1 - number, caller.frame

    def _caller(self, call: Call, audio: dict[str, bytes], frame: int) -> Caller:
        return Caller(call, audio, next(self._legs), frame)

    async def _slot(self, caller: Caller, gateway: Gateway) -> bool:
        """Play on one socket; says whether there was none, or its gateway died."""
        if gateway.is_dead:
            return True
        line = await gateway.connect()
        if line.stream is None:
            return True
        self._callers[caller.call.stream_id] = caller
        begin_s = asyncio.get_running_loop().time()
        mine = Incarnation(caller.call, caller.leg, gateway.name, begin_s, caller.heard)
        self._evidence.incarnations.append(mine)
        self._trace.note(gateway.name, f"{caller.call.stream_id} leg {caller.leg}")
        await caller.play(line)
        await line.wait_closed()
        if not line.stream.started:  # the gateway ended it before the start message came
            self._evidence.incarnations.remove(mine)
        self._check_end(line, gateway)
        return gateway.is_dead

    def _check_end(self, line: MediaLine, gateway: Gateway) -> None:
        left_s = line.left_s or 0
        took_s = asyncio.get_running_loop().time() - left_s - gateway.process.stopped_s(left_s)
        if not gateway.is_dead and took_s > self._plan.finish_timeout_s + _SLACK_S:
            self._broken(f"a stream took {took_s:.1f} s to end")

    # Troubles

    async def _befall(self, event: Event) -> None:
        await asyncio.sleep(event.at_s)
        self._trace.note("world", f"{event.trouble} for {event.for_s:.2f} s, {event.gateway}")
        gateway = self._gateways[event.gateway]
        match event.trouble:
            case Trouble.ENDPOINT_REFUSES:
                endpoint = list(self._endpoints.values())[event.endpoint]
                endpoint.refusal = event.reason
                await asyncio.sleep(event.for_s)
                endpoint.refusal = None
            case Trouble.ENDPOINT_RESTARTS:
                endpoint = list(self._endpoints.values())[event.endpoint]
                endpoint.break_all("connection-lost")
            case Trouble.CRASH:
                self._evidence.unreachable.add(gateway.name)
                self._evidence.dead.add(gateway.name)
                if not gateway.is_dead:
                    await gateway.crash()
            case Trouble.SLEEP:
                self._evidence.unreachable.add(gateway.name)
                gateway.process.stop()
                await asyncio.sleep(event.for_s)
                gateway.process.go_on()
            case Trouble.REDIS_REFUSES:
                self._store.refuses = True
                await asyncio.sleep(event.for_s)
                self._store.refuses = False
            case Trouble.CUT_OFF:
                self._evidence.unreachable.add(gateway.name)
                self._wires[event.gateway].is_cut = True
                await asyncio.sleep(event.for_s)
                self._wires[event.gateway].is_cut = gateway.is_dead
            case Trouble.DRAIN:
                if not gateway.is_dead:
                    await gateway.stop(event.for_s, self._plan.finish_timeout_s + _SLACK_S)
            case Trouble.TAKEOVER:
                await self._take_over(event)
            case _:
                self._weather.trouble = event.trouble
                await asyncio.sleep(event.for_s)
                self._weather.trouble = None
        self._trace.note("world", f"{event.trouble} is over")

    async def _take_over(self, event: Event) -> None:
        """Have a stream that lives come to the other gateway as well, from where it is."""
        for caller in list(self._callers.values()):
            if not caller.is_played and caller.call.gateway == event.gateway:
                again = self._caller(caller.call, make_audio(caller.call), caller.frame)
                await self._slot(again, self._gateways[1 - event.gateway])
                return

    async def _watch(self) -> None:
        """Look again and again whether the bounds of memory hold."""
        while True:
            await asyncio.sleep(0.5)
            for gateway in self._gateways:
                if gateway.spool.bytes and not gateway.is_dead:
                    self._trace.note(gateway.name, "spools")
                for snapshot in gateway.streams.snapshots():
                    for track in snapshot.tracks:
                        if track.buffered_ms > REPLAY_MS:
                            self._broken(f"{track.buffered_ms} ms of audio wait")

    def _broken(self, what: str) -> None:
        self._trace.note("world", f"BROKEN: {what}")
        self._evidence.broken.append(what)

    # The end

    async def _end_gateways(self) -> None:
        self._weather.trouble = None
        for gateway, wire in zip(self._gateways, self._wires, strict=True):
            if not gateway.is_dead:
                wire.is_cut = False
                await gateway.stop(0, self._plan.finish_timeout_s + _SLACK_S)
                if gateway.streams.admitted:
                    self._broken(f"{gateway.name}: {gateway.streams.admitted} streams left")
                for name in self._endpoints:
                    if held := gateway.capacity[f"endpoint:{name}"].held:
                        self._broken(f"{gateway.name} still holds {held} places at {name}")
                await gateway.close()
                if gateway.publisher_errors:
                    self._broken(f"{gateway.name}: its publisher met a bug")
                if gateway.publisher.buffered_events or gateway.spool.bytes:
                    self._broken(f"{gateway.name}: {gateway.publisher.buffered_events} events left")

    def _look_for_leftovers(self) -> None:
        for endpoint in self._endpoints.values():
            self._evidence.broken += endpoint.breaches
            if endpoint.held:
                self._broken(f"{len(endpoint.held)} sessions left at {endpoint.nature.name}")
            # What is half-closed goes as fast as its network, and then its transport, lets it.
            if left := [stream for stream in endpoint.streams if not stream.is_half_closed]:
                self._broken(f"{len(left)} streams left in {endpoint.nature.name}")
            if taken := self._places.taken(f"endpoint:{endpoint.nature.name}"):
                self._broken(f"{taken} places left at {endpoint.nature.name}")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            self._broken(f"a task is left: {task.get_name()}")
        for call in self._plan.calls:
            key = call_keys(call.call_id, PARTITIONS).call
            self._evidence.records[call.call_id] = list(self._store.streams[key])
