"""A route whose endpoints speak different dialects: when one fails, the other one continues.

The call speaks up to 2.6 s and is silent up to 3.2 s, where its session is replaced by another one.
Then it speaks again, in two parts, up to the hang-up at 8 s.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, permutations, product

import pytest

from gateway.upstream.dialects.registry import DialectName
from tests.simulation import world
from tests.simulation.model import PlannedFault, StreamFault
from tests.simulation.oracle import judge
from tests.simulation.plan import Plan
from tests.simulation.test_faults import DIALECTS, endpoint, last_event, plan

pytestmark = pytest.mark.long

type Faults = tuple[PlannedFault, ...]  # of the sessions, in order

FAULTS = {
    "lost": PlannedFault(StreamFault.RESET, reason="connection-lost"),
    "closed": PlannedFault(StreamFault.EOF),
    "stalled": PlannedFault(StreamFault.STALLED),
    "full": PlannedFault(StreamFault.DONE),
    "in error": PlannedFault(StreamFault.ERROR),
    "at capacity": PlannedFault(StreamFault.RESET, reason="model-at-capacity"),
    "not what the settings say": PlannedFault(StreamFault.RESET, reason="model-mismatch"),
    "slow": PlannedFault(StreamFault.SLOW),
    "throttled": PlannedFault(StreamFault.THROTTLED),
}
UNOPENED = {
    "refused": PlannedFault(StreamFault.REFUSED, reason="access-denied"),
    "hanging": PlannedFault(StreamFault.HANGING),
    "uncreated": PlannedFault(StreamFault.UNCREATED),
}
NONE = PlannedFault()
MOMENTS = {  # which session fails, and how long after it was opened
    "before the first answer": (1, 0.0),
    "with provisional text": (1, 0.9),
    "in mid-word": (1, 1.77),
    "in a pause": (1, 2.7),
    "while it is replaced": (1, 3.2),
    "while it replaces another": (2, 0.05),
    "just before the hang-up": (2, 4.8),
    "after the hang-up": (2, 4.95),
}
# The replay buffer has only 4 s: less than it takes to notice that these fail.
LOSSY = {StreamFault.STALLED, StreamFault.SLOW, StreamFault.HANGING}


def _cases() -> Iterator[tuple[str, Faults]]:
    for (name, fault), (moment, (session, after_s)) in product(FAULTS.items(), MOMENTS.items()):
        before = (NONE,) * (session - 1)
        yield f"{name} {moment}", (*before, replace(fault, after_s=after_s))
    for (name, fault), session in product(UNOPENED.items(), (1, 2)):
        yield f"{name} at opening {session}", (*(NONE,) * (session - 1), fault)


CASES = dict(_cases())
PER_PAIR = 2
PAIRS = tuple(permutations(DIALECTS, 2))


def _sample() -> Iterator[tuple[DialectName, DialectName, str]]:
    """Yield some cases of each ordered pair of dialects, so that each case occurs."""
    names = cycle(CASES)
    for first, second in PAIRS:
        for _ in range(PER_PAIR):
            yield first, second, next(names)


SAMPLE = tuple(_sample())


def failover(first: DialectName, second: DialectName, faults: Faults) -> Plan:
    """Return a plan with one track and two endpoints, the first of which is used first."""
    made = plan(stream_faults=faults)
    endpoints = (endpoint(first), replace(endpoint(second), name="b"))
    calls = (replace(made.calls[0], tracks=("inbound",)),)
    return replace(made, endpoints=endpoints, capacity=(10, 10), calls=calls)


def test_the_sample_has_every_case() -> None:
    assert {name for _, _, name in SAMPLE} == set(CASES)


@pytest.mark.parametrize(("first", "second", "name"), SAMPLE)
def test_the_other_endpoint_continues(first: DialectName, second: DialectName, name: str) -> None:
    """Each sample is answered once, gaps are declared, provisional text is withdrawn or final."""
    faults = CASES[name]
    evidence = world.run(failover(first, second, faults))
    assert judge(evidence) == []
    end = last_event(evidence)
    kind = faults[-1].kind
    if kind is not StreamFault.THROTTLED:  # its pending words may come too late
        assert (end["status"], end["reason"]) == ("completed", "carrier-stopped")
        most_ms = 1000 + 400 * (first is DialectName.DEEPGRAM)  # which is asked first
        assert int(end["gap_ms"]) <= (most_ms if kind in LOSSY else 0)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_endpoints_that_fail_in_turns(first: DialectName, second: DialectName) -> None:
    """Each of three sessions is lost in mid-word, so the call goes back and forth."""
    lost = PlannedFault(StreamFault.RESET, 0.93, "connection-lost")
    evidence = world.run(failover(first, second, (lost,) * 3))
    assert judge(evidence) == []
    end = last_event(evidence)
    assert (end["status"], end["gap_ms"]) == ("completed", "0")
    used = {entry.who.partition("#")[0] for entry in evidence.trace.entries}
    assert {"a", "b"} <= used


@pytest.mark.parametrize(("first", "second"), PAIRS[::4])
def test_a_session_lost_in_a_hold(first: DialectName, second: DialectName) -> None:
    """The carrier stops sending for 3 s; the session is lost meanwhile."""
    lost = PlannedFault(StreamFault.RESET, 3.0, "connection-lost")
    made = failover(first, second, (lost,))
    calls = (replace(made.calls[0], hold=(100, 37)),)
    evidence = world.run(replace(made, calls=calls))
    assert judge(evidence) == []
    assert last_event(evidence)["status"] == "completed"
