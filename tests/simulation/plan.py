"""Draw the calls, peers and faults of a simulated world from a seed. Pure data.

Ages, limits, replay buffers and leases are scaled down (`gateways.py`), so that a call of some
hundred chunks meets what a real call meets in hours.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import Final

from container.cpu.mistral import MistralRules
from container.cpu.openai_protocol import OpenAiServer
from gateway.errors import REASONS
from gateway.upstream.dialects.registry import DialectName
from tests.simulation.model import EndpointSpec, PlannedFault, StreamFault

CHUNK_MS: Final = 80
GATEWAYS: Final = 2

# Reasons with which a stream is refused or reset.
REFUSALS: Final = (
    "connect-refused", "connect-timeout", "host-unreachable", "throttled", "service-unavailable",
    "internal-server-error", "response-timeout", "no-credentials", "credentials-expired",
)  # fmt: skip
RESETS: Final = (
    "connection-lost", "stream-reset", "internal-stream-failure", "model-stream-error",
    "model-error", "platform-protocol-error", "throttled",
)  # fmt: skip
PERMANENT: Final = (
    "endpoint-not-found", "access-denied", "validation-error", "tls-untrusted", "model-not-found",
)  # fmt: skip


class Hangup(StrEnum):
    """How a caller ends the call."""

    STOP = auto()  # sends a stop message
    CLOSE = auto()  # closes its socket
    VANISH = auto()  # its socket breaks
    SILENCE = auto()  # sends nothing more, but keeps the socket open
    NEVER = auto()  # continues until the gateway ends the call


class Fault(StrEnum):
    """The kinds of faults of the world."""

    ENDPOINT_REFUSES = auto()
    ENDPOINT_RESTARTS = auto()
    REDIS_UNAVAILABLE = auto()  # neither request nor reply arrive
    REDIS_LOSES_REPLIES = auto()  # the request is executed, the reply is lost
    REDIS_LATE = auto()  # the request is executed late and out of order, the reply is lost
    REDIS_SLOW = auto()
    CRASH = auto()  # a gateway's tasks stop, and nothing is flushed
    DISCONNECTED = auto()  # a gateway loses Redis, continues to run, and may reconnect as a zombie
    DRAIN = auto()  # a gateway drains
    TAKEOVER = auto()  # a stream is also sent to the other gateway
    SUSPENDED = auto()  # a gateway is stopped and continued, like a paused virtual machine
    REDIS_REJECTS_WRITES = auto()  # as when it is out of memory; reads work


@dataclass(frozen=True, slots=True)
class Event:
    """One fault of the world: when it begins, how long it lasts, and what it affects."""

    fault: Fault
    at_s: float
    for_s: float
    gateway: int
    endpoint: int
    reason: str


@dataclass(frozen=True, slots=True)
class Call:
    """One media stream."""

    call_id: str
    stream_id: str
    gateway: int
    begins_s: float
    tracks: tuple[str, ...]
    chunks: int
    frame_ms: int
    audio_seed: int
    hangup: Hangup
    hiccup: tuple[int, float] | None  # the frame before which it delays, and the seconds
    lost: tuple[int, int]  # frames that are lost: the first, and the one after the last
    hold: tuple[int, int] | None  # the frame before which audio is skipped, and how many chunks
    flood: tuple[int, int] | None  # the frame before which marks are sent, and how many
    redials: bool  # whether it calls the other gateway if its socket breaks


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one simulated world."""

    seed: int
    calls: tuple[Call, ...]
    endpoints: tuple[EndpointSpec, ...]
    capacity: tuple[int, ...]  # sessions per endpoint
    fault_rate: float  # share of the streams that have a fault
    fault_kinds: tuple[StreamFault, ...]  # the kinds to draw from
    permanent: bool  # whether a refusal may be permanent
    events: tuple[Event, ...]
    redis_latency_s: float
    finish_timeout_s: float
    admission_wait_s: float
    memory_events: int  # that a publisher buffers before it spools to disk
    route_known: bool  # before the start message, so that a refusal precedes the upgrade
    clocks_s: tuple[float, ...] = (0.0,) * GATEWAYS  # offsets of the gateways' wall clocks
    stream_faults: tuple[PlannedFault, ...] = ()  # of the first streams; further ones are drawn
    dialect: DialectName = DialectName.VOXTRAL  # of all endpoints


