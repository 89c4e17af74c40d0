"""Every kind of fault on every link, once, in virtual time: no word is lost, none repeated.

What a fault of a link looks like to the gateway stands in the table; `./run faults` makes the same
faults on real sockets, at every moment of a call.
"""

from collections.abc import Sequence

import pytest

from tests.simulation import world
from tests.simulation.model import Blow, Fate, Nature
from tests.simulation.oracle import judge
from tests.simulation.plan import Call, Event, Hangup, Plan, Trouble

TRACKS = ("inbound", "outbound")
AT_S = 1.5  # in speech
FOR_S = 1.0
UPSTREAM_LOSS = {  # what a broken connection is called, by the link that breaks
    "gateway-endpoint": "connection-lost",
    "endpoint-bridge": "model-stream-error",
    "bridge-engine": "model-error",
}
REFUSAL = {
    "gateway-endpoint": "connect-refused",
    "endpoint-bridge": "service-unavailable",
    "bridge-engine": "internal-server-error",
}
UPSTREAM = {
    "delay": Fate(Blow.SLOW, AT_S),
    "throttle": Fate(Blow.THROTTLED, AT_S),
    "freeze": Fate(Blow.STALLED, AT_S),
    "black-hole": Fate(Blow.STALLED, AT_S),
    "reset": Fate(Blow.RESET, AT_S),
    "truncate": Fate(Blow.EOF, AT_S),
    "refuse": Fate(Blow.REFUSED, 0.0),
    "lost replies": Fate(Blow.UNCREATED, AT_S),
}
REDIS = {
    "delay": Trouble.REDIS_SLOW,
    "throttle": Trouble.REDIS_SLOW,
    "freeze": Trouble.REDIS_LATE,
    "black-hole": Trouble.REDIS_AWAY,
    "reset": Trouble.REDIS_AWAY,
    "truncate": Trouble.REDIS_FORGETS_ANSWERS,
    "refuse": Trouble.REDIS_AWAY,
    "lost replies": Trouble.REDIS_FORGETS_ANSWERS,
}
CARRIER = {  # how late frames are, and how the socket ends
    "delay": (0.3, Hangup.STOP),
    "throttle": (1.0, Hangup.STOP),
    "freeze": (3.5, Hangup.STOP),
    "black-hole": (2.0, Hangup.VANISH),
    "reset": (0.0, Hangup.VANISH),
    "truncate": (0.0, Hangup.CLOSE),
    "lost replies": (0.0, Hangup.STOP),
}


def plan(
    *,
    fates: Sequence[Fate] = (),
    events: Sequence[Event] = (),
    late_s: float = 0.0,
    hangup: Hangup = Hangup.STOP,
) -> Plan:
    """Make a world of one call in which nothing else befalls anybody."""
    call = Call(
        call_id="CA0",
        stream_id="MZ0",
        gateway=0,
        begins_s=0,
        tracks=TRACKS,
        chunks=100,
        frame_ms=20,
        audio_seed=7,
        hangup=hangup,
        hiccup=(120, late_s) if late_s else None,
        lost=(0, 0),
        comes_again=False,
        hold=None,
        flood=None,
    )
    return Plan(
        seed=1,
        calls=(call,),
        endpoints=(Nature("a", slots=10, context_deltas=10_000, latency_s=0.02, window=256),),
        capacity=(10,),
        misfortune=0.0,
        blows=(),
        permanent=False,
        events=tuple(events),
        redis_latency_s=0.002,
        finish_timeout_s=6.0,
        admission_wait_s=0,
        memory_events=10_000,
        route_known=True,
        fates=tuple(fates),
    )


def last_event(evidence: world.Evidence) -> dict[str, str]:
    return evidence.records["CA0"][-1]


@pytest.mark.parametrize("fault", UPSTREAM)
@pytest.mark.parametrize("link", UPSTREAM_LOSS)
def test_on_the_way_to_the_model(fault: str, link: str) -> None:
    fate = UPSTREAM[fault]
    if fate.blow is Blow.RESET:
        fate = Fate(fate.blow, fate.after_s, UPSTREAM_LOSS[link])
    if fate.blow is Blow.REFUSED:
        fate = Fate(fate.blow, fate.after_s, REFUSAL[link])
    evidence = world.run(plan(fates=[fate] * len(TRACKS)))
    assert judge(evidence) == []
    end = last_event(evidence)
    assert end["status"] == "completed"
    # A throttle lasts as long as its session: what exceeds the ring meanwhile is declared.
    assert int(end["gap_ms"]) <= (2000 if fault == "throttle" else 0)


@pytest.mark.parametrize("fault", REDIS)
def test_on_the_way_to_redis(fault: str) -> None:
    evidence = world.run(plan(events=[Event(REDIS[fault], AT_S, FOR_S, 0, 0, "")]))
    assert judge(evidence) == []
    end = last_event(evidence)
    assert (end["status"], end["gap_ms"]) == ("completed", "0")


@pytest.mark.parametrize("fault", CARRIER)
def test_on_the_way_from_the_carrier(fault: str) -> None:
    late_s, hangup = CARRIER[fault]
    evidence = world.run(plan(late_s=late_s, hangup=hangup))
    assert judge(evidence) == []
    end = last_event(evidence)
    lost = ("failed", "socket-lost")
    reasons = {
        Hangup.STOP: ("completed", "carrier-stopped"),
        Hangup.CLOSE: ("completed", "carrier-closed"),
        Hangup.VANISH: lost,
    }
    assert (end["status"], end["reason"]) == reasons[hangup]
    assert end["gap_ms"] == "0"
    assert end["duration_ms"] == "8000"
