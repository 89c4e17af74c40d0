"""The states of calls that a handler keeps: which events continue them, and how many are kept."""

from dataclasses import dataclass, field

import pytest

from tests.workers.client.stories import fields
from workers.consumer import Calls, Identity, Progress


@dataclass
class State:
    progress: Progress = field(default_factory=Progress)


def state_after(*events: Identity, kind: str = "transcript.final") -> State:
    state = State()
    for event in events:
        state.progress.note(event, kind)
    return state


@pytest.mark.parametrize(
    ("event", "continues"),
    [
        (Identity("MZ1", 5, 3), True),
        (Identity("MZ1", 5, 2), False),
        (Identity("MZ1", 5, 4), False),
        (Identity("MZ1", 6, 1), True),
        (Identity("MZ1", 6, 2), False),
        (Identity("MZ1", 4, 3), False),
        (Identity("MZ2", 5, 1), True),
        (Identity("MZ2", 5, 2), False),
    ],
)
def test_only_the_next_event_of_a_stream_continues_a_call(event: Identity, continues: bool) -> None:
    calls: Calls[State] = Calls()
    state = state_after(Identity("MZ1", 5, 1), Identity("MZ1", 5, 2))
    calls.put("CA1", state)
    assert calls.take("CA1", event) is (state if continues else None)
    assert calls.items() == []


def test_call_is_dropped_when_its_last_stream_ends() -> None:
    calls: Calls[State] = Calls()
    state = state_after(Identity("MZ1", 5, 1), Identity("MZ2", 5, 1))
    state.progress.note(Identity("MZ1", 5, 2), "stream.ended")
    calls.put("CA1", state)
    assert calls.items() == [("CA1", state)]
    state.progress.note(Identity("MZ2", 5, 2), "stream.ended")
    calls.take("CA1", Identity("MZ2", 5, 3))
    calls.put("CA1", state)
    assert calls.items() == []


def test_calls_that_were_put_longest_ago_are_dropped() -> None:
    calls: Calls[State] = Calls()
    for number in range(1010):
        calls.put(f"CA{number}", state_after(Identity("MZ1", 5, 1)))
    assert [call_id for call_id, _ in calls.items()] == [f"CA{n}" for n in range(10, 1010)]


def test_identity_is_read_from_an_entry() -> None:
    entry = fields("stream.paused", 7, epoch=3, at_ms=0) | {"source_n": "9"}
    assert Identity.of(entry) == Identity("MZ1", 3, 7)
    assert Identity.of(entry, "source_n") == Identity("MZ1", 3, 9)
    assert Identity("MZ1", 3, 7).precedes(Identity("MZ1", 3, 8))
    assert not Identity("MZ1", 3, 7).precedes(Identity("MZ1", 4, 8))
