"""The outbox: which streams are sent or held, which events are admitted, what replies change."""

from pathlib import Path

import pytest

from gateway.errors import PublishError
from gateway.metrics import Metrics
from gateway.publishing.backlog import Backlog
from gateway.publishing.event_store import FENCED, RESUMED, Outcome, Reply
from gateway.publishing.outbox import Limits, Outbox, OutboxStream
from gateway.publishing.publisher import Publisher, StreamWriter
from gateway.publishing.spool.spool import Spool
from gateway.transcript.events import TranscriptEvent
from gateway.transcript.keys import call_keys
from tests.gateway.publishing.memory_store import MemoryStore
from tests.gateway.publishing.publisher_harness import (
    delta,
    ended,
    final,
    never_fenced,
    open_stream,
    total,
)

NO_REPLY = Reply(Outcome.UNKNOWN, error=PublishError("redis-unavailable"))


def stream(call_id: str, lease_renewed_at: float = 0.0) -> OutboxStream:
    return OutboxStream(
        call_id=call_id,
        stream_id="MZ1",
        keys=call_keys(call_id, 1),
        stream_header=call_id.encode(),
        on_fenced=never_fenced,
        opened_s=0.0,
        lease_renewed_at=lease_renewed_at,
        backlog=Backlog(),
    )


def opened(count: int) -> tuple[Outbox, list[OutboxStream]]:
    outbox = Outbox(Limits())
    writers = [stream(f"CA{n}", lease_renewed_at=n) for n in range(count)]
    for writer in writers:
        outbox.open(writer)
    return outbox, writers


def send(outbox: Outbox, writer: OutboxStream, reply: Reply) -> None:
    """Send a stream's batch and process the reply."""
    outbox.mark_in_flight(writer)
    outbox.process_reply(writer, outbox.next_batch(writer, 0.0), reply, 1.0)


class TestOrder:
    def test_streams_are_sent_in_the_order_in_which_they_became_ready(self) -> None:
        outbox, (a, b, c) = opened(3)
        for writer in (c, a, c, b):
            assert outbox.add(writer, final("x"), 0)
        assert outbox.ready == [c, a, b]
        outbox.mark_in_flight(a)
        assert outbox.ready == [c, b]

    def test_stream_without_reply_is_held_and_unanswered_until_a_reply(self) -> None:
        outbox, (a, b) = opened(2)
        outbox.add(a, final("a"), 0)
        send(outbox, a, NO_REPLY)
        assert (outbox.ready, outbox.has_held, outbox.spill_order()[0]) == ([], True, a)
        assert not outbox.add(a, final("a2"), 0), "older events must be written first"
        assert outbox.add(b, final("b"), 0)
        outbox.retry_held()
        assert (outbox.ready, outbox.has_held) == ([b, a], False)
        assert outbox.has_unanswered
        send(outbox, a, Reply.of(0))
        assert not outbox.has_unanswered

    def test_stream_with_batches_in_the_spool_waits_for_them(self) -> None:
        outbox, (a, b) = opened(2)
        b.spooled = 1
        assert outbox.spill_order() == [b, a]
        assert not outbox.add(b, final("b"), 0)

    def test_leases_of_idle_streams_are_renewed_unless_held(self) -> None:
        outbox, (a, b, c, _) = opened(4)  # renewed at 0, 1, 2, 3 s
        outbox.add(b, final("b"), 0)
        send(outbox, b, NO_REPLY)
        outbox.schedule_renewals(2.0)
        assert outbox.ready == [a, c]

    def test_hold_all_holds_streams_with_events(self) -> None:
        outbox, (a, b) = opened(2)
        outbox.add(b, final("x"), 0)
        outbox.hold_all()
        assert outbox.spill_order() == [b, a]
        assert outbox.has_held

    def test_closed_stream_leaves_nothing_behind(self) -> None:
        outbox, (a, b) = opened(2)
        outbox.add(a, final("a"), 0)
        send(outbox, a, NO_REPLY)
        outbox.retry_held()
        assert outbox.close(a) == ("transcript.final",)
        assert list(outbox) == [b]
        assert (outbox.has_unsent, outbox.has_unanswered, outbox.events) == (False, False, 0)
        assert a.closed


