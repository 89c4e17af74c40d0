"""Calls written as lines, and what rules raise in them.

    C 1.0 do you hear me           the customer speaks from second 1.0, 200 ms per word
    A 4.0 yes => yes I do          the agent; the final has other words than the deltas
    A 4.0 yes >> I do              after the deltas, a revision says other words
    gap A 2.0 5.0 reconnect        no words
    pause 5.0 / resume 9.0         the carrier sends no audio
    end 20.0 [status]              the stream ends; the default is 20.0 completed

Each word is a delta that is written 500 ms after its end; a final follows after a pause of 1 s.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

from tests.workers.client.stories import fields
from workers.assist.board import Alert
from workers.assist.call import Call
from workers.assist.load import read_rules
from workers.assist.program import Ruleset
from workers.client.events import AnyEvent, read_event

BEGAN_MS = 1_796_000_000_000
WORD_MS, LATENCY_MS, PAUSE_MS = 200, 500, 1000
ROLES = {"C": ("inbound", "customer"), "A": ("outbound", "agent"), "M": ("mixed", "mix")}
_TRACKS = [
    {"track": track, "role": role, "encoding": "pcmu", "rate": 8000}
    for track, role in ROLES.values()
    if role != "mix"
]

type Cut = Callable[[str], Iterable[str]]
type Scripted = tuple[int, dict[str, str]]  # when it is written, in Unix ms, and its fields
type Timed = tuple[int, int, str, dict[str, Any]]


def words(text: str) -> list[str]:
    """Cut a text into words, each with the space before it."""
    return [f" {word}" for word in text.split()]


def script(lines: str, *, route: str | None = "support", tenant: str = "default", call: str = "CA1",
           cut: Cut = words) -> list[Scripted]:  # fmt: skip
    """Return the events of a call: when each is written, in Unix ms, and its fields."""
    timed: list[Timed] = [(0, -1, "stream.started", {"tracks": json.dumps(_TRACKS)})]
    if route:
        timed[0][3]["route"] = route
    segments = dict.fromkeys(ROLES, 0)
    parts = [each.strip() for each in lines.replace("\n", "|").split("|") if each.strip()]
    if not any(each.startswith("end") for each in parts):
        parts.append("end 20.0")
    for order, part in enumerate(parts):
        timed += _events(part, order, segments, cut)
    last_ms = max(at for at, _, kind, _ in timed if kind != "stream.ended")
    timed = [
        (max(at, last_ms) if kind == "stream.ended" else at, order, kind, own)
        for at, order, kind, own in timed
    ]
    timed.sort(key=lambda each: each[:2])
    return [
        (BEGAN_MS + at, {**fields(kind, n, call=call, **own), "tenant": tenant})
        for n, (at, _, kind, own) in enumerate(timed, 1)
    ]


def beside(one: Sequence[Scripted], other: Sequence[Scripted]) -> list[Scripted]:
    """Return a call with the events of two streams, `MZ1` and `MZ2`."""
    second = [(at, {**values, "stream_id": "MZ2"}) for at, values in other]
    return sorted([*one, *second], key=lambda each: each[0])


def _events(part: str, order: int, segments: dict[str, int], cut: Cut) -> list[Timed]:
    name, *rest = part.split()
    match name:
        case "gap":
            times = [round(float(each) * 1000) for each in rest[1:3]]
            own = {"track": ROLES[rest[0]][0], "from_ms": times[0], "to_ms": times[1]}
            return [(times[1] + 500, order, "transcript.gap", {**own, "cause": rest[3]})]
        case "pause" | "resume":
            at = round(float(rest[0]) * 1000)
            return [(at, order, f"stream.{name}{'d' if name[-1] == 'e' else ''}", {"at_ms": at})]
        case "end":
            at = round(float(rest[0]) * 1000)
            status = rest[1] if len(rest) > 1 else "completed"
            own = {"status": status, "reason": "", "duration_ms": at, "gap_ms": 0}
            return [(at + 2000, 1000, "stream.ended", own)]
        case _:
            segments[name] += 1
            start_ms = round(float(rest[0]) * 1000)
            return _turn(name, segments[name], start_ms, " ".join(rest[1:]), order, cut)


def _turn(who: str, segment: int, start_ms: int, text: str, order: int, cut: Cut) -> list[Timed]:
    spoken, _, final = text.partition(" => ")
    said, _, revised = spoken.partition(" >> ")
    track, role = ROLES[who]
    where = {"track": track, "role": role, "segment": segment}
    timed, end_ms = _deltas(said, start_ms, {**where, "rev": 0}, order, 0, cut)
    rev = 0
    if revised:
        rev = 1
        late, revised_end_ms = _deltas(revised, start_ms, {**where, "rev": 1}, order, end_ms, cut)
        timed += late
        end_ms = max(end_ms, revised_end_ms)
    own = {
        **where,
        "rev": rev,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "text": final or revised or said,
    }
    at = timed[-1][0] + PAUSE_MS
    return [*timed, (at, order, "transcript.final", own)]


def _deltas(
    text: str, start_ms: int, where: dict[str, Any], order: int, not_before_ms: int, cut: Cut
) -> tuple[list[Timed], int]:
    """Return the deltas of a text, whose words take the same time each however they are cut."""
    timed: list[Timed] = []
    ends = list(accumulate(len(each) for each in words(text)))
    at = begin = 0
    for piece in cut(text):
        at += len(piece)
        end = _time_at(at, ends)
        own = {**where, "text": piece, "start_ms": start_ms + begin, "end_ms": start_ms + end}
        written = max(start_ms + end, not_before_ms) + LATENCY_MS
        timed.append((written, order, "transcript.delta", own))
        begin = end
    return timed, start_ms + WORD_MS * len(ends)


def _time_at(letter: int, ends: list[int]) -> int:
    """Return when a letter of a text is said; `ends` are those of its words."""
    word = bisect_left(ends, letter)
    first = ends[word - 1] if word else 0
    return WORD_MS * word + WORD_MS * (letter - first) // (ends[word] - first)


def ruleset(*rules: str) -> Ruleset:
    """Return rules, each written as a mapping of YAML without its title."""
    listed = "\n".join(f"  - {{title: a title, {rule}}}" for rule in rules)
    return Ruleset(read_rules(f"version: 1\nrules:\n{listed}\n"))


def event_of(written_ms: int, values: dict[str, str]) -> AnyEvent:
    return read_event(f"{written_ms}-0", values)


def play(rules: Ruleset, call: Sequence[tuple[int, dict[str, str]]]) -> list[Alert]:
    """Return the changes of alerts in a call."""
    state = Call(rules)
    changes: list[Alert] = []
    for written_ms, values in call:
        changes += state.apply(event_of(written_ms, values), written_ms)
    return changes


def shown(changes: Iterable[Alert]) -> str:
    """Return changes as the tables write them: `cancel@1700 -cancel@2500`."""
    return " ".join(
        f"{'' if each.state == 'raised' else '-'}{each.rule.id}@{each.at_ms - BEGAN_MS}"
        for each in changes
    )