def rng(*names: object) -> random.Random:
    """Return a random generator whose seed is derived from the names."""
    return random.Random("/".join(map(str, names)))  # noqa: S311 - must be reproducible


def draw(seed: int, dialect: DialectName = DialectName.VOXTRAL) -> Plan:
    """Draw the world of a seed, with endpoints of a dialect."""
    chance = rng(seed, "plan")
    endpoints = tuple(
        _draw_endpoint(chance, name) for name in ("a", "b")[: chance.choice((1, 1, 2))]
    )
    if dialect is not DialectName.VOXTRAL:  # only its sessions can fill a context
        endpoints = tuple(replace(each, context_deltas=10_000) for each in endpoints)
    if dialect is DialectName.QWEN3_ASR:
        endpoints = tuple(replace(each, segment_tokens=128) for each in endpoints)
    if dialect is DialectName.MISTRAL:
        extras = rng(seed, "mistral").choice(_EXTRAS)
        endpoints = tuple(replace(each, extras=extras) for each in endpoints)
    if dialect is DialectName.OPENAI:
        server = rng(seed, "openai").choice((OpenAiServer.STREAMING, OpenAiServer.ITEMS))
        endpoints = tuple(replace(each, openai=server) for each in endpoints)
    calls = _draw_calls(chance)
    return Plan(
        seed=seed,
        dialect=dialect,
        calls=calls,
        endpoints=endpoints,
        capacity=tuple(
            spec.slots if chance.random() < 0.8 else spec.slots + 2 for spec in endpoints
        ),
        fault_rate=chance.choice((0, 0.15, 0.4, 0.7)),
        fault_kinds=tuple(chance.sample(_STREAM_FAULTS, chance.randint(1, len(_STREAM_FAULTS)))),
        permanent=chance.random() < 0.08,
        events=tuple(
            _draw_event(chance, calls, len(endpoints)) for _ in range(chance.choice(_EVENTS))
        )
        + _draw_lapses(rng(seed, "lapses"), calls),
        redis_latency_s=chance.choice((0.0005, 0.002, 0.02)),
        finish_timeout_s=chance.choice((2.5, 6.0)),
        admission_wait_s=chance.choice((0, 0, 2)),
        memory_events=chance.choice((10_000, 50)),
        route_known=chance.random() < 0.7,
        clocks_s=_draw_clocks(rng(seed, "clocks")),
    )


_EVENTS: Final = (0, 1, 1, 2, 3)
# What Mistral's server sends beside text.
_EXTRAS: Final = tuple(
    MistralRules(has_segments=segments, has_turns=turns)
    for segments in (True, False)
    for turns in (True, False)
)
# Leases expire although their gateway still runs.
LAPSES: Final = (
    Fault.SUSPENDED,
    Fault.REDIS_REJECTS_WRITES,
)
_WORLD_FAULTS: Final = tuple(fault for fault in Fault if fault not in LAPSES)
_STREAM_FAULTS: Final = tuple(kind for kind in StreamFault if kind is not StreamFault.NONE)


def draw_stream_fault(chance: random.Random, plan: Plan) -> PlannedFault:
    """Draw the fault of the next stream."""
    if chance.random() >= plan.fault_rate:
        return PlannedFault()
    kind = chance.choice(plan.fault_kinds)
    after_s = chance.choice((0.0, chance.uniform(0, 1), chance.expovariate(0.4)))
    match kind:
        case StreamFault.REFUSED:
            is_permanent = plan.permanent and chance.random() < 0.3
            reason = chance.choice(PERMANENT if is_permanent else REFUSALS)
            return PlannedFault(kind, min(after_s, 1.0), reason)
        case StreamFault.RESET:
            return PlannedFault(kind, after_s, chance.choice(RESETS))
        case _:
            return PlannedFault(kind, after_s)


def is_permanent(reason: str) -> bool:
    """Return whether a failure with this reason must not be retried."""
    return not REASONS[reason].retry


