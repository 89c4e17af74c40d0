"""Each kind of fault on each link, in virtual time: no word is lost or repeated.

The tables define what each fault of a link looks like to the gateway. `./run faults` injects the
same faults on real sockets, at every moment of a call.
"""

from collections.abc import Sequence

import pytest

from gateway.upstream.dialects.registry import DialectName
from tests.simulation import world
from tests.simulation.model import EndpointSpec, PlannedFault, StreamFault
from tests.simulation.oracle import judge
from tests.simulation.plan import Call, Event, Fault, Hangup, Plan

pytestmark = pytest.mark.long

TRACKS = ("inbound", "outbound")
DIALECTS = tuple(DialectName)
AT_S = 1.5  # during speech
FOR_S = 1.0
UPSTREAM_LOSS = {  # reason of a broken connection, by link
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
    "delay": PlannedFault(StreamFault.SLOW, AT_S),
    "throttle": PlannedFault(StreamFault.THROTTLED, AT_S),
    "freeze": PlannedFault(StreamFault.STALLED, AT_S),
    "black-hole": PlannedFault(StreamFault.STALLED, AT_S),
    "reset": PlannedFault(StreamFault.RESET, AT_S),
    "truncate": PlannedFault(StreamFault.EOF, AT_S),
    "refuse": PlannedFault(StreamFault.REFUSED, 0.0),
    "lost replies": PlannedFault(StreamFault.UNCREATED, AT_S),
}
REDIS = {
    "delay": Fault.REDIS_SLOW,
    "throttle": Fault.REDIS_SLOW,
    "freeze": Fault.REDIS_LATE,
    "black-hole": Fault.REDIS_UNAVAILABLE,
    "reset": Fault.REDIS_UNAVAILABLE,
    "truncate": Fault.REDIS_LOSES_REPLIES,
    "refuse": Fault.REDIS_UNAVAILABLE,
    "lost replies": Fault.REDIS_LOSES_REPLIES,
}
CARRIER = {  # delay of frames in seconds, and how the socket ends
    "delay": (0.3, Hangup.STOP),
    "throttle": (1.0, Hangup.STOP),
    "freeze": (3.5, Hangup.STOP),
    "black-hole": (2.0, Hangup.VANISH),
    "reset": (0.0, Hangup.VANISH),
    "truncate": (0.0, Hangup.CLOSE),
    "lost replies": (0.0, Hangup.STOP),
}


def endpoint(dialect: DialectName) -> EndpointSpec:
    """Return an endpoint that speaks a dialect."""
    return EndpointSpec(
        "a",
        slots=10,
        context_deltas=10_000,
        latency_s=0.02,
        window=256,
        segment_tokens=128 if dialect is DialectName.QWEN3_ASR else None,
        dialect=dialect,
    )


def plan(
    dialect: DialectName = DialectName.VOXTRAL,
    *,
    stream_faults: Sequence[PlannedFault] = (),
    events: Sequence[Event] = (),
    late_s: float = 0.0,
    hangup: Hangup = Hangup.STOP,
) -> Plan:
    """Return a plan with one call and only the given faults."""
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
        redials=False,
        hold=None,
        flood=None,
    )
    return Plan(
        seed=1,
        calls=(call,),
        endpoints=(endpoint(dialect),),
        capacity=(10,),
        fault_rate=0.0,
        fault_kinds=(),
        permanent=False,
        events=tuple(events),
        redis_latency_s=0.002,
        finish_timeout_s=6.0,
        admission_wait_s=0,
        memory_events=10_000,
        route_known=True,
        stream_faults=tuple(stream_faults),
    )


def last_event(evidence: world.Evidence) -> dict[str, str]:
    return evidence.records["CA0"][-1]


# On the links within an endpoint, a fault only has another reason.
LINKS = (
    *((DialectName.VOXTRAL, link) for link in UPSTREAM_LOSS),
    *((dialect, "gateway-endpoint") for dialect in DIALECTS if dialect != DialectName.VOXTRAL),
)


@pytest.mark.parametrize("fault", UPSTREAM)
@pytest.mark.parametrize(("dialect", "link"), LINKS)
def test_faults_between_gateway_and_model(fault: str, link: str, dialect: DialectName) -> None:
    planned = UPSTREAM[fault]
    if planned.kind is StreamFault.RESET:
        planned = PlannedFault(planned.kind, planned.after_s, UPSTREAM_LOSS[link])
    if planned.kind is StreamFault.REFUSED:
        planned = PlannedFault(planned.kind, planned.after_s, REFUSAL[link])
    evidence = world.run(plan(dialect, stream_faults=[planned] * len(TRACKS)))
    assert judge(evidence) == []
    end = last_event(evidence)
    assert end["status"] == "completed"
    # A throttle lasts as long as its session, so audio beyond the replay buffer becomes a gap. If a
    # session may have had nothing to answer, it is asked first; then the buffer of these 4 s is
    # too short.
    most_ms = 2000 if fault == "throttle" else 0
    assert int(end["gap_ms"]) <= most_ms + 400 * (dialect is DialectName.DEEPGRAM)


@pytest.mark.parametrize("fault", REDIS)
def test_faults_between_gateway_and_redis(fault: str) -> None:
    evidence = world.run(plan(events=[Event(REDIS[fault], AT_S, FOR_S, 0, 0, "")]))
    assert judge(evidence) == []
    end = last_event(evidence)
    assert (end["status"], end["gap_ms"]) == ("completed", "0")


@pytest.mark.parametrize("fault", CARRIER)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_faults_between_carrier_and_gateway(fault: str, dialect: DialectName) -> None:
    late_s, hangup = CARRIER[fault]
    evidence = world.run(plan(dialect, late_s=late_s, hangup=hangup))
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
