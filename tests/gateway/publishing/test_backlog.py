"""A stream's backlog, compared with a simple model: order, numbers and dropped events."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.publishing.backlog import Backlog, Batch
from gateway.transcript.events import (
    FinalReason,
    Status,
    StreamEnded,
    TranscriptDelta,
    TranscriptFinal,
)


def delta(text: str) -> TranscriptDelta:
    return TranscriptDelta("inbound", "customer", 1, 1, text, 0, 80, 1.0, 2.0)


def final(text: str) -> TranscriptFinal:
    return TranscriptFinal("inbound", "customer", 1, 1, text, 0, 80, FinalReason.PAUSE)


def texts(batch: Batch) -> list[str]:
    _, _, events, _ = msgspec.msgpack.decode(
        batch.payload, type=tuple[int, bool, list[list[str]], int]
    )
    return [event[event.index("text") + 1] for event in events]


def test_batch_stays_the_same_until_it_is_acknowledged() -> None:
    backlog = Backlog()
    backlog.add(final("a"), 0)
    first = backlog.batch(10, 5)
    backlog.add(final("b"), 0)
    assert backlog.batch(10, 6) is first
    backlog.remove_batch()
    second = backlog.batch(10, 7)
    assert (texts(first), first.first_n) == (["a"], 1)
    assert (texts(second), second.first_n) == (["b"], 2)


def test_batch_without_events_is_empty_and_uses_no_n() -> None:
    backlog = Backlog()
    assert len(backlog.batch(10, 0)) == 0
    backlog.remove_batch()
    backlog.add(final("a"), 0)
    assert backlog.batch(10, 0).first_n == 1


def test_only_the_batch_with_the_last_event_ends_the_stream() -> None:
    backlog = Backlog()
    backlog.add(final("a"), 0)
    backlog.add(StreamEnded(Status.COMPLETED, "", 80, 1, 0), 0)
    assert not backlog.batch(1, 0).ends_stream
    backlog.remove_batch()
    assert backlog.batch(1, 0).ends_stream


def test_shed_delta_leaves_no_hole_in_n_and_lost_final_does() -> None:
    backlog = Backlog()
    backlog.add(delta("a"), 0)
    backlog.add(final("b"), 0)
    assert backlog.shed_deltas() == 1
    backlog.lose()
    backlog.lose()
    backlog.add(final("c"), 0)
    before = backlog.batch(10, 0)
    assert (texts(before), before.first_n) == (["b"], 1)
    backlog.remove_batch()
    after = backlog.batch(10, 0)
    assert (texts(after), after.first_n) == (["c"], 4)


@given(st.lists(st.booleans(), max_size=30))
def test_batch_has_the_arrival_times_of_its_deltas(kinds: list[bool]) -> None:
    backlog = Backlog()
    for is_delta in kinds:
        backlog.add(delta("a") if is_delta else final("a"), 0)
    batch = backlog.batch(100, 0)
    assert batch.delta_received_s == (2.0,) * sum(kinds)
    assert batch.types.count("transcript.delta") == sum(kinds)


class BacklogModel(RuleBasedStateMachine):
    """Adds, sheds, loses, sends and acknowledges events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog()
        self.added = 0
        self.expected: list[str | None] = []  # None: a hole
        self.sent: Batch | None = None
        self.written: dict[int, str] = {}

    @rule(is_delta=st.booleans())
    def add(self, is_delta: bool) -> None:
        self.added += 1
        text = f"{'d' if is_delta else 'f'}{self.added}"
        self.backlog.add(delta(text) if is_delta else final(text), 0)
        self.expected.append(text)

    @rule()
    def lose(self) -> None:
        self.backlog.lose()
        self.expected.append(None)

    @rule()
    def shed(self) -> None:
        safe = self.in_batch()
        kept = [t for t in self.expected if t is None or t in safe or t.startswith("f")]
        assert self.backlog.shed_deltas() == len(self.expected) - len(kept)
        self.expected = kept

    @rule(limit=st.integers(1, 5))
    def send(self, limit: int) -> None:
        batch = self.backlog.batch(limit, 0)
        assert self.sent is None or batch is self.sent
        assert len(batch) <= limit or batch is self.sent
        self.sent = batch

    @precondition(lambda self: self.sent is not None)
    @rule()
    def acknowledge(self) -> None:
        assert self.sent is not None
        for n, text in enumerate(texts(self.sent), start=self.sent.first_n):
            assert n not in self.written
            self.written[n] = text
        self.backlog.remove_batch()
        self.sent = None

    def in_batch(self) -> set[str]:
        return set(self.written.values()) | set(texts(self.sent) if self.sent else ())

    @invariant()
    def written_events_have_their_expected_n(self) -> None:
        for n, text in self.written.items():
            assert self.expected[n - 1] == text

    def teardown(self) -> None:
        if self.sent:
            self.acknowledge()
        while self.backlog:
            self.send(3)
            self.acknowledge()
        assert self.written == {n: t for n, t in enumerate(self.expected, start=1) if t}


TestBacklogModel = BacklogModel.TestCase