def _draw_endpoint(chance: random.Random, name: str) -> EndpointSpec:
    return EndpointSpec(
        name=name,
        slots=chance.choice((2, 3, 4, 6, 10)),
        context_deltas=chance.choice((10_000, 10_000, 40, 90)),
        latency_s=chance.choice((0.002, 0.02, 0.1)),
        window=chance.choice((4, 16, 256)),
    )


def _draw_calls(chance: random.Random) -> tuple[Call, ...]:
    chunks = chance.randint(80, 300)  # in all
    count = chance.choice((1, 1, 2, 3))
    together = chance.random() < 0.4  # streams of one call
    calls = []
    for number in range(count):
        tracks = chance.choice((("inbound",), ("inbound", "outbound")))
        frames = chance.choice((20, 80, 80, 80, 160))
        mine = max(20, chunks // count // len(tracks))
        lost_from = chance.randrange(mine * CHUNK_MS // frames)
        audio_seed = chance.getrandbits(32)
        calls.append(
            Call(
                call_id="CA0" if together else f"CA{number}",
                stream_id=f"MZ{number}",
                gateway=chance.randrange(GATEWAYS),
                begins_s=chance.choice((0, chance.uniform(0, 4))),
                tracks=tracks,
                chunks=mine,
                frame_ms=frames,
                audio_seed=audio_seed,
                hangup=chance.choice((Hangup.STOP, Hangup.STOP, *Hangup)),
                hiccup=(chance.randrange(mine), chance.uniform(0.1, 3))
                if chance.random() < 0.2
                else None,
                lost=(lost_from, lost_from + chance.randint(1, 20))
                if chance.random() < 0.15
                else (0, 0),
                redials=chance.random() < 0.7,
                hold=_draw_hold(mine, frames, audio_seed),
                flood=_draw_flood(mine, frames, audio_seed),
            )
        )
    return tuple(calls)


def _draw_flood(chunks: int, frame_ms: int, seed: int) -> tuple[int, int] | None:
    """Draw a flood, below or above the limit, from a separate generator like `_draw_hold`."""
    chance = rng(seed, "flood")
    if chance.random() >= 0.1:
        return None
    return chance.randrange(1, chunks * CHUNK_MS // frame_ms), chance.choice((1000, 5000))


def _draw_hold(chunks: int, frame_ms: int, seed: int) -> tuple[int, int] | None:
    """Draw a hold from a separate generator, so that the rest of a seed's world stays the same."""
    chance = rng(seed, "hold")
    if chance.random() >= 0.15:
        return None
    return chance.randrange(1, chunks * CHUNK_MS // frame_ms), chance.randint(10, 500)


def _draw_event(chance: random.Random, calls: Sequence[Call], endpoints: int) -> Event:
    longest_s = max(call.begins_s + call.chunks * CHUNK_MS / 1000 for call in calls)
    return Event(
        fault=chance.choice(_WORLD_FAULTS),
        at_s=chance.uniform(0, longest_s),
        for_s=chance.choice((chance.uniform(0.05, 1), chance.uniform(1, 8))),
        gateway=chance.choice(calls).gateway,
        endpoint=chance.randrange(endpoints),
        reason=chance.choice(REFUSALS),
    )


def _draw_lapses(chance: random.Random, calls: Sequence[Call]) -> tuple[Event, ...]:
    """Draw faults during which leases can expire although their gateway still runs."""
    longest_s = max(call.begins_s + call.chunks * CHUNK_MS / 1000 for call in calls)
    return tuple(
        Event(
            fault=chance.choice(LAPSES),
            at_s=chance.uniform(0, longest_s),
            for_s=chance.choice((chance.uniform(0.05, 3), chance.uniform(3, 14))),
            gateway=chance.choice(calls).gateway,
            endpoint=0,
            reason="",
        )
        for _ in range(chance.choice((0, 0, 1, 2)))
    )


def _draw_clocks(chance: random.Random) -> tuple[float, ...]:
    return tuple(
        chance.choice((0, 0, 3600, -3600, chance.uniform(-0.01, 0.01))) for _ in range(GATEWAYS)
    )
