"""Whether a run kept the promise: each word once, what is missing declared, streams ended. Pure.

Each ownership of a stream (`Incarnation`) is held against the audio that its gateway took, over all
the epochs that it resumed the stream at. One that was cut off, by the gateway's death or by another
gateway, may lack its end and its last words; what it did publish must be right all the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from cli.audit import account
from tests.simulation.carrier import LEG
from tests.simulation.plan import Trouble
from tests.simulation.world import Events, Evidence, Incarnation

LOST: Final = "lost"

_MUTES_ALL: Final = {Trouble.REDIS_AWAY, Trouble.REDIS_REFUSES}
_MUTES: Final = {Trouble.SLEEP, Trouble.CUT_OFF}  # the gateway that they befall
_SLOW: Final = {Trouble.REDIS_SLOW, Trouble.REDIS_LATE}  # a first batch may be on its way as long
_FIRST_BATCH_S: Final = 0.4  # as a flush and an exchange take
_NEAR_S: Final = 0.25  # two gateways that take a stream within it are not told apart for sure
_TOLD_APART_S: Final = 2.0  # nor within this, if a batch is late
_FIRST_FLUSH_S: Final = 0.1
_BACK_S: Final = 1.0  # the longest backoff, and the exchange


def judge(evidence: Evidence) -> list[str]:
    """Say all that is wrong; nothing if the promise was kept."""
    problems = list(evidence.broken)
    streams: dict[tuple[str, str], list[Incarnation]] = {}
    for incarnation in evidence.incarnations:
        call = incarnation.call
        streams.setdefault((call.call_id, call.stream_id), []).append(incarnation)
    for (call_id, stream_id), incarnations in streams.items():
        record = evidence.records.get(call_id, [])
        events = [event for event in record if event["stream_id"] == stream_id]
        found = _judge_stream(evidence, events, incarnations)
        problems += (f"{stream_id}: {what}" for what in found)
    return problems


def _judge_stream(
    evidence: Evidence, events: Events, incarnations: Sequence[Incarnation]
) -> Iterator[str]:
    if not events and all(owner.gateway in evidence.unreachable for owner in incarnations):
        return  # it died before its first flush: nobody else ever heard of the stream
    epochs = [int(event["epoch"]) for event in events]
    if epochs != sorted(epochs):
        yield "a lower epoch wrote after a higher one"
    if not events or events[-1]["type"] != "stream.ended":
        yield "its last event is no stream.ended"
    owners = {str(incarnation.leg): incarnation for incarnation in incarnations}
    mine: dict[str, Events] = {leg: [] for leg in owners}
    newest = ""  # of the legs that have written
    lost: Events = []  # a janitor's record that came last
    for _, group in groupby(events, key=itemgetter("epoch")):
        written = list(group)
        leg = _leg_of(written[0])
        if leg is None:
            yield from _judge_janitor(evidence, written, incarnations)
            lost = written
            continue
        if leg not in owners or _is_older(owners[leg], owners.get(newest), _TOLD_APART_S):
            yield "a gateway wrote that had lost the stream"
        before = mine.setdefault(leg, [])
        resumes = before[-1]["epoch"] if before else None
        if written[0].get("resumes") != resumes or (resumes and not (lost and leg == newest)):
            yield "an epoch resumes what it does not go on with"
        mine[leg] += [*(lost if resumes else ()), *written]
        newest, lost = leg, []
    if lost and newest in owners and owners[newest].gateway not in evidence.dead:
        yield "lost for good, though its gateway woke"
    for leg, owner in owners.items():
        if mine[leg]:
            yield from _judge_incarnation(mine[leg], owner)
        elif not _is_older(owner, owners.get(newest), -_NEAR_S) and not _died_mute(evidence, owner):
            yield f"{owner.gateway} published nothing"


def _leg_of(event: Mapping[str, str]) -> str | None:
    """Return which socket's gateway began an epoch, by what the carrier told it; None: none did."""
    leg: str | None = json.loads(event.get("params", "{}")).get(LEG)
    return leg


def _is_older(owner: Incarnation, than: Incarnation | None, by_s: float) -> bool:
    """Whether a gateway took a stream before another, by more than so long."""
    return than is not None and owner.begin_s < than.begin_s - by_s


def _died_mute(evidence: Evidence, owner: Incarnation) -> bool:
    """Whether a gateway died before Redis, which was away or slow, had its first batch."""
    begin_s, events = owner.begin_s, evidence.plan.events
    is_its = {event: owner.gateway == f"gateway-{event.gateway}" for event in events}
    deaths_s = [e.at_s for e in events if e.trouble is Trouble.CRASH and is_its[e]]
    is_early = any(begin_s <= death_s <= begin_s + _FIRST_BATCH_S for death_s in deaths_s)
    if is_early and any(
        slow.trouble in _SLOW and slow.at_s <= begin_s + _FIRST_FLUSH_S <= slow.at_s + slow.for_s
        for slow in events
    ):
        return True
    return any(
        (away.trouble in _MUTES_ALL or (away.trouble in _MUTES and is_its[away]))
        and away.at_s <= begin_s + _FIRST_FLUSH_S
        and any(begin_s <= death_s <= away.at_s + away.for_s + _BACK_S for death_s in deaths_s)
        for away in events
    )


def _judge_incarnation(events: Events, owner: Incarnation) -> Iterator[str]:
    audio = {track: bytes(heard) for track, heard in owner.heard.items()}
    ends = events[-1]["type"] == "stream.ended"
    if not ends:
        events = [*events, _end_after(events[-1], audio)]
    if events[-1]["reason"] == "internal-error":
        yield "a bug ended it"
    sums = account(events, audio)
    yield from sums.problems
    if sums.duplicated_ms:
        yield f"{sums.duplicated_ms} ms twice"
    if sums.shed_deltas:
        yield f"{sums.shed_deltas} words came in finals only"
    if sums.wrong_ms:
        yield f"{sums.wrong_ms} ms wrong"
    if sums.unaccounted_ms and ends:
        yield f"{sums.unaccounted_ms} ms unaccounted for"


def _end_after(event: Mapping[str, str], audio: Mapping[str, bytes]) -> dict[str, str]:
    """Make the end that an incarnation which was cut off never had."""
    common = ("v", "call_id", "tenant", "stream_id", "epoch", "at", "gateway")
    duration_ms = max(len(heard) for heard in audio.values()) // 8
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
        yield "events of an epoch that no gateway had"
    if not any(owner.gateway in evidence.unreachable for owner in incarnations):
        yield "declared lost, though its gateway lived"
