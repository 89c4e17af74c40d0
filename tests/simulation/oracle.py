"""Check a run: each word occurs once, missing audio is declared, and streams have an end. Pure.

For each ownership of a stream (`Incarnation`), the events are compared with the audio that its
gateway received, over all epochs at which the gateway resumed the stream. If a crash or another
gateway ended the ownership, its last events may be missing, but those that it published must be
correct.

Of audio that is neither transcribed nor declared, only as much is accepted as the gateway has
counted (`unproven_speech_seconds_total`): without times, the end of a text is an estimate.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from cli.audit import account
from gateway.upstream.dialects.registry import DialectName
from tests.simulation.carrier import LEG
from tests.simulation.gateways import REPLAY_MS
from tests.simulation.plan import Fault, Plan
from tests.simulation.world import Events, Evidence, Incarnation

LOST: Final = "lost"

_BLOCKS_ALL: Final = {Fault.REDIS_UNAVAILABLE, Fault.REDIS_REJECTS_WRITES}
_BLOCKS_ONE: Final = {Fault.SUSPENDED, Fault.DISCONNECTED}  # faults of a single gateway
_SLOW: Final = {Fault.REDIS_SLOW, Fault.REDIS_LATE}  # the first batch may take `_FIRST_BATCH_S`
_FIRST_BATCH_S: Final = 0.4  # for a flush and an exchange
_NEAR_S: Final = 0.25  # if two gateways start a stream within this time, either may own it
_ORDER_CERTAIN_S: Final = 2.0  # the same if a batch may be late
_FIRST_FLUSH_S: Final = 0.1
# Words that a server did not time may lie up to a replay's length late. A word that a server places
# just beyond a jump of the media clock is moved to this side. Where the words of a seam are is
# estimated by their share of the turn; only the turns of Qwen3-ASR are short enough to be cut here.
# A turn also begins with a little audio before its speech, which may have the end of a sound.
_SLACK_MS: Final = {
    DialectName.MISTRAL: REPLAY_MS + 1000,
    DialectName.DEEPGRAM: 160,
    DialectName.QWEN3_ASR: 400,
}
_RINGING_MS: Final = 3  # a sound that a server of words does not answer
_BACK_S: Final = 1.0  # the longest backoff and an exchange


def judge(evidence: Evidence) -> list[str]:
    """Return all problems of a run; an empty list if it is correct."""
    problems = list(evidence.problems)
    unproven_ms = dict(evidence.unproven_ms)
    streams: dict[tuple[str, str], list[Incarnation]] = {}
    for incarnation in evidence.incarnations:
        call = incarnation.call
        streams.setdefault((call.call_id, call.stream_id), []).append(incarnation)
    for (call_id, stream_id), incarnations in streams.items():
        record = evidence.records.get(call_id, [])
        events = [event for event in record if event["stream_id"] == stream_id]
        found = _judge_stream(evidence, events, incarnations, unproven_ms)
        problems += (f"{stream_id}: {what}" for what in found)
    return problems


def _judge_stream(
    evidence: Evidence,
    events: Events,
    incarnations: Sequence[Incarnation],
    unproven_ms: dict[str, int],
) -> Iterator[str]:
    if not events and all(owner.gateway in evidence.unreachable for owner in incarnations):
        return  # the gateway was lost before its first flush, so Redis never had the stream
    epochs = [int(event["epoch"]) for event in events]
    if epochs != sorted(epochs):
        yield "a lower epoch wrote after a higher one"
    if not events or events[-1]["type"] != "stream.ended":
        yield "its last event is not stream.ended"
    owners = {str(incarnation.leg): incarnation for incarnation in incarnations}
    mine: dict[str, Events] = {leg: [] for leg in owners}
    newest = ""  # leg that has written
    lost: Events = []  # a janitor's record, if it is the newest group
    for _, group in groupby(events, key=itemgetter("epoch")):
        written = list(group)
        leg = _leg_of(written[0])
        if leg is None:
            yield from _judge_janitor(evidence, written, incarnations)
            lost = written
            continue
        if leg not in owners or _is_older(owners[leg], owners.get(newest), _ORDER_CERTAIN_S):
            yield "a gateway wrote after it had lost the stream"
        before = mine.setdefault(leg, [])
        resumes = before[-1]["epoch"] if before else None
        if written[0].get("resumes") != resumes or (resumes and not (lost and leg == newest)):
            yield "an epoch resumes an epoch that it does not continue"
        mine[leg] += [*(lost if resumes else ()), *written]
        newest, lost = leg, []
    if lost and newest in owners and owners[newest].gateway not in evidence.crashed:
        yield "stays lost although its gateway continued"
    for leg, owner in owners.items():
        if mine[leg]:
            yield from _judge_incarnation(mine[leg], owner, evidence.plan, unproven_ms)
        elif not (
            _is_older(owner, owners.get(newest), -_NEAR_S)
            or _crashed_before_first_batch(evidence, owner)
        ):
            yield f"{owner.gateway} published nothing"


def _dialects(plan: Plan) -> set[DialectName]:
    return {endpoint.dialect or plan.dialect for endpoint in plan.endpoints}


def _leg_of(event: Mapping[str, str]) -> str | None:
    """Return the leg whose gateway began an epoch; None if a janitor did."""
    leg: str | None = json.loads(event.get("params", "{}")).get(LEG)
    return leg


def _is_older(owner: Incarnation, than: Incarnation | None, by_s: float) -> bool:
    """Return whether a gateway started a stream more than `by_s` before another."""
    return than is not None and owner.begin_s < than.begin_s - by_s


def _crashed_before_first_batch(evidence: Evidence, owner: Incarnation) -> bool:
    """Return whether a gateway crashed before its first batch reached a faulty Redis."""
    begin_s, events = owner.begin_s, evidence.plan.events
    is_its = {event: owner.gateway == f"gateway-{event.gateway}" for event in events}
    crashes_s = [e.at_s for e in events if e.fault is Fault.CRASH and is_its[e]]
    is_early = any(begin_s <= crash_s <= begin_s + _FIRST_BATCH_S for crash_s in crashes_s)
    if is_early and any(
        slow.fault in _SLOW and slow.at_s <= begin_s + _FIRST_FLUSH_S <= slow.at_s + slow.for_s
        for slow in events
    ):
        return True
    return any(
        (outage.fault in _BLOCKS_ALL or (outage.fault in _BLOCKS_ONE and is_its[outage]))
        and outage.at_s <= begin_s + _FIRST_FLUSH_S
        and any(begin_s <= crash_s <= outage.at_s + outage.for_s + _BACK_S for crash_s in crashes_s)
        for outage in events
    )


def _judge_incarnation(
    events: Events, owner: Incarnation, plan: Plan, unproven_ms: dict[str, int]
) -> Iterator[str]:
    audio = {track: bytes(received) for track, received in owner.received.items()}
    ends = events[-1]["type"] == "stream.ended"
    if not ends:
        events = [*events, _end_after(events[-1], audio)]
    if events[-1]["reason"] == "internal-error":
        yield "ended by a bug"
    dialects = _dialects(plan)
    exact = dialects == {DialectName.VOXTRAL}  # it answers each 80 ms of audio by itself
    slacks_ms = (slack_ms for name, slack_ms in _SLACK_MS.items() if name in dialects)
    slack_ms = max(slacks_ms, default=None)
    sums = account(events, audio, exact=exact, slack_ms=slack_ms)
    yield from sums.problems
    if sums.duplicated_ms:
        yield f"{sums.duplicated_ms} ms twice"
    if sums.shed_deltas:
        yield f"{sums.shed_deltas} words came in finals only"
    if sums.wrong_ms:
        yield f"{sums.wrong_ms} ms wrong"
    lost_ms = sums.unaccounted_ms
    if DialectName.MISTRAL in dialects:
        lost_ms = max(0, lost_ms - _RINGING_MS)
    unproven_ms[owner.gateway] = unproven_ms.get(owner.gateway, 0) - lost_ms
    if unproven_ms[owner.gateway] < 0 and lost_ms and ends:
        yield f"{lost_ms} ms unaccounted for"


def _end_after(event: Mapping[str, str], audio: Mapping[str, bytes]) -> dict[str, str]:
    """Make a `stream.ended` for an incarnation that was cut off without one."""
    common = ("v", "call_id", "tenant", "stream_id", "epoch", "at", "gateway")
    duration_ms = max(len(received) for received in audio.values()) // 8
    return {name: event[name] for name in common} | {
        "type": "stream.ended",
        "n": str(int(event["n"]) + 1),
        "status": LOST,
        "reason": "gateway-lost",
        "duration_ms": str(duration_ms),
        "segments": "0",
        "gap_ms": "0",
    }


def _judge_janitor(
    evidence: Evidence, events: Events, incarnations: Sequence[Incarnation]
) -> Iterator[str]:
    if len(events) != 1 or events[0].get("status") != LOST:
        yield "events of an epoch that belongs to no gateway"
    if not any(owner.gateway in evidence.unreachable for owner in incarnations):
        yield "declared lost although its gateway was reachable"
