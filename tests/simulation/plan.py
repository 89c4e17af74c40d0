"""What a seed means: the calls, the peers and the troubles of one small world. Pure data.

Ages, limits, rings and leases are scaled down (`world.py`), so that a call of some hundred chunks
lives through what befalls a real one in hours.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from gateway.errors import REASONS
from tests.simulation.model import Blow, Fate, Nature

CHUNK_MS: Final = 80
GATEWAYS: Final = 2

# Why an opening is refused, and a stream reset.
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
    """How a caller leaves."""

    STOP = auto()  # says so
    CLOSE = auto()  # closes its socket
    VANISH = auto()  # its socket breaks
    SILENCE = auto()  # sends nothing any more, and keeps the socket
    NEVER = auto()  # goes on until the gateway ends it


class Trouble(StrEnum):
    """What may befall the world."""

    ENDPOINT_REFUSES = auto()
    ENDPOINT_RESTARTS = auto()
    REDIS_AWAY = auto()  # no answer, nothing done
    REDIS_FORGETS_ANSWERS = auto()  # no answer, but done
    REDIS_LATE = auto()  # no answer in time, done later, in any order
    REDIS_SLOW = auto()
    CRASH = auto()  # of a gateway: its tasks stop, nothing is flushed
    CUT_OFF = auto()  # a gateway from Redis: it lives on, and may come back as a zombie
    DRAIN = auto()  # of a gateway
    TAKEOVER = auto()  # a stream comes to the other gateway though this one still has it
    SLEEP = auto()  # of a gateway: stopped and continued, as a paused virtual machine
    REDIS_REFUSES = auto()  # writes, as without memory; it reads


@dataclass(frozen=True, slots=True)
class Event:
    """One trouble: when, for how long, whose."""

    trouble: Trouble
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
    hiccup: tuple[int, float] | None  # before which frame the carrier holds back, and how long
    lost: tuple[int, int]  # frames that never come, from and to
    hold: tuple[int, int] | None  # before which frame nothing is sent, and for how many chunks
    flood: tuple[int, int] | None  # before which frame marks are sent, and how many
    comes_again: bool  # at the other gateway, should its socket break


@dataclass(frozen=True, slots=True)
class Plan:
    """One world."""

    seed: int
    calls: tuple[Call, ...]
    endpoints: tuple[Nature, ...]
    capacity: tuple[int, ...]  # sessions per endpoint
    misfortune: float  # share of the streams that something befalls
    blows: tuple[Blow, ...]  # what
    permanent: bool  # whether a refusal may be for good
    events: tuple[Event, ...]
    redis_latency_s: float
    finish_timeout_s: float
    admission_wait_s: float
    memory_events: int  # that a publisher keeps; then they go to disk
    route_known: bool  # before the call starts: then refusals come before the upgrade
    clocks_s: tuple[float, ...] = (0.0,) * GATEWAYS  # by which each gateway's wall clock is ahead
    fates: tuple[Fate, ...] = ()  # of the first streams; those of all others are drawn


def rng(*names: object) -> random.Random:
    """Give a source of chance that is the same in every run."""
    return random.Random("/".join(map(str, names)))  # noqa: S311 - the same each time is the point


def draw(seed: int) -> Plan:
    """Make the world of a seed."""
    chance = rng(seed, "plan")
    endpoints = tuple(
        _draw_endpoint(chance, name) for name in ("a", "b")[: chance.choice((1, 1, 2))]
    )
    calls = _draw_calls(chance)
    return Plan(
        seed=seed,
        calls=calls,
        endpoints=endpoints,
        capacity=tuple(
            nature.slots if chance.random() < 0.8 else nature.slots + 2 for nature in endpoints
        ),
        misfortune=chance.choice((0, 0.15, 0.4, 0.7)),
        blows=tuple(chance.sample(_BLOWS, chance.randint(1, len(_BLOWS)))),
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
LAPSES: Final = (Trouble.SLEEP, Trouble.REDIS_REFUSES)  # of leases whose gateway lives
_TROUBLES: Final = tuple(trouble for trouble in Trouble if trouble not in LAPSES)
_BLOWS: Final = tuple(blow for blow in Blow if blow is not Blow.NONE)


def draw_fate(chance: random.Random, plan: Plan) -> Fate:
    """Say what befalls the next stream."""
    if chance.random() >= plan.misfortune:
        return Fate()
    blow = chance.choice(plan.blows)
    after_s = chance.choice((0.0, chance.uniform(0, 1), chance.expovariate(0.4)))
    match blow:
        case Blow.REFUSED:
            is_permanent = plan.permanent and chance.random() < 0.3
            reason = chance.choice(PERMANENT if is_permanent else REFUSALS)
            return Fate(blow, min(after_s, 1.0), reason)
        case Blow.RESET:
            return Fate(blow, after_s, chance.choice(RESETS))
        case _:
            return Fate(blow, after_s)


def is_permanent(reason: str) -> bool:
    """Whether nobody need try again."""
    return not REASONS[reason].retry


def _draw_endpoint(chance: random.Random, name: str) -> Nature:
    return Nature(
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
                comes_again=chance.random() < 0.7,
                hold=_draw_hold(mine, frames, audio_seed),
                flood=_draw_flood(mine, frames, audio_seed),
            )
        )
    return tuple(calls)


def _draw_flood(chunks: int, frame_ms: int, seed: int) -> tuple[int, int] | None:
    """Draw a flood apart from all else, likewise: one that is allowed, or one that is not."""
    chance = rng(seed, "flood")
    if chance.random() >= 0.1:
        return None
    return chance.randrange(1, chunks * CHUNK_MS // frame_ms), chance.choice((1000, 5000))


def _draw_hold(chunks: int, frame_ms: int, seed: int) -> tuple[int, int] | None:
    """Draw a hold apart from all else, so that the worlds of seeds stay as they were."""
    chance = rng(seed, "hold")
    if chance.random() >= 0.15:
        return None
    return chance.randrange(1, chunks * CHUNK_MS // frame_ms), chance.randint(10, 500)


def _draw_event(chance: random.Random, calls: Sequence[Call], endpoints: int) -> Event:
    longest_s = max(call.begins_s + call.chunks * CHUNK_MS / 1000 for call in calls)
    return Event(
        trouble=chance.choice(_TROUBLES),
        at_s=chance.uniform(0, longest_s),
        for_s=chance.choice((chance.uniform(0.05, 1), chance.uniform(1, 8))),
        gateway=chance.choice(calls).gateway,
        endpoint=chance.randrange(endpoints),
        reason=chance.choice(REFUSALS),
    )


def _draw_lapses(chance: random.Random, calls: Sequence[Call]) -> tuple[Event, ...]:
    """Draw what lets leases lapse though their gateway lives; mostly for longer than they last."""
    longest_s = max(call.begins_s + call.chunks * CHUNK_MS / 1000 for call in calls)
    return tuple(
        Event(
            trouble=chance.choice(LAPSES),
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