class TestReplies:
    @pytest.mark.parametrize(
        ("raw", "outcome", "written_n", "is_resumed"),
        [
            (0, Outcome.WRITTEN, 0, False),
            (7, Outcome.WRITTEN, 7, False),
            (FENCED, Outcome.FENCED, 0, False),
            (RESUMED, Outcome.WRITTEN, 0, True),
            (RESUMED - 7, Outcome.WRITTEN, 7, True),
            (PublishError("redis-unavailable"), Outcome.UNKNOWN, 0, False),
            (PublishError("redis-refused"), Outcome.REFUSED, 0, False),
        ],
    )
    def test_raw_reply_is_parsed(
        self, raw: int | PublishError, outcome: Outcome, written_n: int, *, is_resumed: bool
    ) -> None:
        reply = Reply.of(raw)
        assert (reply.outcome, reply.written_n, reply.is_resumed) == (
            outcome,
            written_n,
            is_resumed,
        )
        assert reply.error is (raw if isinstance(raw, PublishError) else None)

    def test_written_batch_is_removed_and_the_next_one_is_ready(self) -> None:
        outbox, (a,) = opened(1)
        outbox.add(a, final("1"), 0)
        batch = outbox.next_batch(a, 0.0)
        outbox.mark_in_flight(a)
        outbox.add(a, final("2"), 0)
        done = outbox.process_reply(a, batch, Reply.of(0), 5.0)
        assert (done.is_done, done.has_more, done.dropped) == (True, True, ())
        assert (outbox.events, a.acknowledged_n, a.lease_renewed_at) == (1, 1, 5.0)
        assert outbox.ready == [a]

    def test_refused_batch_is_dropped_and_the_stream_continues(self) -> None:
        outbox, (a,) = opened(1)
        outbox.add(a, final("1"), 0)
        batch = outbox.next_batch(a, 0.0)
        done = outbox.process_reply(a, batch, Reply.of(PublishError("redis-refused")), 5.0)
        assert (done.dropped, outbox.events, a.lease_renewed_at) == (("transcript.final",), 0, 0.0)

    def test_fenced_stream_is_closed(self) -> None:
        outbox, (a,) = opened(1)
        outbox.add(a, final("1"), 0)
        done = outbox.process_reply(a, outbox.next_batch(a, 0.0), Reply.of(FENCED), 5.0)
        assert (done.dropped, outbox.events, a in outbox) == (("transcript.final",), 0, False)

    def test_batch_that_was_spooled_meanwhile_is_not_removed_again(self) -> None:
        outbox, (a,) = opened(1)
        outbox.add(a, final("1"), 0)
        batch = outbox.next_batch(a, 0.0)
        outbox.remove_batch(a, batch)
        outbox.add(a, final("2"), 0)
        assert not outbox.process_reply(a, batch, Reply.of(0), 5.0).is_done
        assert (outbox.events, a.acknowledged_n, a.lease_renewed_at) == (1, 0, 5.0)

    def test_writes_that_redis_lost_are_counted(self) -> None:
        outbox, (a,) = opened(1)
        for text in "123":
            outbox.add(a, final(text), 0)
        send(outbox, a, Reply.of(0))
        outbox.add(a, final("4"), 0)
        done = outbox.process_reply(a, outbox.next_batch(a, 0.0), Reply.of(1), 5.0)
        assert done.lost_events == 2

    def test_stream_is_removed_when_its_end_is_written(self) -> None:
        outbox, (a,) = opened(1)
        outbox.add(a, ended(), 0)
        a.closed = True
        send(outbox, a, Reply.of(0))
        assert len(outbox) == 0


class SmallPublisher:
    """A publisher with small limits that is not started, and two of its streams."""

    def __init__(self, spool: Spool | None = None) -> None:
        self.now_s = 100.0
        self.metrics = Metrics()
        self.publisher = Publisher(
            MemoryStore(lambda: 0),
            gateway="g1",
            metrics=self.metrics,
            partitions=1,
            limits=Limits(
                buffered_events=4,
                buffered_events_hard=6,
                spill_events=3,
                batch_events=2,
                full_s=1.0,
            ),
            spool=spool,
            clock=lambda: self.now_s,
            wall=lambda: 0.0,
        )
        self.a = open_stream(self.publisher, "CA1")
        self.b = open_stream(self.publisher, "CA2")

    @property
    def events(self) -> float:
        return total(self.metrics, "redis_memory_events")

    def dropped(self, kind: str) -> float:
        return total(self.metrics, "redis_dropped_events_total", kind=kind)


async def test_without_a_spool_deltas_are_dropped_then_all_but_the_end() -> None:
    full = SmallPublisher()
    a, b = full.a, full.b
    for first in (delta("1"), final("2"), delta("3"), final("4")):
        a.publish(first)
    assert full.events == 4
    steps: list[tuple[StreamWriter, TranscriptEvent, int, int, int]] = [
        (b, delta("5"), 4, 1, 0),  # "3" made room; "1" is in a batch, which may be in flight
        (b, final("6"), 5, 1, 0),
        (b, delta("7"), 5, 2, 0),  # tried again only after `full_s`
        (b, final("8"), 6, 2, 0),
        (b, final("9"), 6, 2, 1),
        (b, ended(), 7, 2, 1),
    ]
    for writer, event, events, deltas, finals in steps:
        writer.publish(event)
        assert full.events == events
        assert full.dropped("transcript.delta") == deltas
        assert full.dropped("transcript.final") == finals
    full.now_s += 1.0
    a.publish(final("10"))
    assert full.dropped("transcript.final") == 2
    assert full.events == 6, '"5" was dropped'
    assert full.dropped("transcript.delta") == 3
    await full.publisher.close()
    assert full.events == 0


async def test_with_a_spool_older_events_are_spooled_to_make_room(tmp_path: Path) -> None:
    full = SmallPublisher(Spool(tmp_path, "here", 1 << 20, lambda _: None, 2000))
    for n in range(2):
        full.a.publish(final(f"a{n}"))
        full.b.publish(final(f"b{n}"))
    full.a.publish(final("a2"))
    assert (full.a.stream.spooled, full.b.stream.spooled) == (1, 1)
    assert full.events == 1
    await full.publisher.close()
    assert (full.events, full.publisher.buffered_events) == (0, 5)
