"""The simulation detects defects: each deliberate defect below is found by the oracle."""

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest

from gateway.admission.lease_pool import LeasePool
from gateway.calls import turn_audio
from gateway.calls.doubtful_audio import DoubtfulAudio
from gateway.calls.replay_buffer import ReplayBuffer
from gateway.calls.stream import CallStream
from gateway.errors import PublishError
from gateway.transcript.segmenter import Segmenter
from gateway.upstream.dialects.pending_text import PendingText
from gateway.upstream.dialects.registry import DialectName
from tests.gateway.publishing import memory_store
from tests.gateway.publishing.memory_store import Claim, MemoryStore, Name, Owner
from tests.simulation import model, plan, world
from tests.simulation.oracle import judge
from tests.simulation.plan import Event, Fault, Plan
from tests.simulation.world import Events, Evidence

pytestmark = pytest.mark.long

SEEDS = range(60)


@pytest.fixture(scope="module")
def healthy_run() -> Evidence:
    """Return a correct run that has segments of several deltas."""
    for seed in SEEDS:
        evidence = world.run(plan.draw(seed))
        types = [event["type"] for event in evidence.records["CA0"]]
        if types.count("transcript.final") > 2 and not judge(evidence):
            return evidence
    raise AssertionError("no such run")


def _index(events: Events, kind: str) -> int:
    return next(n for n, event in enumerate(events) if event["type"] == kind)


def _number(events: Events) -> None:
    for n, event in enumerate(events, start=1):
        event["n"] = str(n)


def drop_a_delta(events: Events) -> None:
    del events[_index(events, "transcript.delta")]
    _number(events)


def drop_a_final(events: Events) -> None:
    del events[_index(events, "transcript.final")]
    _number(events)


def repeat_a_final(events: Events) -> None:
    at = _index(events, "transcript.final")
    events.insert(at, dict(events[at]))
    _number(events)


def leave_a_hole(events: Events) -> None:
    events[-1]["n"] = str(int(events[-1]["n"]) + 1)


def omit_the_end(events: Events) -> None:
    del events[-1]


def end_twice(events: Events) -> None:
    events.append(events[-1] | {"n": str(int(events[-1]["n"]) + 1)})


def change_a_word(events: Events) -> None:
    event = events[_index(events, "transcript.delta")]
    event["text"] = "00000000"


def move_a_word(events: Events) -> None:
    event = events[_index(events, "transcript.delta")]
    event["start_ms"], event["end_ms"] = "800000", "800080"


def turn_back_to_an_older_epoch(events: Events) -> None:
    events[-1]["epoch"] = "1"


@pytest.mark.parametrize(
    "mutate",
    [
        drop_a_delta,
        drop_a_final,
        repeat_a_final,
        leave_a_hole,
        omit_the_end,
        end_twice,
        change_a_word,
        move_a_word,
        turn_back_to_an_older_epoch,
    ],
)
def test_a_wrong_record_is_detected(
    healthy_run: Evidence, mutate: Callable[[Events], None]
) -> None:
    evidence = copy.deepcopy(healthy_run)
    events = evidence.records["CA0"]
    stream_id = events[0]["stream_id"]
    mine = [event for event in events if event["stream_id"] == stream_id]
    mutate(mine)
    evidence.records["CA0"] = mine
    evidence.incarnations = [
        each for each in evidence.incarnations if each.call.stream_id == stream_id
    ]
    assert judge(evidence)


def nothing(*_: object, **__: object) -> Any:
    return 0


def drop_the_owners(store: MemoryStore, keys: Any, *arguments: Any) -> int | PublishError:
    store.owners[keys[0]].clear()
    return _append(store, keys, *arguments)


def trust_the_wall_clock(proposed: int, owner_epoch: int) -> int:
    return proposed


def fence_streams_declared_lost(owner: Owner, claim: Claim) -> None:
    return None


def repeat_written_events(owner: Owner, claim: Claim) -> Any:
    claim.lost_n = 0
    return _resume(owner, claim)


def accept_the_latest_claim(owner: Owner, name: Name, last: int, since_ms: int, now_ms: int) -> Any:
    return _claim(owner, name, last, now_ms, now_ms)


def lose_replies(stream: model.Stream) -> None:
    if len(stream._down) == 3:  # noqa: SLF001 - a failure that no real network has
        stream._down.popleft()  # noqa: SLF001
    _deliver(stream)


_append = MemoryStore._append  # noqa: SLF001
_claim = memory_store._claim  # noqa: SLF001
_resume = memory_store._resume  # noqa: SLF001
_deliver = model.Stream._deliver  # noqa: SLF001


@pytest.mark.parametrize(
    ("owner", "name", "mutant"),
    [
        (ReplayBuffer, "rewind", nothing),  # nothing is replayed
        (Segmenter, "restart", nothing),  # replayed words are published twice
        (LeasePool, "release", nothing),  # slots leak
        (CallStream, "_publish_end", nothing),
        (MemoryStore, "_append", drop_the_owners),  # retries write twice
        (model.Stream, "_deliver", lose_replies),
    ],
)
def test_wrong_logic_is_detected(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, mutant: Callable[..., Any]
) -> None:
    monkeypatch.setattr(owner, name, mutant)
    assert any(judge(world.run(plan.draw(seed))) for seed in SEEDS)


