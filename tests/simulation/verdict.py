"""Whether a run kept the promise: each word once, what is missing declared, streams ended. Pure.

Each ownership of a stream (`Incarnation`) is held against the audio that its gateway took. One that
was cut off, by the gateway's death or a higher epoch, may lack its end and its last words; what it
did publish must be right all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cli.proof import account
from tests.simulation.gateways import WALL_S
from tests.simulation.plan import Plan, Trouble
from tests.simulation.world import Events, Evidence, Incarnation

LOST: Final = "lost"


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
    owners = {incarnation.epoch: incarnation for incarnation in incarnations}
    for epoch in dict.fromkeys([*owners, *epochs]):
        mine = [event for event in events if int(event["epoch"]) == epoch]
        if epoch in owners:
            owner = owners[epoch]
            if mine:
                yield from _judge_incarnation(mine, owner)
            elif epoch > max(epochs, default=0) and not _died_mute(evidence.plan, owner):
                yield f"{owner.gateway} published nothing"
        else:
            yield from _judge_janitor(evidence, mine, incarnations)


def _died_mute(plan: Plan, owner: Incarnation) -> bool:
    """Whether a gateway died before Redis, which was away, could hear of the stream from it."""
    begin_s = owner.epoch / 1000 - WALL_S
    deaths_s = [
        event.at_s
        for event in plan.events
        if event.trouble is Trouble.CRASH and owner.gateway == f"gateway-{event.gateway}"
    ]
    return any(
        away.trouble is Trouble.REDIS_AWAY
        and away.at_s <= begin_s
        and any(begin_s <= death_s <= away.at_s + away.for_s for death_s in deaths_s)
        for away in plan.events
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
    common = ("v", "call_id", "stream_id", "epoch", "at", "gateway")
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