def _plan_with(seed: int, *faults: tuple[Fault, float, float]) -> Plan:
    """Draw a world with the given faults (kind, start, duration) of its first call's gateway."""
    drawn = plan.draw(seed)
    gateway = drawn.calls[0].gateway
    events = tuple(Event(each, at_s, for_s, gateway, 0, "") for each, at_s, for_s in faults)
    return dataclasses.replace(drawn, events=events, clocks_s=(3600.0, -3600.0))


@pytest.mark.parametrize(
    ("owner", "name", "mutant", "faults"),
    [
        # The janitor's check does not write.
        (MemoryStore, "_probe", nothing, [(Fault.REDIS_REJECTS_WRITES, 0.5, 6.0)]),
        (memory_store, "decide_epoch", trust_the_wall_clock, [(Fault.TAKEOVER, 1.0, 0.0)]),
        (
            memory_store,
            "_claim",
            accept_the_latest_claim,
            [(Fault.DISCONNECTED, 0.0, 6.0), (Fault.TAKEOVER, 3.0, 0.0)],
        ),
        (
            memory_store,
            "_resume",
            fence_streams_declared_lost,
            [(Fault.SUSPENDED, 1.0, 7.0)],
        ),
        (memory_store, "_resume", repeat_written_events, [(Fault.SUSPENDED, 1.0, 7.0)]),
    ],
)
def test_wrong_ownership_is_detected(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    mutant: Callable[..., Any],
    faults: list[tuple[Fault, float, float]],
) -> None:
    worlds = [_plan_with(seed, *faults) for seed in range(12)]
    assert not any(judge(world.run(each)) for each in worlds)
    monkeypatch.setattr(owner, name, mutant)
    assert any(judge(world.run(each)) for each in worlds)


def say(events: Events, words: Callable[[list[str]], list[str]]) -> None:
    """Change the words of the longest utterance, in its final and in one delta instead of all."""
    final = max(
        (event for event in events if event["type"] == "transcript.final"),
        key=lambda event: len(event["text"]),
    )
    same = {name: final[name] for name in ("stream_id", "epoch", "track", "segment", "rev")}
    deltas = [
        event
        for event in events
        if event["type"] == "transcript.delta" and all(event[n] == same[n] for n in same)
    ]
    text = " ".join(words(final["text"].split()))
    final["text"] = deltas[0]["text"] = text
    deltas[0] |= {name: final[name] for name in ("start_ms", "end_ms")}
    for event in deltas[1:]:
        events.remove(event)
    _number([event for event in events if event["epoch"] == final["epoch"]])


@pytest.mark.parametrize(
    "dialect", [each for each in DialectName if each is not DialectName.VOXTRAL]
)
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (lambda words: words, None),
        (lambda words: words[1:], "unaccounted"),
        (lambda words: words[:-2], "unaccounted"),  # the last may be the ringing of a filter
        (lambda words: words[:3] + words[4:], "unaccounted"),
        (lambda words: [words[0], *words], "wrong"),
        (lambda words: [*words, words[-1]], "wrong"),
        (lambda words: [*words[:2], *reversed(words[2:4]), *words[4:]], "wrong"),
    ],
    ids=["none", "first lost", "last lost", "lost", "first twice", "last twice", "swapped"],
)
def test_a_wrong_word_is_detected_in_each_dialect(
    dialect: DialectName, words: Callable[[list[str]], list[str]], problem: str | None
) -> None:
    seed = next(seed for seed in SEEDS if _is_simple(seed, dialect))
    evidence = world.run(plan.draw(seed, dialect))
    say(evidence.records[evidence.incarnations[0].call.call_id], words)
    problems = judge(evidence)
    assert problems == [] if problem is None else any(problem in each for each in problems)


@functools.cache
def _is_simple(seed: int, dialect: DialectName) -> bool:
    """Return whether a run is correct and has one stream with an utterance of several words."""
    evidence = world.run(plan.draw(seed, dialect))
    if judge(evidence) or len(evidence.incarnations) != 1 or sum(evidence.unproven_ms.values()):
        return False
    events = evidence.records[evidence.incarnations[0].call.call_id]
    finals = (each["text"].split() for each in events if each["type"] == "transcript.final")
    return max(map(len, finals), default=0) > 6


@pytest.mark.parametrize(
    ("dialect", "owner", "name", "mutant"),
    [
        ("qwen3-asr", turn_audio, "split_tail", lambda text, share: (text, "")),  # words twice
        ("qwen3-asr", turn_audio, "split_tail", lambda text, share: ("", text.split()[-1])),
        ("openai", ReplayBuffer, "rewind", nothing),
        ("deepgram", ReplayBuffer, "rewind", nothing),
        ("mistral", ReplayBuffer, "rewind", nothing),
        ("mistral", DoubtfulAudio, "assume", nothing),
        ("mistral", PendingText, "take", lambda pending, final: pending.text),
    ],
)
def test_wrong_logic_of_a_dialect_is_detected(
    monkeypatch: pytest.MonkeyPatch,
    dialect: str,
    owner: Any,
    name: str,
    mutant: Callable[..., Any],
) -> None:
    monkeypatch.setattr(owner, name, mutant)
    worlds = (plan.draw(seed, DialectName(dialect)) for seed in (211, 289, *SEEDS))
    assert any(judge(world.run(each)) for each in worlds)
